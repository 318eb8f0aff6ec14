"""What a batch does, by its bytes and the books around it: actions, lines, value moved, exit or not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, NamedTuple

from domain.market import Catalog, MarketSnapshot, PriceObservation, Strategy, StrategyKind, Token, Venue
from domain.portfolio import Portfolio
from domain.transaction import Operation
from domain.verdict import Evidence
from tests.oracle.agreement import is_same_batch
from tests.oracle.calldata import Call, Reading, read_envelope
from tests.oracle.exact import Rational, raised, unit_price
from tests.oracle.remembered import UNSPEAKABLE, digest_of_plan, digest_of_policy, digest_of_snapshot

EVERYTHING: Final = 2**256 - 1
"""Aave v3 IPool.withdraw: type(uint256).max withdraws the whole balance."""
Line = tuple[str, str]
"""("cash", token) or ("position", strategy)."""
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


@dataclass(frozen=True)
class Book:
    """One portfolio as lines of base units; shares of positions beside them."""

    lines: Counter[Line]
    shares: Counter[str]

    @property
    def held(self) -> list[tuple[Line, int]]:
        return [(line, amount) for line, amount in self.lines.items() if amount]


@dataclass
class Facts:
    """Everything the limits are compared with, derived once from one piece of evidence."""

    evidence: Evidence
    tokens: dict[str, Token] = field(init=False)
    strategies: dict[str, Strategy] = field(init=False)
    prices: dict[str, list[PriceObservation]] = field(init=False)

    def __post_init__(self) -> None:
        catalog = self.evidence.catalog
        self.tokens = {token.id: token for token in catalog.tokens}
        self.strategies = {strategy.id: strategy for strategy in catalog.strategies}
        self.prices = _grouped(self.evidence.snapshot)

    @cached_property
    def is_unspeakable(self) -> bool:
        """No digest names it, or a position is where the catalog knows nothing: nobody could say what it is."""
        digests = (digest_of_policy(self.evidence.policy), digest_of_snapshot(self.evidence.snapshot))
        named = {name for book in (self.before, self.after) for kind, name in book.lines if kind == "position"}
        return UNSPEAKABLE in {*digests, digest_of_plan(self.evidence.plan)} or not named <= self.strategies.keys()

    @cached_property
    def reading(self) -> Reading:
        catalog, envelope = self.evidence.catalog, self.evidence.plan.envelope
        if envelope.target != catalog.account or envelope.value_wei or envelope.operation is not Operation.CALL:
            return Reading((), is_complete=False)
        return read_envelope(
            data=bytes.fromhex(envelope.data[2:]),
            owner=catalog.operator,
            multisend=catalog.contracts.multisend_call_only,
        )

    @cached_property
    def reads_as_judged(self) -> bool:
        batch, catalog = self.evidence.batch, self.evidence.catalog
        if (batch.is_complete, batch.chain_id) != (self.is_complete, catalog.chain_id):
            return False
        is_readable = [registered(call, catalog) for call in self.reading.calls]
        return is_same_batch(self.reading, is_readable, batch, self.evidence.plan)

    @cached_property
    def is_complete(self) -> bool:
        """Every byte is explained: the wrappers', and each call's by what its contract is."""
        catalog = self.evidence.catalog
        return self.reading.is_complete and all(registered(call, catalog) for call in self.reading.calls)

    @cached_property
    def actions(self) -> list[Action | None]:
        return [action_of(call, self.evidence.catalog) for call in self.reading.calls]

    @cached_property
    def known_actions(self) -> list[Action]:
        return [action for action in self.actions if action is not None]

    @cached_property
    def swaps(self) -> list[Action]:
        return [action for action in self.known_actions if action.name == "exactInputSingle"]

    @cached_property
    def before(self) -> Book:
        return _book(self.evidence.before)

    @cached_property
    def after(self) -> Book:
        return _book(self.evidence.after)

    @cached_property
    def net(self) -> Counter[Line]:
        """Change of each (holder, token contract)."""
        changes: Counter[Line] = Counter()
        for delta in self.evidence.simulation.deltas:
            changes[delta.holder, delta.token] += delta.amount
        return changes

    def token_of(self, line: Line) -> Token | None:
        kind, name = line
        if kind == "cash":
            return self.tokens.get(name)
        strategy = self.strategies.get(name)
        return None if strategy is None else self.tokens[strategy.token]

    def value(self, token: Token | None, amount: int) -> Rational | None:
        """At the lowest price of any source; unknown without one."""
        if amount == 0:
            return 0
        observed = self.prices.get(token.id, []) if token is not None else []
        if token is None or not observed:
            return None
        return amount * unit_price(min(price.price_usd for price in observed), token.decimals)

    def value_of_lines(self, lines: Iterable[tuple[Line, int]]) -> Rational | None:
        return _total(self.value(self.token_of(line), amount) for line, amount in lines)

    @cached_property
    def nav_before(self) -> Rational | None:
        return self.value_of_lines(self.before.held)

    @cached_property
    def nav_after(self) -> Rational | None:
        return self.value_of_lines(self.after.held)

    @cached_property
    def moved(self) -> Rational | None:
        """The larger of all falls of lines added up and the largest sum sold of one token."""
        falls = (self.before.lines - self.after.lines).items()
        sold: Counter[str] = Counter()
        for swap in self.swaps:
            sold[swap.token.id] += swap.amount
        sums = [self.value(self.tokens[token], amount) for token, amount in sold.items()]
        values = [self.value_of_lines(falls), *sums]
        return None if any(value is None for value in values) else max(value for value in values if value is not None)

    @cached_property
    def grown(self) -> list[Line]:
        tolerance = self.evidence.policy.simulation.max_delta_tolerance_bps
        before = self.before.lines
        return [line for line, amount in self.after.lines.items() if amount > raised(before[line], tolerance)]

    @cached_property
    def entered(self) -> set[str]:
        named = {a.strategy.id for a in self.known_actions if a.name in ENTRIES and a.strategy is not None}
        return named | {name for kind, name in self.grown if kind == "position"}

    @cached_property
    def left(self) -> set[str]:
        named = {a.strategy.id for a in self.known_actions if a.name in EXITS and a.strategy is not None}
        lines = {name: ("position", name) for name in named}
        return {name for name, line in lines.items() if self.after.lines[line] < self.before.lines[line]}

    @cached_property
    def is_exit(self) -> bool:
        reserve = self.evidence.catalog.reserve_token
        if not self.actions or any(action is None for action in self.actions):
            return False
        if any(a.name in ENTRIES or (a.bought is not None and a.bought.id != reserve) for a in self.known_actions):
            return False
        fell = self.before.lines - self.after.lines
        if not self.left and not any(kind == "cash" and name != reserve for kind, name in fell):
            return False
        may_grow = {reserve, *(self.strategies[name].token for name in self.left)}
        return all(kind == "cash" and name in may_grow for kind, name in self.grown)

    @cached_property
    def traded(self) -> set[str]:
        tokens = (token for action in self.known_actions for token in (action.token, action.bought))
        return {token.id for token in tokens if token is not None}

    @cached_property
    def live_tokens(self) -> set[str]:
        """Held before or after, named by a call, or paying for gas; of what nobody lists there is no price to judge."""
        held = [self.token_of(line) for book in (self.before, self.after) for line, _ in book.held]
        names = {token.id for token in held if token is not None}
        return names | self.traded | {self.evidence.catalog.native_token}


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


def _grouped(snapshot: MarketSnapshot) -> dict[str, list[PriceObservation]]:
    groups: dict[str, list[PriceObservation]] = {}
    for price in snapshot.prices:
        groups.setdefault(price.token, []).append(price)
    return groups


def _book(portfolio: Portfolio) -> Book:
    lines: Counter[Line] = Counter()
    shares: Counter[str] = Counter()
    for balance in portfolio.cash:
        lines["cash", balance.token] += balance.amount
    for position in portfolio.positions:
        lines["position", position.strategy] += position.amount
        shares[position.strategy] += position.shares
    return Book(lines, shares)


def _total(values: Iterable[Rational | None]) -> Rational | None:
    total: Rational = 0
    for value in values:
        if value is None:
            return None
        total += value
    return total
