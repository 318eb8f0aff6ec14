"""How far from its limit each row is before the batch and after it, where it runs straight in between.

A part of a batch moves every line of the book by that part. Exposures, turnover and budgets then run straight, exactly;
a stress loss is convex, so that its chord lies above it. What has no such line, like a stale price, has no entry here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final, NamedTuple

from domain.portfolio import Portfolio
from domain.risk import RiskReport
from domain.stress import BOOK, CRASH, RUN_ON_A_STABLE, StressFamily, scenario_name, scenario_set
from domain.units import BPS_PER_ONE, EXACT
from guards import budgets, slippage
from guards.case import Case
from guards.exposure import share_limits, values_of
from guards.finding import Quantity, exact, measured
from guards.measures import (
    Worth,
    changes,
    entered_strategies,
    holdings_after,
    moved_usd,
    nav_after,
    nav_before,
    slippage_usd,
    worth_usd,
)

Scenario = tuple[StressFamily, str]
GAS: Final[Scenario] = (StressFamily.GAS, BOOK)
WITH_GAS: Final = frozenset({GAS, (StressFamily.COMBINED, RUN_ON_A_STABLE), (StressFamily.COMBINED, CRASH)})
"""Scenarios in which everything must leave at twenty times the fee."""


class Line(NamedTuple):
    """Distance beyond the limit, before the batch and after it; a part passes where it is not above 0."""

    before: Decimal
    after: Decimal

    @property
    def most_bps(self) -> int:
        """The largest part that passes, rounded down; 0 where the book before fails."""
        if self.before > 0:
            return 0
        if self.after <= 0:
            return BPS_PER_ONE
        return int(
            EXACT.divide_int(
                EXACT.multiply(self.before.copy_negate(), BPS_PER_ONE), EXACT.subtract(self.after, self.before)
            )
        )

    @property
    def least_bps(self) -> int:
        """The smallest part that passes, rounded up; beyond all of it where the whole batch mends nothing."""
        if self.before <= 0:
            return 0
        if self.after > 0:
            return BPS_PER_ONE + 1
        return BPS_PER_ONE - Line(self.after, self.before).most_bps


ZERO: Final = Decimal(0)
NEVER: Final = Line(Decimal("Infinity"), Decimal("Infinity"))
Entry = tuple[tuple[str, str], Line]
"""Code and subject of a row, and its line."""


class Point(NamedTuple):
    """A quantity and what it is a share of."""

    quantity: Quantity
    base: Quantity = 1

    def beyond(self, limit: Decimal) -> Decimal:
        return EXACT.subtract(self.quantity, EXACT.multiply(limit, self.base))


def _at_most(code: str, subject: str, limit: Quantity | str, before: Point, after: Point) -> Iterator[Entry]:
    """Nothing where the limit is no number: what is unlimited binds no part."""
    bound = exact(limit)
    if bound is not None:
        yield (code, subject), Line(before.beyond(bound), after.beyond(bound))


def _at_least(code: str, subject: str, limit: Quantity | str, before: Point, after: Point) -> Iterator[Entry]:
    for key, line in _at_most(code, subject, limit, before, after):
        yield key, Line(line.before.copy_negate(), line.after.copy_negate())  # a bare minus rounds


def exposure_lines(case: Case) -> Iterator[Entry]:
    """Every subject of either book: what a batch leaves must fit on the way, too."""
    nav, later = nav_before(case), nav_after(case)
    if nav is None or later is None:
        return
    limits, reserve = case.evidence.policy.exposure, case.evidence.catalog.reserve_token
    before, after = values_of(_holdings_before(case), case), values_of(holdings_after(case), case)
    for code, limit in share_limits(limits):
        for subject in before[code] | after[code]:
            ends = Point(before[code][subject], nav), Point(after[code][subject], later)
            yield from _at_most(code, subject, limit, *ends)
    ends = Point(before["reserve_share"][reserve], nav), Point(after["reserve_share"][reserve], later)
    yield from _at_least("reserve_share", reserve, limits.min_reserve_share, *ends)
    yield from _pool_lines(case)
    yield from _turnover_lines(case, nav)


def _holdings_before(case: Case) -> tuple[Worth, ...]:
    return tuple(Worth(c.token, c.strategy, worth_usd(case, c.token, c.before)) for c in changes(case))


def _pool_lines(case: Case) -> Iterator[Entry]:
    evidence, limits = case.evidence, case.evidence.policy.exposure
    for strategy in entered_strategies(case):
        rate = evidence.snapshot.rate(strategy)
        if rate is None:
            continue
        first, last = evidence.before.position_of(strategy), evidence.after.position_of(strategy)
        pools = Point(first, rate.supplied), Point(last, rate.supplied + max(last - first, 0))
        yield from _at_most("pool_supplied_share", strategy, limits.max_pool_supplied_share, *pools)
        free = Point(first, rate.withdrawable), Point(last, rate.withdrawable)
        yield from _at_most("pool_withdrawable_share", strategy, limits.max_pool_withdrawable_share, *free)


def _turnover_lines(case: Case, nav: Decimal) -> Iterator[Entry]:
    limits, used, moved = case.evidence.policy.exposure, case.evidence.budget.turnover_day_usd, moved_usd(case)
    if moved is None:
        return
    yield from _at_most("run_turnover", "batch", limits.max_run_turnover_share, Point(0, nav), Point(moved, nav))
    ends = Point(used, nav), Point(EXACT.add(used, moved), nav)
    yield from _at_most("day_turnover", "24 hours", limits.max_day_turnover_share, *ends)


def budget_lines(case: Case) -> Iterator[Entry]:
    """Value and loss; a part of a batch needs all of its gas."""
    for code, subject, used, ours, limit in budgets.windows(case):
        if ours is not None and code != "day_gas":
            yield from _at_most(code, subject, limit, Point(used), Point(EXACT.add(used, ours)))


def slippage_lines(case: Case) -> Iterator[Entry]:
    ours = slippage_usd(case)
    if ours is not None:
        for code, subject, used, limit in slippage.windows(case):
            yield from _at_most(code, subject, limit, Point(used), Point(EXACT.add(used, ours)))


def economics_lines(case: Case) -> Iterator[Entry]:
    """A part gains at least that part of the gain, and costs at most all of the cost."""
    economics, limits = case.evidence.economics, case.evidence.policy.economics
    if economics is None:
        return
    gain, cost, days = map(measured, (economics.lower_gain_usd, economics.cost_usd, economics.break_even_days))
    if gain is not None and cost is not None:
        ends = Point(cost.copy_negate()), Point(EXACT.subtract(gain, cost))
        yield from _at_least("net_gain", "batch", limits.min_net_gain_usd, *ends)
    longest = exact(limits.max_break_even_days)
    if days is not None and longest is not None:
        yield ("break_even", "batch"), Line(days, EXACT.subtract(days, longest))


class _Book(NamedTuple):
    """Stress losses of one book as fractions of its value; None where one applies and was not measured."""

    losses: Mapping[Scenario, Decimal | None]
    nav: Decimal

    def loss_usd(self, scenario: Scenario) -> Decimal | None:
        """None for a loss of everything, too: it was cut there. A scenario that does not apply costs nothing."""
        loss = self.losses.get(scenario, ZERO)
        return None if loss is None or loss >= 1 else EXACT.multiply(loss, self.nav)


def stress_lines(case: Case) -> Iterator[Entry]:
    """Losses in USD along the chord from one book to the other."""
    evidence, nav, later = case.evidence, nav_before(case), nav_after(case)
    if evidence.risk_before is None or evidence.risk_after is None or nav is None or later is None:
        yield ("stress_loss", BOOK), NEVER
        return
    before = _Book(_losses(evidence.risk_before, evidence.before, case), nav)
    after = _Book(_losses(evidence.risk_after, evidence.after, case), later)
    for scenario in before.losses.keys() | after.losses.keys():
        family, subject = scenario
        bound = exact(getattr(evidence.policy.stress, f"max_{family}_loss_share"))
        if bound is not None:
            yield ("stress_loss", scenario_name(family, subject)), _chord(scenario, before, after, bound)


def _losses(report: RiskReport, portfolio: Portfolio, case: Case) -> dict[Scenario, Decimal | None]:
    """The larger of a scenario's losses, as the decimals that their texts name."""
    losses: dict[Scenario, Decimal | None] = dict.fromkeys(scenario_set(portfolio, case.evidence.catalog))
    for hit in report.stress:
        known = losses.get((hit.family, hit.subject))
        losses[hit.family, hit.subject] = max(known or ZERO, Decimal(str(hit.loss)))
    return losses


def _chord(scenario: Scenario, before: _Book, after: _Book, limit: Decimal) -> Line:
    """On the way the positions of both books may be open: leaving them costs the gas of both."""
    first, last = before.loss_usd(scenario), after.loss_usd(scenario)
    gas_before, gas_after = (book.loss_usd(GAS) if scenario in WITH_GAS else ZERO for book in (before, after))
    if first is None or last is None or gas_before is None or gas_after is None:
        return NEVER
    starts, ends = EXACT.add(first, gas_after), EXACT.add(last, gas_before)
    return Line(Point(starts, before.nav).beyond(limit), Point(ends, after.nav).beyond(limit))
