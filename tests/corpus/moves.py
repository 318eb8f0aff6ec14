"""Moves of the corpus in few words, amounts in base units of the token."""

from __future__ import annotations

from domain.plan import Move, MoveKind
from tests.corpus.scene import CATALOG, shares_for


def supply(strategy: str, amount: int) -> Move:
    return _move(MoveKind.SUPPLY, strategy, amount)


def withdraw(strategy: str, amount: int, *, is_whole: bool = False) -> Move:
    return _move(MoveKind.WITHDRAW, strategy, amount, is_whole=is_whole)


def deposit(strategy: str, amount: int) -> Move:
    return _move(MoveKind.DEPOSIT, strategy, amount)


def redeem(strategy: str, amount: int) -> Move:
    return _move(MoveKind.REDEEM, strategy, amount, shares=shares_for(strategy, amount))


def swap(venue_id: str, sold: str, amount: int, minimum_out: int) -> Move:
    venue = next(venue for venue in CATALOG.venues if venue.id == venue_id)
    bought = venue.token_1 if sold == venue.token_0 else venue.token_0
    return Move(
        kind=MoveKind.SWAP,
        token_in=sold,
        token_out=bought,
        amount_in=amount,
        minimum_out=minimum_out,
        venue=venue_id,
    )


def _move(kind: MoveKind, strategy: str, amount: int, **changes: object) -> Move:
    token = CATALOG.strategy(strategy).token
    fields = {"kind": kind, "token_in": token, "token_out": token, "amount_in": amount, "strategy": strategy}
    return Move.model_validate({**fields, **changes})
