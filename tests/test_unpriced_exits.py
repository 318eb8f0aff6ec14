"""A holding without a price: nothing is entered, and nothing that wants to leave is kept."""

from __future__ import annotations

from decimal import Decimal

import pytest

from domain.run import RunStatus
from tests.builders import make_portfolio, make_snapshot
from tests.builders_evidence import make_limits
from tests.fakes import CATALOG, Treasury

ETHER = 10**18


def crowd(treasury: Treasury, strategy: str) -> None:
    rates = treasury.market.market.rates
    crowded = tuple(
        rate.model_copy(update={"borrowed": rate.supplied}) if rate.strategy == strategy else rate for rate in rates
    )
    treasury.market.market = make_snapshot(CATALOG, rates=crowded)


def unprice(treasury: Treasury, token: str) -> None:
    market = treasury.market.market
    known = tuple(price for price in market.prices if price.token != token)
    treasury.market.market = market.model_copy(update={"prices": known})


@pytest.mark.parametrize("unpriced", ["weth", "usdx", "dai"])
def test_a_holding_without_a_price_keeps_nothing_from_leaving(tmp_path, unpriced):
    treasury = Treasury(tmp_path, policy=make_limits(mitigation={"max_utilization_share": Decimal("0.97")}))
    treasury.market.book = make_portfolio(
        cash={"usdc": 700_000 * 10**6, "weth": ETHER, "dai": ETHER}, positions={"aave-usdx": 100_000 * ETHER}
    )
    crowd(treasury, "aave-usdx")
    unprice(treasury, unpriced)

    record = treasury.run()

    assert (record.status, record.verdict.is_exit) == (RunStatus.EXECUTED, True)
    assert treasury.market.book.position_of("aave-usdx") < 100_000 * ETHER
    assert record.net_asset_value_usd is None
    treasury.close()


def test_a_holding_without_a_price_and_nothing_to_leave_holds(tmp_path):
    treasury = Treasury(tmp_path)
    treasury.market.book = make_portfolio(cash={"usdc": 700_000 * 10**6, "weth": ETHER}, positions={})
    unprice(treasury, "weth")

    record = treasury.run()

    assert (record.status, record.verdict) == (RunStatus.HELD, None)
    assert "token weth has no price" in record.summary
    treasury.close()
