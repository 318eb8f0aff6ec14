"""What each decoded call does, in the catalog's own terms; None for a call that fits no action."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple, TypeVar

from domain.errors import InvariantBroken
from domain.market import Catalog, Strategy, StrategyKind, Token, Venue
from domain.transaction import DecodedCall
from domain.units import UINT256_MAX

Part = TypeVar("Part")


class ActionKind(StrEnum):
    APPROVE = "approve"
    SUPPLY = "supply"
    WITHDRAW = "withdraw"
    DEPOSIT = "deposit"
    REDEEM = "redeem"
    SWAP = "swap"


class Action(NamedTuple):
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
    def place(self) -> Strategy:
        """The strategy of a supply, withdrawal, deposit or redemption. Raises InvariantBroken for what has none."""
        return _required(self.strategy, self.kind)

    @property
    def bought(self) -> Token:
        """What a swap pays in. Raises InvariantBroken for what is no swap."""
        return _required(self.token_out, self.kind)

    @property
    def is_whole(self) -> bool:
        """Aave reads 2^256-1 as the whole position."""
        return self.kind is ActionKind.WITHDRAW and self.amount == UINT256_MAX


class Directory(NamedTuple):
    """The catalog by address. Where two entries share one, the first in the catalog's order counts."""

    tokens: Mapping[str, Token]
    own_tokens: Mapping[str, Token]
    """By strategy."""
    reserves: Mapping[tuple[str, str], Strategy]
    """By Aave pool and asset."""
    vaults: Mapping[str, Strategy]
    venues: Mapping[tuple[str, str, int], Venue]
    """By the ids of both tokens, either way round, and the fee."""


def make_directory(catalog: Catalog) -> Directory:
    tokens = {token.id: token for token in catalog.tokens}
    strategies = tuple(reversed(catalog.strategies))
    reserves = {
        (strategy.contract, tokens[strategy.token].address): strategy
        for strategy in strategies
        if strategy.kind is StrategyKind.AAVE_V3
    }
    venues: dict[tuple[str, str, int], Venue] = {}
    for venue in reversed(catalog.venues):
        venues[venue.token_0, venue.token_1, venue.fee_pips] = venue
        venues[venue.token_1, venue.token_0, venue.fee_pips] = venue
    return Directory(
        tokens={token.address: token for token in reversed(catalog.tokens)},
        own_tokens={strategy.id: tokens[strategy.token] for strategy in strategies},
        reserves=reserves,
        vaults={strategy.contract: strategy for strategy in strategies if strategy.kind is StrategyKind.ERC4626},
        venues=venues,
    )


def read_approve(call: DecodedCall, directory: Directory) -> Action:
    token = directory.tokens[call.target]
    return Action(ActionKind.APPROVE, call.target, token, _integer(call, "amount"), spender=call.argument("spender"))


def read_supply(call: DecodedCall, directory: Directory) -> Action | None:
    return _read_pool(ActionKind.SUPPLY, "onBehalfOf", call, directory)


def read_withdraw(call: DecodedCall, directory: Directory) -> Action | None:
    return _read_pool(ActionKind.WITHDRAW, "to", call, directory)


def _read_pool(kind: ActionKind, recipient: str, call: DecodedCall, directory: Directory) -> Action | None:
    strategy = directory.reserves.get((call.target, _text(call, "asset")))
    if strategy is None:
        return None
    amount, token = _integer(call, "amount"), directory.own_tokens[strategy.id]
    return Action(kind, call.target, token, amount, strategy, _addresses(call, recipient))


def read_deposit(call: DecodedCall, directory: Directory) -> Action:
    return _read_vault(ActionKind.DEPOSIT, "assets", ("receiver",), call, directory)


def read_redeem(call: DecodedCall, directory: Directory) -> Action:
    return _read_vault(ActionKind.REDEEM, "shares", ("receiver", "owner"), call, directory)


def _read_vault(
    kind: ActionKind, amount: str, recipients: tuple[str, ...], call: DecodedCall, directory: Directory
) -> Action:
    strategy = directory.vaults[call.target]
    token = directory.own_tokens[strategy.id]
    return Action(kind, call.target, token, _integer(call, amount), strategy, _addresses(call, *recipients))


def read_swap(call: DecodedCall, directory: Directory) -> Action | None:
    """None when a token is not listed; a venue that is not is an action without one."""
    token_in = directory.tokens.get(_text(call, "tokenIn"))
    token_out = directory.tokens.get(_text(call, "tokenOut"))
    if token_in is None or token_out is None:
        return None
    return Action(
        ActionKind.SWAP,
        call.target,
        token_in,
        _integer(call, "amountIn"),
        recipients=_addresses(call, "recipient"),
        token_out=token_out,
        minimum_out=_integer(call, "amountOutMinimum"),
        venue=directory.venues.get((token_in.id, token_out.id, _integer(call, "fee"))),
    )


def _required(part: Part | None, kind: ActionKind) -> Part:
    if part is None:
        raise InvariantBroken(f"a guard asked an action of kind {kind} for what it does not have")
    return part


def _integer(call: DecodedCall, name: str) -> int:
    """Raises ValueError when the argument is missing: decoded calls always have it, so a guard fault is right."""
    return int(call.argument(name) or "missing")


def _addresses(call: DecodedCall, *names: str) -> tuple[str, ...]:
    return tuple(_text(call, name) for name in names)


def _text(call: DecodedCall, name: str) -> str:
    return call.argument(name) or "missing"
