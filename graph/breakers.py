"""Breakers at work: read what stands, judge it, and lower the trading state where a limit was passed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from domain.breakers import FACT, MAX_TEXT, BreakerReadings, Trip
from domain.errors import AutofiError
from domain.portfolio import Portfolio
from domain.verdict import TradingState
from graph.dependencies import Dependencies
from guards.breakers import judge_breakers, read_streak

SHORTEST_LOOK_BACK: Final = 1
"""The newest run is always read: a guard that failed inside it halts."""
Reading = TypeVar("Reading")


def apply_breakers(dependencies: Dependencies) -> TradingState:
    """The trading state that holds after every breaker was judged. It is never raised here."""
    trips = judge_breakers(read_breakers(dependencies), dependencies.policy)
    return dependencies.trading_state.tighten(trips, at=dependencies.clock.now())


def read_breakers(dependencies: Dependencies) -> BreakerReadings:
    now, budgets, limits = dependencies.clock.now(), dependencies.budgets, dependencies.policy.breakers
    budget = budgets.state(at=now)
    valuation = _readable(lambda: budgets.valuation(at=now))
    look_back = max(limits.max_failed_runs_count, limits.max_blind_runs_count) + SHORTEST_LOOK_BACK
    held = frozenset(valuation.protocols if valuation else dependencies.protocols())
    return BreakerReadings(
        valuation=valuation,
        budget=budget,
        ledger_problem=None if budget.is_intact else budgets.problem(),
        streak=_readable(lambda: read_streak(dependencies.runs.since_resume(limit=look_back))),
        incidents=tuple(sorted(dependencies.incidents.open_among(held))),
    )


def _readable(read: Callable[[], Reading]) -> Reading | None:
    """A store that cannot answer is one more reason to trip, and none to stop an exit."""
    try:
        return read()
    except AutofiError:
        return None


def halting_trip(code: str, *, run_id: str, problem: str) -> Trip:
    """Our own truth is in doubt: only exits from here."""
    observed = problem[:MAX_TEXT]
    return Trip(code=code, state=TradingState.HALTED, subject=run_id, limit="none", observed=observed, unit=FACT)


def held_protocols(portfolio: Portfolio, dependencies: Dependencies) -> tuple[str, ...]:
    held = {position.strategy for position in portfolio.positions if position.amount or position.shares}
    return tuple(sorted({dependencies.catalog.strategy(strategy).protocol for strategy in held}))
