"""Breakers: what was read of value, ledger, runs and incidents against the policy; every limit passed is a trip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import takewhile
from typing import Final

from domain.breakers import FACT, MAX_TEXT, BreakerReadings, Streak, Trip, Valuation
from domain.policy import Policy
from domain.run import RunRecord, RunStatus
from domain.units import EXACT, divide
from domain.verdict import BudgetState, TradingState
from guards.finding import Row, Ruler, exact, text

RULER: Final = Ruler("breakers")
GUARD_FAULT: Final = "guard_fault"
BLINDING_ERRORS: Final = frozenset({"stale_or_disputed", "chain_unavailable"})
BLINDING_CODES: Final = frozenset(
    {
        "price_missing", "price_stale", "price_sources_too_few", "price_disputed",
        "rate_stale", "snapshot_old", "block_lag", "sequencer_down", "block_mismatch",
    }
)  # fmt: skip
"""Old or mixed readings; a pause or a broken peg is news about the market, not about our eyes."""


def judge_breakers(readings: BreakerReadings, policy: Policy) -> tuple[Trip, ...]:
    """Every limit that was passed and every reading that is missing. A reading at its limit trips nothing."""
    return tuple(
        trip
        for trips in (
            _judge_completeness(readings),
            _judge_budget(readings.budget, readings.ledger_problem, policy) if readings.budget else (),
            _judge_value(readings.valuation, policy) if readings.valuation else (),
            _judge_streak(readings.streak, policy) if readings.streak else (),
            _judge_incidents(readings.incidents or ()),
        )
        for trip in trips
    )


def read_streak(records: Iterable[RunRecord]) -> Streak:
    """`records` from the newest to the oldest; read only as far as the streak goes."""
    iterator = iter(records)
    newest = next(iterator, None)
    if newest is None:
        return Streak(failed_runs_count=0, blind_runs_count=0, guard_faults=())
    is_failed, is_blind = _is_failed(newest), _is_blind(newest)
    alike = _is_failed if is_failed else _is_blind
    length = 1 + sum(1 for _ in takewhile(alike, iterator)) if is_failed or is_blind else 0
    findings = newest.verdict.findings if newest.verdict else ()
    return Streak(
        failed_runs_count=length if is_failed else 0,
        blind_runs_count=0 if is_failed else length,
        guard_faults=tuple(finding.guard for finding in findings if finding.code == GUARD_FAULT),
    )


def _is_failed(record: RunRecord) -> bool:
    return record.status is RunStatus.FAILED


def _is_blind(record: RunRecord) -> bool:
    """Found its data stale, disputed or out of reach, also where the way out was allowed to go on without them."""
    findings = record.verdict.findings if record.verdict else ()
    stale = any(row.code in BLINDING_CODES and (row.waived or not row.passed) for row in findings)
    return not _is_failed(record) and (stale or record.error in BLINDING_ERRORS)


def _judge_completeness(readings: BreakerReadings) -> Iterator[Trip]:
    for name in ("valuation", "budget", "streak", "incidents"):
        if getattr(readings, name) is None:
            yield _fact("reading_missing", TradingState.HALTED, name, limit="readable", observed="unreadable")


def _judge_budget(budget: BudgetState, problem: str | None, policy: Policy) -> Iterator[Trip]:
    if not budget.is_intact:
        observed = problem or "corrupt or unreadable"
        yield _fact("ledger_corrupt", TradingState.HALTED, "budget ledger", limit="intact", observed=observed)
    limits = policy.budgets
    for code, subject, lost, limit in (
        ("day_loss", "24 hours", budget.loss_day_usd, limits.max_day_loss_usd),
        ("week_loss", "7 days", budget.loss_week_usd, limits.max_week_loss_usd),
    ):
        row = RULER.at_most(code, subject, observed=lost, limit=limit, unit="usd")
        yield from _trip(row, TradingState.REDUCING)


def _judge_value(valuation: Valuation, policy: Policy) -> Iterator[Trip]:
    limits = policy.breakers
    for code, subject, high, limit, state in (
        ("day_drawdown", "24 hours", valuation.day_high_usd, limits.max_day_drawdown_share, TradingState.REDUCING),
        ("week_drawdown", "7 days", valuation.week_high_usd, limits.max_week_drawdown_share, TradingState.REDUCING),
        ("peak_drawdown", "last resume", valuation.peak_usd, limits.max_peak_drawdown_share, TradingState.HALTED),
    ):
        fall = _drawdown(valuation.net_asset_value_usd, below=high)
        yield from _trip(RULER.at_most(code, subject, observed=fall, limit=limit, unit="of value"), state)


def _drawdown(value: Decimal, *, below: Decimal) -> Decimal | None:
    """Fall below the highest value as a share of it; None where either is no amount."""
    now, high = exact(value), exact(below)
    if now is None or high is None or now < 0 or high < 0:
        return None
    return Decimal(0) if now >= high else divide(EXACT.subtract(high, now), high)


def _judge_streak(streak: Streak, policy: Policy) -> Iterator[Trip]:
    limits = policy.breakers
    for code, count, limit in (
        ("failed_runs", streak.failed_runs_count, limits.max_failed_runs_count),
        ("blind_runs", streak.blind_runs_count, limits.max_blind_runs_count),
    ):
        row = RULER.at_most(code, "runs in a row", observed=count, limit=limit, unit="runs")
        yield from _trip(row, TradingState.REDUCING)
    for guard in streak.guard_faults:
        yield _fact(GUARD_FAULT, TradingState.HALTED, guard, limit="a judgement", observed="failed inside")


def _judge_incidents(protocols: Iterable[str]) -> Iterator[Trip]:
    for protocol in protocols:
        yield _fact("open_incident", TradingState.REDUCING, protocol, limit="none while held", observed="open")


def _trip(row: Row, state: TradingState) -> Iterator[Trip]:
    """What is unknown asks for the tightest state."""
    if not row.passed:
        yield Trip(
            code=row.code,
            state=state if exact(row.observed) is not None else TradingState.HALTED,
            subject=row.subject,
            limit=text(row.limit),
            observed=text(row.observed),
            unit=row.unit,
        )


def _fact(code: str, state: TradingState, subject: str, *, limit: str, observed: str) -> Trip:
    return Trip(code=code, state=state, subject=subject, limit=limit, observed=observed[:MAX_TEXT], unit=FACT)
