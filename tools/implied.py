"""The portfolio that moves would leave, before anything is simulated; good enough to compare candidates with."""

from __future__ import annotations

import math
from collections.abc import Sequence

from domain.errors import InvariantBroken
from domain.market import Catalog, MarketSnapshot
from domain.plan import Move, MoveKind
from domain.policy import Policy
from domain.portfolio import Balance, Portfolio, Position
from tools.costs import PIPS_PER_ONE, SWAP_IMPACT_PIPS
from tools.swap_floors import fair_amount, fair_floor


def portfolio_after(
    portfolio: Portfolio, moves: Sequence[Move], *, snapshot: MarketSnapshot, catalog: Catalog, policy: Policy
) -> Portfolio:
    """Cash and positions after the moves. Swaps pay the oracle's value less fee and expected impact, rounded down,
    and never less than their floor: below it they would not be made.

    Raises InvariantBroken when a move spends more than is there.
    """
    cash = {token.id: portfolio.cash_of(token.id) for token in catalog.tokens}
    positions = {strategy.id: portfolio.position_of(strategy.id) for strategy in catalog.strategies}
    for move in moves:
        if move.kind is MoveKind.SWAP:
            cash[move.token_in] -= move.amount_in
            cash[move.token_out] += _swap_out(move, snapshot, catalog, policy)
        elif move.strategy is not None:
            sign = 1 if move.kind in {MoveKind.SUPPLY, MoveKind.DEPOSIT} else -1
            cash[move.token_in] -= sign * move.amount_in
            positions[move.strategy] += sign * move.amount_in
    _check(cash, positions)
    return portfolio.model_copy(
        update={
            "cash": tuple(Balance(token=token, amount=amount) for token, amount in cash.items() if amount),
            "positions": tuple(
                Position(strategy=strategy, shares=amount, amount=amount)
                for strategy, amount in positions.items()
                if amount
            ),
        }
    )


def swap_fee_pips(move: Move, catalog: Catalog) -> int:
    """Fee of the move's venue. Raises InvariantBroken for a venue that the catalog does not list."""
    venue = next((venue for venue in catalog.venues if venue.id == move.venue), None)
    if venue is None:
        raise InvariantBroken(f"swap of {move.token_in} to {move.token_out} names unknown venue {move.venue}")
    return venue.fee_pips


def _swap_out(move: Move, snapshot: MarketSnapshot, catalog: Catalog, policy: Policy) -> int:
    fair = fair_amount(
        move.amount_in, token_in=move.token_in, token_out=move.token_out, snapshot=snapshot, catalog=catalog
    )
    cost_pips = swap_fee_pips(move, catalog) + SWAP_IMPACT_PIPS
    expected = math.floor(fair * (PIPS_PER_ONE - cost_pips) / PIPS_PER_ONE)
    return max(expected, fair_floor(move, snapshot=snapshot, catalog=catalog, policy=policy))


def _check(cash: dict[str, int], positions: dict[str, int]) -> None:
    for subject, amount in (*cash.items(), *positions.items()):
        if amount < 0:
            raise InvariantBroken(f"moves would leave {amount} base units of {subject}, must be at least 0")
