"""The recorded episodes against the shared market data: every number that is not assumed is measured again."""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache
from pathlib import Path

import pandas as pd
import pytest

from domain.risk_facts import TokenRole
from tests.market_data import need_table
from tools.shocks.episodes import EPISODES, Episode

NEAREST = 0.00051
"""Shares are kept to three places."""
BY_NAME = {episode.name: episode for episode in EPISODES}
STABLES = {
    ("crash-2020-03", "USDT"): TokenRole.RESERVE_BACKED,
    ("ust-2022-05", "USDT"): TokenRole.RESERVE_BACKED,
    ("steth-2022-06", "USDT"): TokenRole.RESERVE_BACKED,
    ("ftx-2022-11", "USDT"): TokenRole.RESERVE_BACKED,
    ("usdc-2023-03", "USDC"): TokenRole.RESERVE_BACKED,
    ("ust-2022-05", "USTC"): TokenRole.ALGORITHMIC,
    **{(name, "DAI"): TokenRole.CRYPTO_BACKED for name in BY_NAME},
}
STETH_EPISODES = ["ust-2022-05", "steth-2022-06", "ftx-2022-11"]
MAJORS = {"BTC", "ETH"}


@cache
def table(name: str):
    path = need_table(Path(name) / f"{name}.parquet")
    pytest.importorskip("pyarrow", reason="Parquet files need pyarrow")
    return pd.read_parquet(path)


def series(name: str, column: str, **where: str):
    frame = table(name)
    for key, value in where.items():
        frame = frame[frame[key] == value]
    return frame.set_index("date")[column].sort_index()


def text(day: date) -> str:
    return day.isoformat()


def within(values, episode: Episode):
    return values[text(episode.first_day) : text(episode.last_day)]


def fall_of_closes(closes, episode: Episode) -> float:
    before = closes[: text(episode.first_day - timedelta(days=1))].iloc[-1]
    return float(1 - within(closes, episode).min() / before)


@pytest.mark.parametrize("episode", EPISODES, ids=lambda episode: episode.name)
@pytest.mark.parametrize(("asset", "role"), [("BTC", TokenRole.BITCOIN), ("ETH", TokenRole.ETHER)])
def test_fall_of_bitcoin_and_ether_is_the_recorded_one(episode: Episode, asset: str, role: TokenRole) -> None:
    closes = series("prices_daily", "close", asset=asset, source="binance")

    assert episode.falls[role].value == pytest.approx(fall_of_closes(closes, episode), abs=NEAREST)


@pytest.mark.parametrize("episode", EPISODES, ids=lambda episode: episode.name)
def test_fall_of_altcoins_is_the_largest_of_all_that_were_listed(episode: Episode) -> None:
    prices = table("prices_daily")
    listed = prices[(prices["source"] == "yahoo") & (prices["date"] < text(episode.first_day))]
    falls = {
        asset: fall_of_closes(series("prices_daily", "close", asset=asset, source="yahoo"), episode)
        for asset in set(listed["asset"]) - MAJORS
    }

    worst = max(falls, key=falls.__getitem__)

    assert f", {worst}" in episode.falls[TokenRole.ALTCOIN].source
    assert episode.falls[TokenRole.ALTCOIN].value == pytest.approx(falls[worst], abs=NEAREST)


@pytest.mark.parametrize(("place", "role"), STABLES.items(), ids=str)
def test_fall_of_a_stable_token_is_its_lowest_daily_low(place: tuple[str, str], role: TokenRole) -> None:
    episode, asset = BY_NAME[place[0]], place[1]
    lows = series("prices_daily", "low", asset=asset, source="cmc")

    assert asset in episode.falls[role].source
    assert episode.falls[role].value == pytest.approx(1 - within(lows, episode).min(), abs=NEAREST)


def test_every_stable_fall_that_is_not_assumed_is_measured_here() -> None:
    recorded = {
        (episode.name, role)
        for episode in EPISODES
        for role, fall in episode.falls.items()
        if role in set(STABLES.values()) and not fall.is_assumed
    }

    assert recorded == {(name, role) for (name, _), role in STABLES.items()}


@pytest.mark.parametrize("name", STETH_EPISODES)
def test_discount_of_staked_ether_is_the_lowest_six_hour_median(name: str) -> None:
    episode, prices = BY_NAME[name], table("prices_hourly")
    hourly = {
        asset: prices[(prices["asset"] == asset) & (prices["source"] == "coingecko")]
        .assign(hour=lambda rows: rows["ts"].dt.floor("h"))
        .groupby("hour")["price"]
        .mean()
        for asset in ("stETH", "WETH")
    }
    ratio = (hourly["stETH"] / hourly["WETH"]).dropna().rolling("6h").median()

    assert episode.discount.value == pytest.approx(1 - within(ratio, episode).min(), abs=NEAREST)


def test_discount_of_march_2023_is_that_of_coinbase_staked_ether() -> None:
    prices, episode = table("prices_hourly"), BY_NAME["usdc-2023-03"]
    ratio = prices[(prices["asset"] == "cbETH") & (prices["quote"] == "ETH")].set_index("ts")["price"].sort_index()
    before = ratio[: text(episode.first_day - timedelta(days=1))].iloc[-1]

    assert episode.discount.value == pytest.approx(1 - within(ratio, episode).min() / before, abs=NEAREST)


@pytest.mark.parametrize("episode", EPISODES, ids=lambda episode: episode.name)
def test_gas_factor_is_the_highest_day_over_the_month_before(episode: Episode) -> None:
    gas = series("gas_daily", "gas_price_gwei")
    gas = gas[~gas.index.duplicated()]
    month = gas[text(episode.first_day - timedelta(days=30)) : text(episode.first_day - timedelta(days=1))]

    assert episode.gas_factor.value == pytest.approx(within(gas, episode).max() / month.median(), abs=0.006)


@pytest.mark.parametrize(
    ("name", "market", "role"),
    [("ust-2022-05", "aave-v2:UST", TokenRole.ALGORITHMIC), ("usdc-2023-03", "aave-v3:USDT", TokenRole.RESERVE_BACKED)],
)
def test_pools_stood_at_full_utilization_for_the_recorded_days(name: str, market: str, role: TokenRole) -> None:
    utilization = series("lending_daily", "utilization", market_id=market)

    assert BY_NAME[name].full_utilization_days[role].value == (within(utilization, BY_NAME[name]) > 0.98).sum()


@pytest.mark.parametrize("name", ["steth-2022-06", "ftx-2022-11"])
def test_no_large_pool_of_dollars_or_ether_was_full_where_none_is_named(name: str) -> None:
    lending, episode = table("lending_daily"), BY_NAME[name]
    large = lending[(lending["supplied_usd"] > 5e6) & lending["asset_class"].isin(["stable", "eth", "btc"])]
    highest = within(large.set_index("date").sort_index()["utilization"], episode).max()

    assert episode.full_utilization_days == {}
    assert highest < 0.98
