"""How often an account was used, on the chain and by the books: a chain ahead of its books halts trading."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydantic import Field

from domain.breakers import Trip
from domain.units import Address, Value
from domain.verdict import TradingState

BEHIND: Final = "books_behind_chain"
UNIT: Final = "transactions"


class ChainUse(Value):
    """Mined transactions of the operator, and those that the Safe executed."""

    chain_id: int
    operator: Address
    account: Address
    operator_count: int = Field(ge=0)
    safe_count: int | None = Field(default=None, ge=0)
    """None where the account is no Safe, or nobody noted its count."""


def trips_behind(seen: ChainUse, known: ChainUse) -> tuple[Trip, ...]:
    """One per count in which the chain is ahead: books of an older day, or a key that somebody else uses."""
    return tuple(_trips(seen, known))


def _trips(seen: ChainUse, known: ChainUse) -> Iterator[Trip]:
    if seen.operator_count > known.operator_count:
        yield _trip(f"operator {seen.operator}", seen.operator_count, known.operator_count)
    if known.safe_count is not None and seen.safe_count is not None and seen.safe_count > known.safe_count:
        yield _trip(f"Safe {seen.account}", seen.safe_count, known.safe_count)


def _trip(subject: str, seen: int, known: int) -> Trip:
    return Trip(
        code=BEHIND, state=TradingState.HALTED, subject=subject, limit=str(known), observed=str(seen), unit=UNIT
    )
