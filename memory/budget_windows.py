"""What a folded ledger adds up to: the rolling windows, the room that is left in them, and the highest valuations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from domain.breakers import Valuation
from domain.budget import Spending, WindowLimits
from domain.errors import BudgetExceeded
from domain.policy import Limit, is_unlimited
from domain.units import EXACT, decimal_text
from domain.verdict import BudgetState
from memory.budget_entries import Ledger, Valued

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
WEEK: Final = timedelta(days=7)
ZERO: Final = Decimal(0)


def used(ledger: Ledger, *, at: datetime) -> BudgetState:
    """Totals of the windows that end now. Entries from the future count, so that a clock set back frees nothing."""
    counted = [each for each in ledger.reservations if not each.is_released]
    day = [each for each in counted if each.settled is None or each.at > at - DAY]
    week = [each for each in counted if each.settled is None or each.at > at - WEEK]
    in_flight = [each.reserved.loss_usd for each in counted if each.settled is None]
    return BudgetState(
        is_intact=True,
        value_day_usd=_total(each.reserved.value_usd for each in day),
        value_week_usd=_total(each.reserved.value_usd for each in week),
        loss_day_usd=_total([*in_flight, *_since(at - DAY, ledger.losses)]),
        loss_week_usd=_total([*in_flight, *_since(at - WEEK, ledger.losses)]),
        gas_day_usd=_total(each.gas_usd() for each in day),
        slippage_day_usd=_total(each.slippage_usd() for each in day),
        slippage_week_usd=_total(each.slippage_usd() for each in week),
        turnover_day_usd=_total(each.reserved.turnover_usd for each in day),
        runs_hour_count=sum(1 for when in ledger.runs if when > at - HOUR),
    )


def _since(start: datetime, dated: Iterable[tuple[datetime, Decimal]]) -> list[Decimal]:
    return [amount for when, amount in dated if when > start]


def _total(amounts: Iterable[Decimal]) -> Decimal:
    total = ZERO
    for amount in amounts:
        total = EXACT.add(total, amount)
    return total


def broken_state() -> BudgetState:
    """Of a ledger that cannot be trusted: its zeros mean nothing, is_intact denies."""
    return used(Ledger(), at=datetime.min.replace(tzinfo=UTC) + WEEK).model_copy(update={"is_intact": False})


def valuation_of(valuations: Sequence[tuple[datetime, Valued]], *, at: datetime, resumed_at: int) -> Valuation:
    """The newest valuation beside the highest ones since the last resume, which starts every height anew."""
    if not valuations:
        return Valuation(net_asset_value_usd=ZERO, day_high_usd=ZERO, week_high_usd=ZERO, peak_usd=ZERO, protocols=())
    newest = valuations[-1][1]
    now = newest.net_asset_value_usd
    since = [(when, each.net_asset_value_usd) for when, each in valuations if each.resumed_at == resumed_at]
    return Valuation(
        net_asset_value_usd=now,
        day_high_usd=max([now, *_since(at - DAY, since)]),
        week_high_usd=max([now, *_since(at - WEEK, since)]),
        peak_usd=newest.peak_usd if newest.resumed_at == resumed_at else now,
        protocols=newest.protocols,
    )


def largest(one: Spending, other: Spending) -> Spending:
    """Amount by amount."""
    return Spending.model_validate({name: max(amount, getattr(other, name)) for name, amount in one})


def require_room(
    state: BudgetState, wanted: Spending, limits: WindowLimits, *, held: Spending | None, subject: str
) -> None:
    """Raises BudgetExceeded when the reservation does not fit into what is left; what it holds already is its own."""
    windows: tuple[tuple[str, Decimal, str, Limit], ...] = (
        ("value in 24 hours", state.value_day_usd, "value_usd", limits.max_day_value_usd),
        ("value in 7 days", state.value_week_usd, "value_usd", limits.max_week_value_usd),
        ("loss in 24 hours", state.loss_day_usd, "loss_usd", limits.max_day_loss_usd),
        ("loss in 7 days", state.loss_week_usd, "loss_usd", limits.max_week_loss_usd),
        ("gas in 24 hours", state.gas_day_usd, "gas_usd", limits.max_day_gas_usd),
        ("slippage in 24 hours", state.slippage_day_usd, "slippage_usd", limits.max_day_slippage_usd),
        ("slippage in 7 days", state.slippage_week_usd, "slippage_usd", limits.max_week_slippage_usd),
        ("turnover in 24 hours", state.turnover_day_usd, "turnover_usd", limits.max_day_turnover_usd),
    )
    _require(subject, "transaction value", ZERO, wanted.value_usd, limits.max_transaction_value_usd)
    for name, total, field, limit in windows:
        own = ZERO if held is None else getattr(held, field)
        _require(subject, name, EXACT.subtract(total, own), getattr(wanted, field), limit)


def _require(subject: str, name: str, spent: Decimal, more: Decimal, limit: Limit) -> None:
    total = EXACT.add(spent, more)
    if not is_unlimited(limit) and total > Decimal(limit):
        raise BudgetExceeded(
            f"batch {subject}: {name} would be {decimal_text(total)} USD, "
            f"the limit is {limit} USD and {decimal_text(spent)} USD are used or in flight"
        )
