"""Uniswap v3 SwapRouter02 calls: one pool, exact input, received by the account, never without a minimum."""

from __future__ import annotations

from typing import Final

from domain.abi import SWAP_EXACT_INPUT_SINGLE
from domain.errors import InvariantBroken
from domain.market import Catalog, Venue
from domain.plan import Move
from domain.transaction import UnsignedCall
from tools.transactions.erc20 import approve

NO_PRICE_LIMIT: Final = 0


def swap(move: Move, venue: Venue, catalog: Catalog) -> tuple[UnsignedCall, ...]:
    if move.minimum_out <= 0:
        raise InvariantBroken(f"swap on {venue.id} must have a minimum out above 0, got {move.minimum_out}")
    if {move.token_in, move.token_out} != {venue.token_0, venue.token_1}:
        raise InvariantBroken(f"swap of {move.token_in} to {move.token_out} does not fit venue {venue.id}")
    token_in, token_out = catalog.token(move.token_in), catalog.token(move.token_out)
    router = catalog.contracts.swap_router
    parameters = (
        token_in.address,
        token_out.address,
        venue.fee_pips,
        catalog.account,
        move.amount_in,
        move.minimum_out,
        NO_PRICE_LIMIT,
    )
    return (
        approve(token_in, spender=router, amount=move.amount_in),
        UnsignedCall(target=router, data=SWAP_EXACT_INPUT_SINGLE.encode(parameters)),
    )
