"""What each decoded call does, in the catalog's own terms; None for a call that fits no action."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from domain.market import Catalog, Strategy, StrategyKind, Token, Venue
from domain.transaction import DecodedBatch, DecodedCall
from domain.units import UINT256_MAX


class ActionKind(StrEnum):
    APPROVE = "approve"
    SUPPLY = "supply"
    WITHDRAW = "withdraw"
    DEPOSIT = "deposit"
    REDEEM = "redeem"
    SWAP = "swap"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One call. `amount` is in base units of `token`, except for a redemption: shares of the vault."""

    kind: ActionKind
    contract: str
    token: Token
    amount: int
    strategy: Strategy | None = None
    recipients: tuple[str, ...] = ()
    spender: str | None = None
    token_out: Token | None = None
    minimum_out: int = 0
    venue: Venue | None = None

    @property
    def is_whole(self) -> bool:
        """Aave reads 2^256-1 as the whole position."""
        return self.kind is ActionKind.WITHDRAW and self.amount == UINT256_MAX


def read_actions(batch: DecodedBatch, catalog: Catalog) -> tuple[Action, ...]:
    """The batch's actions in order; calls that are none are left out (the allowlist denies them)."""
    actions = (read_action(call, catalog) for call in batch.calls)
    return tuple(action for action in actions if action is not None)


def read_action(call: DecodedCall, catalog: Catalog) -> Action | None:
    """None when the function is not an action, or names a token, strategy or venue outside the catalog."""
    reader = READERS.get(call.function or "")
    return None if reader is None else reader(call, catalog)


def _read_approve(call: DecodedCall, catalog: Catalog) -> Action | None:
    token = catalog.token_at(call.target)
    if token is None:
        return None
    spender = call.argument("spender")
    return Action(
        kind=ActionKind.APPROVE, contract=call.target, token=token, amount=_integer(call, "amount"), spender=spender
    )


def _read_pool(call: DecodedCall, catalog: Catalog) -> Action | None:
    strategy = next((s for s in catalog.strategies if _is_reserve(s, call, catalog)), None)
    if strategy is None:
        return None
    is_supply = call.function == ActionKind.SUPPLY
    return Action(
        kind=ActionKind.SUPPLY if is_supply else ActionKind.WITHDRAW,
        contract=call.target,
        token=catalog.token(strategy.token),
        amount=_integer(call, "amount"),
        strategy=strategy,
        recipients=_addresses(call, "onBehalfOf" if is_supply else "to"),
    )


def _is_reserve(strategy: Strategy, call: DecodedCall, catalog: Catalog) -> bool:
    asset = catalog.token(strategy.token).address
    return (strategy.kind, strategy.contract, asset) == (StrategyKind.AAVE_V3, call.target, call.argument("asset"))


def _read_vault(call: DecodedCall, catalog: Catalog) -> Action | None:
    vaults = (s for s in catalog.strategies if s.kind is StrategyKind.ERC4626)
    strategy = next((vault for vault in vaults if vault.contract == call.target), None)
    if strategy is None:
        return None
    is_deposit = call.function == ActionKind.DEPOSIT
    return Action(
        kind=ActionKind.DEPOSIT if is_deposit else ActionKind.REDEEM,
        contract=call.target,
        token=catalog.token(strategy.token),
        amount=_integer(call, "assets" if is_deposit else "shares"),
        strategy=strategy,
        recipients=_addresses(call, *(("receiver",) if is_deposit else ("receiver", "owner"))),
    )


def _read_swap(call: DecodedCall, catalog: Catalog) -> Action | None:
    token_in = catalog.token_at(call.argument("tokenIn") or "")
    token_out = catalog.token_at(call.argument("tokenOut") or "")
    if token_in is None or token_out is None:
        return None
    venues = catalog.venues_between(token_in.id, token_out.id)
    return Action(
        kind=ActionKind.SWAP,
        contract=call.target,
        token=token_in,
        amount=_integer(call, "amountIn"),
        recipients=_addresses(call, "recipient"),
        token_out=token_out,
        minimum_out=_integer(call, "amountOutMinimum"),
        venue=next((venue for venue in venues if venue.fee_pips == _integer(call, "fee")), None),
    )


def _integer(call: DecodedCall, name: str) -> int:
    """Raises ValueError when the argument is missing: decoded calls always have it, so a guard fault is right."""
    return int(call.argument(name) or "missing")


def _addresses(call: DecodedCall, *names: str) -> tuple[str, ...]:
    return tuple(call.argument(name) or "missing" for name in names)


READERS: Final[Mapping[str, Callable[[DecodedCall, Catalog], Action | None]]] = {
    "approve": _read_approve,
    "supply": _read_pool,
    "withdraw": _read_pool,
    "deposit": _read_vault,
    "redeem": _read_vault,
    "exactInputSingle": _read_swap,
}
