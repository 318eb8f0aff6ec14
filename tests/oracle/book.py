"""What a batch does, by its bytes and the books around it: actions, lines, value moved, exit or not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from domain.market import (
    MarketSnapshot,
    PriceObservation,
    RateObservation,
    Strategy,
    Token,
)
from domain.portfolio import Portfolio
from domain.transaction import Operation
from domain.verdict import Evidence
from tests.oracle.actions import ENTRIES, EXITS, Action, action_of, registered, wrappers_of
from tests.oracle.agreement import is_same_batch
from tests.oracle.calldata import Reading, read_envelope
from tests.oracle.exact import Rational, raised, unit_price
from tests.oracle.remembered import UNSPEAKABLE, digest_of_plan, digest_of_policy, digest_of_snapshot

Line = tuple[str, str]
"""("cash", token) or ("position", strategy)."""


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
        """No digest names it: nobody could say what it is."""
        digests = (digest_of_policy(self.evidence.policy), digest_of_snapshot(self.evidence.snapshot))
        return UNSPEAKABLE in {*digests, digest_of_plan(self.evidence.plan)}

    @cached_property
    def is_listed(self) -> bool:
        """Whether the catalog says of every line what it is, also of those that are empty."""
        lines = {line for book in (self.before, self.after) for line in book.lines}
        return all(self.token_of(line) is not None for line in lines)

    @cached_property
    def reading(self) -> Reading:
        catalog, envelope = self.evidence.catalog, self.evidence.plan.envelope
        if envelope.target != catalog.account or envelope.value_wei or envelope.operation is not Operation.CALL:
            return Reading((), is_complete=False)
        return read_envelope(bytes.fromhex(envelope.data[2:]), wrappers_of(catalog))

    @cached_property
    def reads_as_judged(self) -> bool:
        batch, catalog = self.evidence.batch, self.evidence.catalog
        if (batch.is_complete, batch.chain_id) != (self.is_complete, catalog.chain_id):
            return False
        is_readable = [registered(call, catalog) for call in self.reading.calls]
        return is_same_batch(self.reading, is_readable, batch, self.evidence.plan, wrappers_of(catalog))

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

    def rate_of(self, strategy: str) -> RateObservation | None:
        """Unknown where it was read twice."""
        rates = [rate for rate in self.evidence.snapshot.rates if rate.strategy == strategy]
        return rates[0] if len(rates) == 1 else None

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
        left = [self.strategies[name] for name in self.left]
        may_come = {self.tokens[name].address for name in (reserve, *(strategy.token for strategy in left))}
        may_come |= {strategy.receipt for strategy in left}
        listed = {token.address for token in self.tokens.values()} | {s.receipt for s in self.strategies.values()}
        account = self.evidence.catalog.account
        return not any(self.net[account, contract] > 0 for contract in listed - may_come)

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
