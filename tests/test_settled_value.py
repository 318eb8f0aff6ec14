"""What a batch lost is booked at the oracle: a pool that somebody moved hides nothing."""

from __future__ import annotations

from decimal import Decimal

import pytest

from domain.market import MarketSnapshot
from domain.portfolio import settled_value_usd
from tests.builders import make_catalog, make_portfolio, make_price, make_snapshot

CATALOG = make_catalog()
USDC, DAI = 10**6, 10**18


def told(*readings: tuple[str, str]) -> MarketSnapshot:
    """The sample market with other readings of USDX: source and price."""
    kept = [price for price in make_snapshot().prices if price.token != "usdx"]
    return make_snapshot(prices=(*kept, *(make_price("usdx", price, source=source) for source, price in readings)))


@pytest.mark.parametrize(
    ("readings", "value"),
    [
        ([("oracle", "1"), ("uniswap", "0.6")], "170_000"),
        ([("oracle", "0.9"), ("uniswap", "1")], "163_000"),
        ([("third", "0.8"), ("uniswap", "0.6")], "142_000"),
        ([], "100_000"),
    ],
)
def test_the_oracle_values_what_is_held_else_the_lowest_source(readings: list[tuple[str, str]], value: str) -> None:
    """30,000 in cash and 40,000 in Aave of USDX beside 100,000 USDC."""
    book = make_portfolio(cash={"usdc": 100_000 * USDC, "usdx": 30_000 * DAI}, positions={"aave-usdx": 40_000 * DAI})

    assert settled_value_usd(book, told(*readings), CATALOG) == Decimal(value)


def test_selling_into_a_moved_pool_is_a_loss() -> None:
    market = told(("oracle", "1"), ("uniswap", "0.6"))
    before = make_portfolio(cash={"usdc": 0, "usdx": 100_000 * DAI}, positions={})
    after = make_portfolio(cash={"usdc": 60_000 * USDC, "usdx": 0}, positions={})

    lost = settled_value_usd(before, market, CATALOG) - settled_value_usd(after, market, CATALOG)

    assert lost == 40_000
