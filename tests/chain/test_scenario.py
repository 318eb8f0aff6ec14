"""The market moves as told: real swaps, loans and reports, the same way every time."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from chain.market_walk import market_day
from chain.world import World, open_world
from domain.errors import ConfigurationInvalid, InvariantBroken, UnknownSubject
from tests.chain.market import Market

pytestmark = pytest.mark.chain

STABLES = ("usdc", "dai", "usdx")


@pytest.fixture
def market(world: World) -> Market:
    return Market(world)


def test_day_zero_of_the_walk_is_the_world_as_built(market: Market) -> None:
    assert market_day(0).prices_usd == market.world.scenario.prices()


def test_walk_stays_within_its_bands_for_two_years() -> None:
    days = [market_day(day) for day in range(0, 730, 7)]

    assert all(abs(day.prices_usd[token] - 1) <= Decimal("0.001") for day in days for token in STABLES)
    assert all(1_800 < day.prices_usd["weth"] < 7_000 for day in days)
    assert all(0.30 <= share <= 0.91 for day in days for share in day.utilizations.values())
    assert all(10 * 10**9 <= day.base_fee_wei <= 20 * 10**9 for day in days)
    assert len({day.prices_usd["weth"] for day in days}) == len(days)


def test_day_moves_clock_feeds_pools_loans_and_base_fee(market: Market) -> None:
    before = market.transactor.head_time()
    expected = market_day(1)

    market.world.scenario.step_day(1)

    ether = float(expected.prices_usd["weth"] / expected.prices_usd["usdc"])
    assert market.transactor.head_time() == before + 86_400
    assert {token: market.feed(token) for token in expected.prices_usd} == {
        token: (price, 0) for token, price in expected.prices_usd.items()
    }
    assert market.pool_price("usdc-weth-500", "weth") == pytest.approx(ether, rel=2e-5)
    assert market.pool_price("usdc-weth-3000", "weth") == pytest.approx(ether, rel=2e-5)
    assert market.reserve("dai").utilization == pytest.approx(expected.utilizations["dai"], abs=1e-3)
    assert int(market.world.node.rpc.head()["baseFeePerGas"], 16) == expected.base_fee_wei


def test_aave_rates_differ_from_day_to_day(market: Market) -> None:
    rates = set()
    for day in range(1, 6):
        market.world.scenario.step_day(day)
        rates.add(round(market.reserve("usdc").supply_apr, 6))

    assert len(rates) == 5


def test_same_steps_give_the_same_chain(world: World, world_cache: Path) -> None:
    with open_world(cache=world_cache) as other:
        for day in range(1, 4):
            world.scenario.step_day(day)
            other.scenario.step_day(day)

        assert other.node.rpc.head()["stateRoot"] == world.node.rpc.head()["stateRoot"]


def test_vault_yield_accrues_as_funded(market: Market) -> None:
    before = market.share_price("vault-slashable-usdc")

    market.world.scenario.advance(30 * 86_400)

    growth = float(market.share_price("vault-slashable-usdc") / before) - 1
    assert growth == pytest.approx(0.061 * 30 / 365, rel=1e-3)


def test_vault_on_aave_earns_what_aave_pays(market: Market) -> None:
    before, rate = market.share_price("vault-aave-usdc"), market.reserve("usdc").supply_apr

    market.world.scenario.advance(10 * 86_400)

    growth = float(market.share_price("vault-aave-usdc") / before) - 1
    assert growth == pytest.approx(rate * 10 / 365, rel=1e-3)


def test_refreshed_feeds_keep_their_prices(market: Market) -> None:
    prices = market.world.scenario.prices()
    market.world.scenario.advance(7_200)

    market.world.scenario.refresh_feeds()

    assert market.world.scenario.prices() == prices
    assert {market.feed(token)[1] for token in prices} == {0}


def test_feed_and_pool_agree_on_a_set_price(market: Market) -> None:
    market.world.scenario.set_price("wbtc", Decimal(45_000))

    assert market.feed("wbtc") == (Decimal(45_000), 0)
    assert market.pool_price("usdc-wbtc-3000", "wbtc") == pytest.approx(45_000, rel=2e-5)


def test_synced_pools_follow_feeds_after_a_trade_moved_one(market: Market) -> None:
    market.swap("usdc", "weth", amount=3_000_000 * 10**6, fee_pips=500)
    moved = market.pool_price("usdc-weth-500", "weth")

    market.world.scenario.sync_pools()

    assert moved > 3_600
    assert market.pool_price("usdc-weth-500", "weth") == pytest.approx(3_500, rel=2e-5)


def test_broken_peg_slides_over_hours_and_can_still_be_sold(market: Market) -> None:
    before = market.transactor.head_time()

    market.world.scenario.break_peg("usdx", Decimal("0.88"), hours=6, steps=3)

    received = market.quote("usdx", "usdc", amount=100_000 * 10**18, fee_pips=100)
    assert market.transactor.head_time() >= before + 6 * 3_600
    assert market.feed("usdx")[0] == Decimal("0.88")
    assert market.pool_price("usdc-usdx-500", "usdx") == pytest.approx(0.88, rel=2e-5)
    assert received > 88_000 * 10**6 * 9_980 // 10_000


def test_stalled_feed_is_the_only_old_one(market: Market) -> None:
    heartbeat = market.catalog.token("dai").feed_heartbeat_seconds

    market.world.scenario.stall_feed("dai")

    assert market.feed("dai")[1] > heartbeat
    assert all(market.feed(token)[1] == 0 for token in ("usdc", "usdx", "weth", "wbtc"))


def test_gas_spike_is_what_the_next_transaction_pays(market: Market) -> None:
    rpc = market.world.node.rpc

    market.world.scenario.spike_gas(400 * 10**9)

    spiked = int(rpc.head()["baseFeePerGas"], 16)
    rpc.call("evm_mine")
    assert spiked == 400 * 10**9
    assert int(rpc.head()["baseFeePerGas"], 16) == 400 * 10**9


def test_full_utilization_leaves_nothing_to_withdraw(market: Market) -> None:
    market.world.scenario.set_utilization("usdc", Decimal(1))

    vault, depositor = market.vault("vault-aave-usdc"), market.world.manifest.actors.depositor
    assert market.reserve("usdc").idle == 0
    assert market.integer(vault, "availableLiquidity()") == 0
    assert market.integer(vault, "maxWithdraw(address)", depositor) == 0


def test_loans_change_by_the_amount_asked_for(market: Market) -> None:
    before = market.reserve("dai").idle

    market.world.scenario.change_borrow("dai", 10**24)
    lent = market.reserve("dai").idle
    market.world.scenario.change_borrow("dai", -(10**24))

    assert before - lent == 10**24
    assert market.reserve("dai").idle == before


def test_slash_lowers_the_share_price_by_its_share(market: Market) -> None:
    before = market.share_price("vault-slashable-usdc")

    market.world.scenario.slash_vault(500)

    assert float(market.share_price("vault-slashable-usdc") / before) == pytest.approx(0.95, rel=1e-6)


def test_limited_vault_closes_at_its_daily_limit_and_reopens_the_next_day(market: Market) -> None:
    vault, limit = market.vault("vault-limited-dai"), 400_000 * 10**18
    market.deposit("vault-limited-dai", 900_000 * 10**18)
    offered = market.integer(vault, "maxWithdraw(address)", market.trader)

    market.withdraw("vault-limited-dai", limit)

    assert offered == limit
    assert market.integer(vault, "maxWithdraw(address)", market.trader) == 0
    market.world.scenario.advance(86_400)
    assert market.integer(vault, "maxWithdraw(address)", market.trader) == limit


def test_limited_vault_refuses_more_than_its_daily_limit(market: Market) -> None:
    market.deposit("vault-limited-dai", 900_000 * 10**18)

    with pytest.raises(InvariantBroken, match=r"withdraw.* reverted"):
        market.withdraw("vault-limited-dai", 400_000 * 10**18 + 1)


def test_clock_advances_in_the_blocks_asked_for(market: Market) -> None:
    rpc = market.world.node.rpc
    number, time = int(rpc.call("eth_blockNumber"), 16), market.transactor.head_time()

    market.world.scenario.advance(100, blocks=3)

    assert int(rpc.call("eth_blockNumber"), 16) == number + 3
    assert market.transactor.head_time() == time + 100


def test_more_blocks_than_seconds_are_refused(market: Market) -> None:
    with pytest.raises(ConfigurationInvalid, match="2 s cannot hold 3 blocks"):
        market.world.scenario.advance(2, blocks=3)


def test_impossible_utilization_is_refused(market: Market) -> None:
    with pytest.raises(ConfigurationInvalid, match=r"within 0 and 1, got 1\.01"):
        market.world.scenario.set_utilization("usdc", Decimal("1.01"))


def test_impossible_slash_is_refused(market: Market) -> None:
    with pytest.raises(ConfigurationInvalid, match="within 0 and 10000 bps, got 10001"):
        market.world.scenario.slash_vault(10_001)


def test_unknown_token_is_refused_by_name(market: Market) -> None:
    with pytest.raises(UnknownSubject, match="'usdt' is not in the catalog"):
        market.world.scenario.set_price("usdt", Decimal(1))


def test_treasury_is_never_touched_by_the_market(market: Market) -> None:
    account = market.catalog.account
    scenario = market.world.scenario

    scenario.step_day(1)
    scenario.break_peg("usdx", Decimal("0.95"), hours=2, steps=2)
    scenario.slash_vault(100)

    assert market.balance("usdc", account) == 700_000 * 10**6
    assert market.integer(account, "nonce()") == 0
    assert int(market.world.node.rpc.call("eth_getTransactionCount", market.catalog.operator, "latest"), 16) == 0
