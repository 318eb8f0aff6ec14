"""What entries of the budget book mean: folding them into reservations, losses, runs and valuations; no SQL here."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple, TypeVar

from pydantic import Field

from domain.budget import Spending
from domain.units import Slug, Spent, Usd, Value
from memory.hash_chain import Link


class EntryKind(StrEnum):
    RUN = "run"
    RESERVE = "reserve"
    SETTLE = "settle"
    RELEASE = "release"
    VALUATION = "valuation"


class Settled(Value):
    """Body of a settlement: what the batch did use."""

    gas_usd: Spent
    loss_usd: Spent
    slippage_usd: Spent


class Valued(Value):
    """Body of a valuation: what the account was worth, and the most it was since trading was last resumed."""

    net_asset_value_usd: Usd
    peak_usd: Usd
    resumed_at: int = Field(ge=0)
    """Sequence of that resume in the trading book."""
    protocols: tuple[Slug, ...]


Body = TypeVar("Body", Spending, Settled, Valued)


class Reservation(NamedTuple):
    """One batch in the ledger. Not settled is in flight, and in flight counts as spent, however old it is."""

    at: datetime
    reserved: Spending
    settled: Settled | None = None
    is_released: bool = False

    def gas_usd(self) -> Decimal:
        return self.reserved.gas_usd if self.settled is None else self.settled.gas_usd

    def slippage_usd(self) -> Decimal:
        return self.reserved.slippage_usd if self.settled is None else self.settled.slippage_usd


class Ledger(NamedTuple):
    """Entries, folded, in the order of the book."""

    reservations: tuple[Reservation, ...] = ()
    losses: tuple[tuple[datetime, Decimal], ...] = ()
    runs: tuple[datetime, ...] = ()
    valuations: tuple[tuple[datetime, Valued], ...] = ()


def fold(links: Iterable[Link]) -> Ledger:
    """Raises ValueError on a body that is not one of ours."""
    reservations: dict[str, Reservation] = {}
    losses: list[tuple[datetime, Decimal]] = []
    run_times: list[datetime] = []
    valuations: list[tuple[datetime, Valued]] = []
    for link in links:
        at = datetime.fromisoformat(link.recorded_at)
        match EntryKind(link.kind):
            case EntryKind.RUN:
                run_times.append(at)
            case EntryKind.VALUATION:
                valuations.append((at, body_of(Valued, link)))
            case EntryKind.SETTLE:
                losses.append((at, body_of(Settled, link).loss_usd))
                _advance(reservations, link, at)
            case EntryKind.RESERVE | EntryKind.RELEASE:
                _advance(reservations, link, at)
    return Ledger(tuple(reservations.values()), tuple(losses), tuple(run_times), tuple(valuations))


def fold_one(links: Iterable[Link]) -> Reservation | None:
    """The reservation of the single batch whose entries these are."""
    reservations = fold(links).reservations
    return reservations[0] if reservations else None


def _advance(reservations: dict[str, Reservation], link: Link, at: datetime) -> None:
    """A settlement whose reservation lies before the window has nothing left to change in it."""
    known = reservations.get(link.subject)
    if link.kind == EntryKind.RESERVE:
        reservations[link.subject] = Reservation(at, body_of(Spending, link))
    elif known is not None and link.kind == EntryKind.SETTLE:
        reservations[link.subject] = known._replace(settled=body_of(Settled, link))
    elif known is not None:
        reservations[link.subject] = known._replace(is_released=True)


def body_of(kind: type[Body], link: Link) -> Body:
    body = json.loads(link.body)
    if kind is Spending:
        body.setdefault("loss_usd", "0")  # reservations of the first version named no loss
    return kind.model_validate(body)
