"""Budgets: value, loss, gas and run count over rolling windows, in-flight counted as spent."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from domain.budget import Spending
from domain.units import EXACT
from domain.verdict import Evidence
from guards.case import Case
from guards.finding import Quantity, Row, Ruler
from guards.measures import gas_usd, loss_usd, moved_usd, slippage_usd
from guards.soundness import read_again

RULER = Ruler("budgets")


def measure_spending(evidence: Evidence) -> Spending:
    """The amounts that these guards judged, for the ledger to reserve.

    An exit must not wait for a price: what cannot be measured reserves nothing, and settling records the rest.
    """
    case = Case(read_again(evidence))
    moved = moved_usd(case) or Decimal(0)
    return Spending(
        value_usd=moved,
        loss_usd=loss_usd(case) or Decimal(0),
        gas_usd=gas_usd(case) or Decimal(0),
        slippage_usd=slippage_usd(case) or Decimal(0),
        turnover_usd=moved,
    )


def check_budgets(case: Case) -> tuple[Row, ...]:
    """A ledger that cannot be read counts as exhausted; its row comes first and the rest is still shown."""
    is_intact = case.evidence.budget.is_intact
    state = "intact" if is_intact else "corrupt or unreadable"
    ledger = RULER.fact("ledger_corrupt", "ledger", passed=is_intact, limit="intact", observed=state)
    return (ledger, *_check_windows(case))


class Window(NamedTuple):
    """What a rolling window has used and what this batch adds, against the most that it may have."""

    code: str
    subject: str
    used: Decimal
    ours: Decimal | None
    limit: Quantity | str


def windows(case: Case) -> tuple[Window, ...]:
    limits, used = case.evidence.policy.budgets, case.evidence.budget
    moved, loss, gas = moved_usd(case), loss_usd(case), gas_usd(case)
    return (
        Window("transaction_value", "batch", Decimal(0), moved, limits.max_transaction_value_usd),
        Window("day_value", "24 hours", used.value_day_usd, moved, limits.max_day_value_usd),
        Window("week_value", "7 days", used.value_week_usd, moved, limits.max_week_value_usd),
        Window("day_loss", "24 hours", used.loss_day_usd, loss, limits.max_day_loss_usd),
        Window("week_loss", "7 days", used.loss_week_usd, loss, limits.max_week_loss_usd),
        Window("day_gas", "24 hours", used.gas_day_usd, gas, limits.max_day_gas_usd),
    )


def _check_windows(case: Case) -> Iterator[Row]:
    for code, subject, used, ours, limit in windows(case):
        total = None if ours is None else EXACT.add(used, ours)
        yield RULER.at_most(code, subject, observed=total, limit=limit, unit="usd")
    runs, most = case.evidence.budget.runs_hour_count, case.evidence.policy.budgets.max_hour_runs_count
    yield RULER.at_most("runs_per_hour", "60 minutes", observed=runs, limit=most, unit="runs")
