"""What the account holds, and what that is worth at a snapshot."""

from __future__ import annotations

from decimal import Decimal

from domain.errors import StaleOrDisputed
from domain.market import Catalog, MarketSnapshot
from domain.oracle import oracle_reading
from domain.units import EXACT, Address, Slug, Uint256, Usd, UtcDatetime, Value, value_usd


class Balance(Value):
    token: Slug
    amount: Uint256


class Position(Value):
    """A holding in a strategy: receipt tokens and what they redeem for now, in base units of the token."""

    strategy: Slug
    shares: Uint256
    amount: Uint256


class Portfolio(Value):
    """Cash, positions and the native balance of the account at one block."""

    account: Address
    chain_id: int
    block_number: int
    taken_at: UtcDatetime
    cash: tuple[Balance, ...]
    positions: tuple[Position, ...]
    native_wei: Uint256

    def cash_of(self, token_id: str) -> int:
        return sum(balance.amount for balance in self.cash if balance.token == token_id)

    def position_of(self, strategy_id: str) -> int:
        return sum(position.amount for position in self.positions if position.strategy == strategy_id)


class Holding(Value):
    """One line of a valued portfolio; `strategy` is None for cash."""

    token: Slug
    strategy: Slug | None
    amount: Uint256
    value_usd: Usd


def value_holdings(portfolio: Portfolio, snapshot: MarketSnapshot, catalog: Catalog) -> tuple[Holding, ...]:
    """Every non-zero holding with its USD value, native gas money excluded.

    Raises StaleOrDisputed when a held token has no price: unknown is never zero and never one dollar.
    """
    return tuple(
        Holding(token=token, strategy=strategy, amount=amount, value_usd=_priced(token, amount, snapshot, catalog))
        for token, strategy, amount in _lines(portfolio, catalog)
    )


def _lines(portfolio: Portfolio, catalog: Catalog) -> list[tuple[str, str | None, int]]:
    lines: list[tuple[str, str | None, int]] = [(b.token, None, b.amount) for b in portfolio.cash if b.amount]
    return lines + [(catalog.strategy(p.strategy).token, p.strategy, p.amount) for p in portfolio.positions if p.amount]


def settled_value_usd(portfolio: Portfolio, snapshot: MarketSnapshot, catalog: Catalog) -> Decimal:
    """What the holdings with a price are worth together, by the oracle where it has one, else at the lowest source.

    The lowest source would hide what a batch lost to a pool that somebody moved: what was sold would be worth no more.
    """
    total = Decimal(0)
    for token_id, _, amount in _lines(portfolio, catalog):
        reading = oracle_reading(token_id, snapshot)
        price = snapshot.price_usd(token_id) if reading is None else reading.price_usd
        if price is not None:
            worth = value_usd(amount, decimals=catalog.token(token_id).decimals, price_usd=price)
            total = EXACT.add(total, worth)
    return total


def _priced(token_id: str, amount: int, snapshot: MarketSnapshot, catalog: Catalog) -> Decimal:
    price = snapshot.price_usd(token_id)
    if price is None:
        raise StaleOrDisputed(f"token {token_id} has no price at block {snapshot.block_number}")
    return value_usd(amount, decimals=catalog.token(token_id).decimals, price_usd=price)


def net_asset_value_usd(portfolio: Portfolio, snapshot: MarketSnapshot, catalog: Catalog) -> Decimal:
    """Sum of the holdings' values. Raises StaleOrDisputed like value_holdings."""
    return sum((holding.value_usd for holding in value_holdings(portfolio, snapshot, catalog)), Decimal(0))
