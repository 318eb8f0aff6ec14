"""What a batch moves, costs and may lose, in USD at the snapshot's prices: guards judge it, budgets reserve it.

Measured on simulated portfolios and decoded calls. None where a price that it needs is unknown.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final, NamedTuple

from domain.market import Catalog, Token
from domain.oracle import ORACLE
from domain.portfolio import Portfolio
from domain.units import EXACT, scale_up_bps, value_usd
from guards.actions import Action, ActionKind
from guards.case import Case, once
from guards.registry import readings

NATIVE_DECIMALS: Final = 18
ENTRIES: Final = frozenset({ActionKind.SUPPLY, ActionKind.DEPOSIT})
EXITS: Final = frozenset({ActionKind.WITHDRAW, ActionKind.REDEEM})
ZERO: Final = Decimal(0)


class Change(NamedTuple):
    """One token's cash (strategy None) or one strategy's position, in base units of the token."""

    token: str
    strategy: str | None
    before: int
    after: int


class Worth(NamedTuple):
    """One line of a valued portfolio; `strategy` is None for cash."""

    token: str
    strategy: str | None
    value_usd: Decimal | None


@once
def actions(case: Case) -> tuple[Action, ...]:
    """What the calls do, in order; calls that are no action are left out."""
    return tuple(action for action in readings(case) if action is not None)


@once
def swaps(case: Case) -> tuple[Action, ...]:
    return tuple(action for action in actions(case) if action.kind is ActionKind.SWAP)


@once
def changes(case: Case) -> tuple[Change, ...]:
    """Every cash line and position of either portfolio."""
    catalog = case.evidence.catalog
    before, after = _lines(case.evidence.before, catalog), _lines(case.evidence.after, catalog)
    return tuple(Change(*key, before.get(key, 0), after.get(key, 0)) for key in before | after)


def _lines(portfolio: Portfolio, catalog: Catalog) -> dict[tuple[str, str | None], int]:
    lines: dict[tuple[str, str | None], int] = defaultdict(int)
    for balance in portfolio.cash:
        lines[balance.token, None] += balance.amount
    for position in portfolio.positions:
        lines[catalog.strategy(position.strategy).token, position.strategy] += position.amount
    return lines


@once
def grown(case: Case) -> tuple[Change, ...]:
    """Lines that grew beyond the tolerance that a block's interest needs."""
    tolerance = case.evidence.policy.simulation.max_delta_tolerance_bps
    return tuple(change for change in changes(case) if change.after > scale_up_bps(change.before, tolerance))


@once
def entered_strategies(case: Case) -> tuple[str, ...]:
    """Strategies whose position the calls or the simulation say is increased, in catalog order."""
    called = {action.place.id for action in actions(case) if action.kind in ENTRIES}
    entered = called | {change.strategy for change in grown(case)}
    return tuple(strategy.id for strategy in case.evidence.catalog.strategies if strategy.id in entered)


@once
def left_strategies(case: Case) -> frozenset[str]:
    """Strategies that the calls take from and whose position the simulation shows smaller."""
    called = {action.place.id for action in actions(case) if action.kind in EXITS}
    fallen = {change.strategy for change in changes(case) if change.after < change.before}
    return frozenset(called & fallen)


@once
def prices(case: Case) -> Mapping[str, Decimal]:
    """The lowest price of any source, per token: holdings are valued against ourselves."""
    lowest: dict[str, Decimal] = {}
    for price in case.evidence.snapshot.prices:
        lowest[price.token] = min(price.price_usd, lowest.get(price.token, price.price_usd))
    return lowest


@once
def tokens(case: Case) -> Mapping[str, Token]:
    return {token.id: token for token in case.evidence.catalog.tokens}


def worth_usd(case: Case, token_id: str, amount: int) -> Decimal | None:
    price, token = prices(case).get(token_id), tokens(case).get(token_id)
    return None if price is None or token is None else value_usd(amount, decimals=token.decimals, price_usd=price)


@once
def holdings_after(case: Case) -> tuple[Worth, ...]:
    """Every non-zero line of the simulated book, native gas money excluded."""
    return tuple(Worth(c.token, c.strategy, worth_usd(case, c.token, c.after)) for c in changes(case) if c.after)


@once
def nav_before(case: Case) -> Decimal | None:
    return _total(worth_usd(case, change.token, change.before) for change in changes(case) if change.before)


@once
def nav_after(case: Case) -> Decimal | None:
    return _total(holding.value_usd for holding in holdings_after(case))


def _total(values: Iterable[Decimal | None]) -> Decimal | None:
    """Exact sum; one unknown makes all of it unknown."""
    total = ZERO
    for value in values:
        if value is None:
            return None
        total = EXACT.add(total, value)
    return total


@once
def moved_usd(case: Case) -> Decimal | None:
    """Value that leaves one line for another; at least what is sold of any one token.

    Net changes alone would not see a swap there and back inside one batch.
    """
    fallen = _total(worth_usd(case, c.token, c.before - c.after) for c in changes(case) if c.after < c.before)
    sold: dict[str, int] = defaultdict(int)
    for swap in swaps(case):
        sold[swap.token.id] += swap.amount
    sales = [sale for token, amount in sold.items() if (sale := worth_usd(case, token, amount)) is not None]
    return None if fallen is None or len(sales) < len(sold) else max(fallen, *sales, ZERO)


@once
def loss_usd(case: Case) -> Decimal | None:
    """What the simulated book is worth less than the current one; never negative."""
    before, after = nav_before(case), nav_after(case)
    return None if before is None or after is None else max(EXACT.subtract(before, after), ZERO)


@once
def slippage_usd(case: Case) -> Decimal | None:
    """The most that the swaps' minimum outs allow to be lost against the oracle."""
    return _total(_swap_slippage(swap, case) for swap in swaps(case))


def _swap_slippage(swap: Action, case: Case) -> Decimal | None:
    paid = oracle_value(swap.token, swap.amount, case)
    received = oracle_value(swap.bought, swap.minimum_out, case)
    return None if paid is None or received is None else max(EXACT.subtract(paid, received), ZERO)


@once
def oracle_prices(case: Case) -> Mapping[str, Decimal]:
    """The first reading of the oracle, per token: min-outs are checked against it, never against the pool traded."""
    readings: dict[str, Decimal] = {}
    for price in case.evidence.snapshot.prices:
        if price.source == ORACLE:
            readings.setdefault(price.token, price.price_usd)
    return readings


def oracle_value(token: Token, amount: int, case: Case) -> Decimal | None:
    """Value at the oracle source; None without one: a pool may not vouch for itself."""
    price = oracle_prices(case).get(token.id)
    return None if price is None else value_usd(amount, decimals=token.decimals, price_usd=price)


@once
def gas_usd(case: Case) -> Decimal | None:
    """The fee cap of the envelope at the native token's highest price: costs round up."""
    native = case.evidence.snapshot.prices_of(case.evidence.catalog.native_token)
    if not native:
        return None
    highest = max(price.price_usd for price in native)
    return value_usd(case.evidence.plan.fee_cap_wei, decimals=NATIVE_DECIMALS, price_usd=highest)
