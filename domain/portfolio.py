"""What the account holds, and what that is worth at a snapshot."""

from __future__ import annotations

from decimal import Decimal

from domain.errors import StaleOrDisputed
from domain.market import Catalog, MarketSnapshot
from domain.units import Address, Slug, Uint256, Usd, UtcDatetime, Value, value_usd


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
    lines: list[tuple[str, str | None, int]] = [(b.token, None, b.amount) for b in portfolio.cash if b.amount]
    lines += [(catalog.strategy(p.strategy).token, p.strategy, p.amount) for p in portfolio.positions if p.amount]
    return tuple(
        Holding(token=token, strategy=strategy, amount=amount, value_usd=_priced(token, amount, snapshot, catalog))
        for token, strategy, amount in lines
    )


def priced_value_usd(portfolio: Portfolio, snapshot: MarketSnapshot, catalog: Catalog) -> Decimal:
    """What the holdings with a price are worth together: a lower bound where others have none."""
    known = {price.token for price in snapshot.prices}
    cash = tuple(balance for balance in portfolio.cash if balance.token in known)
    positions = tuple(p for p in portfolio.positions if catalog.strategy(p.strategy).token in known)
    priced = portfolio.model_copy(update={"cash": cash, "positions": positions})
    return net_asset_value_usd(priced, snapshot, catalog)


def _priced(token_id: str, amount: int, snapshot: MarketSnapshot, catalog: Catalog) -> Decimal:
    price = snapshot.price_usd(token_id)
    if price is None:
        raise StaleOrDisputed(f"token {token_id} has no price at block {snapshot.block_number}")
    return value_usd(amount, decimals=catalog.token(token_id).decimals, price_usd=price)


def net_asset_value_usd(portfolio: Portfolio, snapshot: MarketSnapshot, catalog: Catalog) -> Decimal:
    """Sum of the holdings' values. Raises StaleOrDisputed like value_holdings."""
    return sum((holding.value_usd for holding in value_holdings(portfolio, snapshot, catalog)), Decimal(0))
