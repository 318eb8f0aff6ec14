"""The collectors against real protocol bytecode, checked by reads that do not share their code."""

from __future__ import annotations

from decimal import Decimal

import pytest

from chain.client import ChainClient
from chain.world import World
from collectors.reader import ChainMarketReader
from domain.errors import ChainUnavailable
from domain.portfolio import net_asset_value_usd
from tests.chain.market import Market
from tests.fakes_chain import FixedClock

pytestmark = pytest.mark.chain


def connect(world: World) -> ChainClient:
    multicall = world.catalog.contracts.multicall
    return ChainClient(world.rpc_url, chain_id=world.chain_id, multicall=multicall, sleep=lambda _: None)


def open_reader(world: World) -> ChainMarketReader:
    client = connect(world)
    return ChainMarketReader(client, world.catalog, FixedClock(client.header().time))


def test_every_strategy_and_two_sources_per_token_are_read(world):
    snapshot = open_reader(world).snapshot()

    assert [rate.strategy for rate in snapshot.rates] == [strategy.id for strategy in world.catalog.strategies]
    assert len(snapshot.rates) == 10
    for token in world.catalog.tokens:
        assert [price.source for price in snapshot.prices_of(token.id)] == ["oracle", "uniswap"]


def test_market_prices_stand_close_to_the_oracles(world):
    snapshot = open_reader(world).snapshot()

    for token in world.catalog.tokens:
        oracle, market = (price.price_usd for price in snapshot.prices_of(token.id))
        assert abs(market / oracle - 1) < Decimal("0.005"), token.id


def test_aave_rates_follow_the_curve_that_is_read_with_them(world):
    reserves = [rate for rate in open_reader(world).snapshot().rates if rate.curve is not None]

    assert len(reserves) == 5
    for rate in reserves:
        share = rate.utilization / rate.curve.optimal_utilization
        borrow_apr = rate.curve.base + rate.curve.slope_1 * share
        expected = borrow_apr * rate.utilization * (1 - rate.curve.reserve_factor)
        assert share < 1
        assert rate.supply_apr == pytest.approx(expected, rel=1e-5), rate.strategy


def test_reserves_agree_with_another_reader(world):
    snapshot = open_reader(world).snapshot()
    market = Market(world)

    for token in world.catalog.tokens:
        rate, reserve = snapshot.rate(f"aave-{token.id}"), market.reserve(token.id)
        assert (rate.withdrawable, rate.borrowed) == (reserve.idle, reserve.debt)
        assert rate.supply_apr == pytest.approx(reserve.supply_apr, abs=1e-15)


def test_vaults_agree_with_another_reader(world):
    snapshot = open_reader(world).snapshot()
    market = Market(world)

    for strategy in world.catalog.strategies:
        if strategy.protocol != "aave-v3":
            rate = snapshot.rate(strategy.id)
            assert float(rate.share_price) == pytest.approx(float(market.share_price(strategy.id)), rel=1e-12)
            assert rate.withdrawable == market.integer(strategy.contract, "availableLiquidity()")


def test_a_vaults_rate_is_what_its_share_price_gains_over_a_year_of_such_hours(world):
    before = open_reader(world).snapshot()
    world.scenario.advance(3600)

    after = open_reader(world).snapshot()

    vaults = [rate for rate in before.rates if rate.borrowed is None]
    assert len(vaults) == 5
    for rate in vaults:
        growth = float(after.rate(rate.strategy).share_price / rate.share_price) - 1
        assert growth * 8760 == pytest.approx(rate.supply_apr, rel=0.01), rate.strategy


def test_holdings_are_valued_at_what_they_redeem_for(world):
    reader = open_reader(world)
    market = Market(world)

    portfolio = reader.portfolio()

    value = net_asset_value_usd(portfolio, reader.snapshot(), world.catalog)
    assert portfolio.cash_of("usdc") == market.balance("usdc", world.catalog.account)
    assert value > 800_000


def test_a_slash_shows_in_the_share_price(world):
    strategy = "vault-slashable-usdc"
    before = open_reader(world).snapshot().rate(strategy).share_price
    world.scenario.slash_vault(1_000)

    after = open_reader(world).snapshot().rate(strategy).share_price

    assert float(after / before) == pytest.approx(0.9, abs=0.001)


def test_a_stalled_feed_grows_old_while_the_pool_stays_fresh(world):
    world.scenario.stall_feed("weth")
    world.scenario.advance(7200)

    oracle, market = open_reader(world).snapshot().prices_of("weth")

    assert (market.observed_at - oracle.observed_at).total_seconds() >= 7200


def test_a_quote_agrees_with_another_reader(world):
    quote = open_reader(world).quote(venue="usdc-dai-100", token_in="usdc", token_out="dai", amount_in=10**10)

    assert quote.amount_out == Market(world).quote("usdc", "dai", amount=10**10, fee_pips=100)


def test_the_wrong_chain_is_refused(world):
    client = ChainClient(world.rpc_url, chain_id=1, multicall=world.catalog.contracts.multicall, sleep=lambda _: None)

    with pytest.raises(ChainUnavailable, match="expected chain 1"):
        client.header()
