"""Calls as actions: what a contract of the catalog does when it is called like this."""

from __future__ import annotations

from typing import Final, NamedTuple

from domain.market import Catalog, Strategy, StrategyKind, Token, Venue
from tests.oracle.calldata import Call, Wrappers

EVERYTHING: Final = 2**256 - 1
"""Aave v3 IPool.withdraw: type(uint256).max withdraws the whole balance."""
ENTRIES: Final = frozenset({"supply", "deposit"})
ACTIONS: Final = frozenset({"approve", "supply", "withdraw", "deposit", "redeem", "exactInputSingle"})
EXITS: Final = frozenset({"withdraw", "redeem"})


class Action(NamedTuple):
    """A call that plays its part in the catalog. `amount` is of `token`, shares where it redeems."""

    name: str
    token: Token
    amount: int
    taker: str
    """Who takes the token from the account, or is allowed to."""
    strategy: Strategy | None = None
    bought: Token | None = None
    minimum_out: int = 0
    venue: Venue | None = None


def wrappers_of(catalog: Catalog) -> Wrappers:
    return Wrappers(catalog.account, catalog.operator, catalog.contracts.multisend_call_only)


def registered(call: Call, catalog: Catalog) -> bool:
    """Whether the contract has this function here, and its words are all that there is."""
    if call.arguments is None or call.signature is None or call.is_delegatecall:
        return False
    match call.signature.name:
        case "approve" | "transfer":
            return any(token.address == call.target for token in catalog.tokens)
        case "supply" | "withdraw":
            return call.target == catalog.contracts.aave_pool
        case "exactInputSingle":
            return call.target == catalog.contracts.swap_router
    vaults = (strategy.contract for strategy in catalog.strategies if strategy.kind is StrategyKind.ERC4626)
    return call.target in vaults


def action_of(call: Call, catalog: Catalog) -> Action | None:
    arguments, signature = call.arguments, call.signature
    if arguments is None or signature is None or not registered(call, catalog):
        return None
    tokens = {token.address: token for token in catalog.tokens}
    name, words = signature.name, arguments
    if name not in ACTIONS:
        return None
    if name == "approve":
        token = tokens.get(call.target)
        return None if token is None else Action(name, token, int(words["amount"]), str(words["spender"]))
    if name == "exactInputSingle":
        return _swap_of(call, words, catalog, tokens)
    return _yield_action_of(call, name, words, catalog)


def _swap_of(call: Call, words: dict[str, int | str], catalog: Catalog, tokens: dict[str, Token]) -> Action | None:
    sold, bought = tokens.get(str(words["tokenIn"])), tokens.get(str(words["tokenOut"]))
    if call.target != catalog.contracts.swap_router or sold is None or bought is None:
        return None
    pair = {sold.id, bought.id}
    venues = (v for v in catalog.venues if {v.token_0, v.token_1} == pair and v.fee_pips == words["fee"])
    return Action(
        "exactInputSingle",
        sold,
        int(words["amountIn"]),
        call.target,
        bought=bought,
        minimum_out=int(words["amountOutMinimum"]),
        venue=next(venues, None),
    )


def _yield_action_of(call: Call, name: str, words: dict[str, int | str], catalog: Catalog) -> Action | None:
    is_pool = name in {"supply", "withdraw"}
    kind = StrategyKind.AAVE_V3 if is_pool else StrategyKind.ERC4626
    if is_pool and call.target != catalog.contracts.aave_pool:
        return None
    for strategy in catalog.strategies:
        token = next(token for token in catalog.tokens if token.id == strategy.token)
        is_named = not is_pool or token.address == words["asset"]
        if strategy.kind is kind and strategy.contract == call.target and is_named:
            amount = words.get("amount", words.get("assets", words.get("shares", 0)))
            return Action(name, token, int(amount), call.target, strategy=strategy)
    return None
