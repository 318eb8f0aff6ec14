"""What a batch moves, costs and may lose, in USD at the snapshot's prices: guards judge it, budgets reserve it.

Measured on simulated portfolios and decoded calls. Raises StaleOrDisputed where a price is unknown.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from typing import Final, NamedTuple

from domain.errors import StaleOrDisputed
from domain.market import Catalog, Token
from domain.portfolio import Holding, Portfolio, net_asset_value_usd, value_holdings
from domain.units import EXACT, scale_up_bps, value_usd
from domain.verdict import Evidence
from guards.actions import Action, ActionKind, read_actions

NATIVE_DECIMALS: Final = 18
ORACLE: Final = "oracle"
"""The source that no trade of ours moves: min-outs are checked against it, never against the pool traded."""
ENTRIES: Final = frozenset({ActionKind.SUPPLY, ActionKind.DEPOSIT})
EXITS: Final = frozenset({ActionKind.WITHDRAW, ActionKind.REDEEM})


class Change(NamedTuple):
    """One token's cash (strategy None) or one strategy's position, in base units of the token."""

    token: str
    strategy: str | None
    before: int
    after: int


def changes(evidence: Evidence) -> tuple[Change, ...]:
    """Every cash line and position of either portfolio."""
    before, after = _lines(evidence.before, evidence.catalog), _lines(evidence.after, evidence.catalog)
    keys = [*before, *(key for key in after if key not in before)]
    return tuple(Change(*key, before.get(key, 0), after.get(key, 0)) for key in keys)


def _lines(portfolio: Portfolio, catalog: Catalog) -> dict[tuple[str, str | None], int]:
    lines: dict[tuple[str, str | None], int] = defaultdict(int)
    for balance in portfolio.cash:
        lines[balance.token, None] += balance.amount
    for position in portfolio.positions:
        lines[catalog.strategy(position.strategy).token, position.strategy] += position.amount
    return lines


def has_grown(change: Change, evidence: Evidence) -> bool:
    """Beyond the tolerance that a block's interest needs."""
    return change.after > scale_up_bps(change.before, evidence.policy.simulation.max_delta_tolerance_bps)


def entered_strategies(evidence: Evidence) -> tuple[str, ...]:
    """Strategies whose position the calls or the simulation say is increased, in catalog order."""
    actions = read_actions(evidence.batch, evidence.catalog)
    called = {action.strategy.id for action in actions if action.strategy and action.kind in ENTRIES}
    grown = {change.strategy for change in changes(evidence) if change.strategy and has_grown(change, evidence)}
    return tuple(strategy.id for strategy in evidence.catalog.strategies if strategy.id in called | grown)


def left_strategies(evidence: Evidence) -> frozenset[str]:
    """Strategies that the calls take from and whose position the simulation shows smaller."""
    actions = read_actions(evidence.batch, evidence.catalog)
    called = {action.strategy.id for action in actions if action.strategy and action.kind in EXITS}
    fallen = {change.strategy for change in changes(evidence) if change.strategy and change.after < change.before}
    return frozenset(called & fallen)


def swaps(evidence: Evidence) -> tuple[Action, ...]:
    return tuple(a for a in read_actions(evidence.batch, evidence.catalog) if a.kind is ActionKind.SWAP)


def nav_usd(portfolio: Portfolio, evidence: Evidence) -> Decimal:
    return net_asset_value_usd(portfolio, evidence.snapshot, evidence.catalog)


def holdings(portfolio: Portfolio, evidence: Evidence) -> tuple[Holding, ...]:
    return value_holdings(portfolio, evidence.snapshot, evidence.catalog)


def moved_usd(evidence: Evidence) -> Decimal:
    """Value that leaves one line for another; at least what is sold of any one token.

    Net changes alone would not see a swap there and back inside one batch.
    """
    decreases = (_worth(evidence, c.token, c.before - c.after) for c in changes(evidence) if c.after < c.before)
    sold: dict[str, int] = defaultdict(int)
    for swap in swaps(evidence):
        sold[swap.token.id] += swap.amount
    largest_sale = max((_worth(evidence, token, amount) for token, amount in sold.items()), default=Decimal(0))
    return max(sum(decreases, Decimal(0)), largest_sale)


def _worth(evidence: Evidence, token_id: str, amount: int) -> Decimal:
    price = evidence.snapshot.price_usd(token_id)
    if price is None:
        raise StaleOrDisputed(f"token {token_id} has no price at block {evidence.snapshot.block_number}")
    return value_usd(amount, decimals=evidence.catalog.token(token_id).decimals, price_usd=price)


def loss_usd(evidence: Evidence) -> Decimal:
    """What the simulated book is worth less than the current one; never negative."""
    change = EXACT.subtract(nav_usd(evidence.before, evidence), nav_usd(evidence.after, evidence))
    return max(change, Decimal(0))


def slippage_usd(evidence: Evidence) -> Decimal:
    """The most that the swaps' minimum outs allow to be lost against the oracle."""
    return sum((_swap_slippage(swap, evidence) for swap in swaps(evidence)), Decimal(0))


def _swap_slippage(swap: Action, evidence: Evidence) -> Decimal:
    paid = oracle_value(swap.token, swap.amount, evidence)
    received = oracle_value(swap.token_out, swap.minimum_out, evidence)
    return max(EXACT.subtract(paid, received), Decimal(0))


def oracle_value(token: Token | None, amount: int, evidence: Evidence) -> Decimal:
    """Value at the oracle source. Raises StaleOrDisputed without one: a pool may not vouch for itself."""
    prices = evidence.snapshot.prices_of(token.id) if token else ()
    price = next((price.price_usd for price in prices if price.source == ORACLE), None)
    if token is None or price is None:
        raise StaleOrDisputed(f"token {token.id if token else None} has no price of source {ORACLE}")
    return value_usd(amount, decimals=token.decimals, price_usd=price)


def known(measure: Callable[[Evidence], Decimal], evidence: Evidence) -> Decimal | None:
    """The measure, or None where a price that it needs is unknown."""
    try:
        return measure(evidence)
    except StaleOrDisputed:
        return None


def gas_usd(evidence: Evidence) -> Decimal:
    """The fee cap of the envelope at the native token's highest price: costs round up."""
    native = evidence.catalog.native_token
    prices = [price.price_usd for price in evidence.snapshot.prices_of(native)]
    if not prices:
        raise StaleOrDisputed(f"native token {native} has no price at block {evidence.snapshot.block_number}")
    return value_usd(evidence.plan.fee_cap_wei, decimals=NATIVE_DECIMALS, price_usd=max(prices))
