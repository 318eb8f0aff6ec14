"""What budget entries mean: folding a book's entries into reservations and rolling windows; no SQL here."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple, TypeVar

from domain.errors import BudgetExceeded
from domain.policy import BudgetLimits, is_unlimited
from domain.units import EXACT, Usd, Value, decimal_text
from domain.verdict import BudgetState
from memory.hash_chain import Link

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
WEEK: Final = timedelta(days=7)
ZERO: Final = Decimal(0)


class EntryKind(StrEnum):
    RUN = "run"
    RESERVE = "reserve"
    SETTLE = "settle"
    RELEASE = "release"


class Reserved(Value):
    """Body of a reservation: the most that a batch may use."""

    value_usd: Usd
    gas_usd: Usd
    slippage_usd: Usd
    turnover_usd: Usd


class Settled(Value):
    """Body of a settlement: what the batch did use."""

    gas_usd: Usd
    loss_usd: Usd
    slippage_usd: Usd


Body = TypeVar("Body", Reserved, Settled)


class Reservation(NamedTuple):
    """One batch in the ledger. Not settled is in flight, and in flight counts as spent, however old it is."""

    at: datetime
    reserved: Reserved
    settled: Settled | None = None
    is_released: bool = False

    def gas_usd(self) -> Decimal:
        return self.reserved.gas_usd if self.settled is None else self.settled.gas_usd

    def slippage_usd(self) -> Decimal:
        return self.reserved.slippage_usd if self.settled is None else self.settled.slippage_usd


class Ledger(NamedTuple):
    """Entries, folded."""

    reservations: tuple[Reservation, ...]
    losses: tuple[tuple[datetime, Decimal], ...]
    runs: tuple[datetime, ...]


def fold(links: Iterable[Link]) -> Ledger:
    """Raises ValueError on a body that is not one of ours."""
    reservations: dict[str, Reservation] = {}
    losses: list[tuple[datetime, Decimal]] = []
    run_times: list[datetime] = []
    for link in links:
        at = datetime.fromisoformat(link.recorded_at)
        match EntryKind(link.kind):
            case EntryKind.RUN:
                run_times.append(at)
            case EntryKind.SETTLE:
                losses.append((at, _body(Settled, link).loss_usd))
                _advance(reservations, link, at)
            case EntryKind.RESERVE | EntryKind.RELEASE:
                _advance(reservations, link, at)
    return Ledger(tuple(reservations.values()), tuple(losses), tuple(run_times))


def fold_one(links: Iterable[Link]) -> Reservation | None:
    """The reservation of the single batch whose entries these are."""
    reservations = fold(links).reservations
    return reservations[0] if reservations else None


def _advance(reservations: dict[str, Reservation], link: Link, at: datetime) -> None:
    """A settlement whose reservation lies before the window has nothing left to change in it."""
    known = reservations.get(link.subject)
    if link.kind == EntryKind.RESERVE:
        reservations[link.subject] = Reservation(at, _body(Reserved, link))
    elif known is not None and link.kind == EntryKind.SETTLE:
        reservations[link.subject] = known._replace(settled=_body(Settled, link))
    elif known is not None:
        reservations[link.subject] = known._replace(is_released=True)


def _body(kind: type[Body], link: Link) -> Body:
    return kind.model_validate(json.loads(link.body))


def used(ledger: Ledger, *, at: datetime) -> BudgetState:
    """Totals of the windows that end now. Entries from the future count, so that a clock set back frees nothing."""
    counted = [each for each in ledger.reservations if not each.is_released]
    day = [each for each in counted if each.settled is None or each.at > at - DAY]
    week = [each for each in counted if each.settled is None or each.at > at - WEEK]
    return BudgetState(
        is_intact=True,
        value_day_usd=_total(each.reserved.value_usd for each in day),
        value_week_usd=_total(each.reserved.value_usd for each in week),
        loss_day_usd=_total(loss for when, loss in ledger.losses if when > at - DAY),
        loss_week_usd=_total(loss for when, loss in ledger.losses if when > at - WEEK),
        gas_day_usd=_total(each.gas_usd() for each in day),
        slippage_day_usd=_total(each.slippage_usd() for each in day),
        slippage_week_usd=_total(each.slippage_usd() for each in week),
        turnover_day_usd=_total(each.reserved.turnover_usd for each in day),
        runs_hour_count=sum(1 for when in ledger.runs if when > at - HOUR),
    )


def _total(amounts: Iterable[Decimal]) -> Decimal:
    total = ZERO
    for amount in amounts:
        total = EXACT.add(total, amount)
    return total


def broken_state() -> BudgetState:
    """Of a ledger that cannot be trusted: its zeros mean nothing, is_intact denies."""
    return used(Ledger((), (), ()), at=datetime.min.replace(tzinfo=UTC) + WEEK).model_copy(update={"is_intact": False})


def largest(one: Reserved, other: Reserved) -> Reserved:
    """Amount by amount."""
    return Reserved(
        value_usd=max(one.value_usd, other.value_usd),
        gas_usd=max(one.gas_usd, other.gas_usd),
        slippage_usd=max(one.slippage_usd, other.slippage_usd),
        turnover_usd=max(one.turnover_usd, other.turnover_usd),
    )


def require_room(
    state: BudgetState, wanted: Reserved, limits: BudgetLimits, *, held: Reserved | None, subject: str
) -> None:
    """Raises BudgetExceeded when the reservation does not fit into what is left; what it holds already is its own."""
    value_held, gas_held = (ZERO, ZERO) if held is None else (held.value_usd, held.gas_usd)
    rows = (
        ("transaction value", ZERO, wanted.value_usd, limits.max_transaction_value_usd),
        (
            "value in 24 hours",
            EXACT.subtract(state.value_day_usd, value_held),
            wanted.value_usd,
            limits.max_day_value_usd,
        ),
        (
            "value in 7 days",
            EXACT.subtract(state.value_week_usd, value_held),
            wanted.value_usd,
            limits.max_week_value_usd,
        ),
        ("gas in 24 hours", EXACT.subtract(state.gas_day_usd, gas_held), wanted.gas_usd, limits.max_day_gas_usd),
    )
    for name, spent, more, limit in rows:
        total = EXACT.add(spent, more)
        if not is_unlimited(limit) and total > Decimal(limit):
            raise BudgetExceeded(
                f"batch {subject}: {name} would be {decimal_text(total)} USD, "
                f"the limit is {limit} USD and {decimal_text(spent)} USD are used or in flight"
            )
