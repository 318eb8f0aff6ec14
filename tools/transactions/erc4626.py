"""ERC-4626 vault calls: deposit and redeem, always for and to the account itself."""

from __future__ import annotations

from domain.abi import VAULT_DEPOSIT, VAULT_REDEEM
from domain.errors import InvariantBroken
from domain.market import Catalog, Strategy
from domain.plan import Move
from domain.transaction import UnsignedCall
from tools.transactions.erc20 import approve


def deposit(move: Move, strategy: Strategy, catalog: Catalog) -> tuple[UnsignedCall, ...]:
    token = catalog.token(strategy.token)
    data = VAULT_DEPOSIT.encode(move.amount_in, catalog.account)
    return (
        approve(token, spender=strategy.contract, amount=move.amount_in),
        UnsignedCall(target=strategy.contract, data=data),
    )


def redeem(move: Move, strategy: Strategy, catalog: Catalog) -> tuple[UnsignedCall, ...]:
    """Exits in shares, never in assets: shares do not drift, and redeeming all of them leaves no dust."""
    if not move.shares:
        raise InvariantBroken(f"redemption from {strategy.id} must name shares above 0, got {move.shares}")
    data = VAULT_REDEEM.encode(move.shares, catalog.account, catalog.account)
    return (UnsignedCall(target=strategy.contract, data=data),)
