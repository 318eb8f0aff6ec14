"""Aave v3 pool calls: supply and withdraw, always for and to the account itself."""

from __future__ import annotations

from typing import Final

from domain.abi import AAVE_SUPPLY, AAVE_WITHDRAW
from domain.errors import InvariantBroken
from domain.market import Catalog, Strategy
from domain.plan import Move
from domain.transaction import UnsignedCall
from domain.units import UINT256_MAX
from tools.transactions.erc20 import approve

NO_REFERRAL: Final = 0


def supply(move: Move, strategy: Strategy, catalog: Catalog) -> tuple[UnsignedCall, ...]:
    token = catalog.token(strategy.token)
    data = AAVE_SUPPLY.encode(token.address, move.amount_in, catalog.account, NO_REFERRAL)
    return (
        approve(token, spender=strategy.contract, amount=move.amount_in),
        UnsignedCall(target=strategy.contract, data=data),
    )


def withdraw(move: Move, strategy: Strategy, catalog: Catalog) -> tuple[UnsignedCall, ...]:
    """The whole position is asked for as 2^256-1: its interest grows until the block that executes."""
    if move.amount_in <= 0:
        raise InvariantBroken(f"withdrawal from {strategy.id} must be above 0 base units, got {move.amount_in}")
    amount = UINT256_MAX if move.is_whole else move.amount_in
    data = AAVE_WITHDRAW.encode(catalog.token(strategy.token).address, amount, catalog.account)
    return (UnsignedCall(target=strategy.contract, data=data),)
