"""Daily readings of recorded stablecoin markets to walk an allocation through: rates, prices, liquidity, gas."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from tests.market_data import LENDING, PRICES, read_table
from tools.history import DAYS_PER_YEAR, FloatArray

HOURLY: Final = Path("prices_hourly") / "prices_hourly.parquet"
GAS: Final = Path("gas_daily") / "gas_daily.parquet"
COLUMNS: Final = (
    "date",
    "market_id",
    "asset",
    "asset_class",
    "supply_apr",
    "supplied_usd",
    "borrowed_usd",
    "tvl_usd",
    "stale_days",
)
FILLED_DAYS: Final = 7
WEEK: Final = 7
EVENING_HOURS: Final = 6
MIN_TVL_USD: Final = 5_000_000.0
MAX_STALE_DAYS: Final = 3.0
SAME_COIN: Final = {"UST": "USTC"}
NOT_A_DOLLAR: Final = ("RAI", "AMPL")
"""Stable by another measure than one dollar: the peg says nothing about them."""


class Markets(NamedTuple):
    """Rows are days, columns markets. Rates are fractions a year, NaN where unknown; a leg's gas is in USD per unit."""

    days: pd.DatetimeIndex
    names: tuple[str, ...]
    assets: tuple[str, ...]
    apr: FloatArray
    price: FloatArray
    supplied_usd: FloatArray
    liquid_usd: FloatArray
    tvl_usd: FloatArray
    stale_days: FloatArray
    gas_unit_usd: FloatArray

    @property
    def growth(self) -> FloatArray:
        """What one unit becomes within the day: accrual at its rate and the change of price since the day before."""
        relatives = np.ones_like(self.price)
        relatives[1:] = self.price[1:] / self.price[:-1]
        return np.asarray((1.0 + np.nan_to_num(self.apr) / DAYS_PER_YEAR) * relatives)


def read_stable_markets(folder: Path, first: str, last: str) -> Markets:
    """Markets of stablecoins with a price; readings are carried over at most FILLED_DAYS."""
    days = pd.date_range(first, last, freq="D")
    lending = read_table(folder, LENDING, COLUMNS)
    lending = lending[(lending["asset_class"] == "stable") & ~lending["asset"].isin(NOT_A_DOLLAR)]
    prices = _prices(folder, days, sorted(lending["asset"].unique()))
    lending = lending[lending["asset"].isin(prices.columns)]
    coins = lending.drop_duplicates("market_id").set_index("market_id")["asset"].sort_index()
    names = tuple(str(name) for name in coins.index)

    def table(column: str) -> FloatArray:
        wide = lending.pivot_table(index="date", columns="market_id", values=column, aggfunc="last")
        wide.index = pd.to_datetime(wide.index)
        return np.asarray(wide.reindex(days, method="ffill", limit=FILLED_DAYS)[list(names)], dtype=np.float64)

    supplied = table("supplied_usd")
    return Markets(
        days=days,
        names=names,
        assets=tuple(str(coin) for coin in coins),
        apr=table("supply_apr") / 100.0,
        price=np.asarray(prices[list(coins)], dtype=np.float64),
        supplied_usd=supplied,
        liquid_usd=np.maximum(supplied - table("borrowed_usd"), 0.0),
        tvl_usd=table("tvl_usd"),
        stale_days=table("stale_days"),
        gas_unit_usd=_gas(folder, days),
    )


def known_rates(markets: Markets, today: int) -> FloatArray:
    """Mean rate of the last week, NaN for a market that is small, stale or unpriced."""
    rates = markets.apr[today - WEEK : today].mean(axis=0)
    is_usable = (markets.tvl_usd[today - 1] > MIN_TVL_USD) & (markets.stale_days[today - 1] < MAX_STALE_DAYS)
    return np.asarray(np.where(is_usable & np.isfinite(markets.price[today - 1]), rates, np.nan))


def _prices(folder: Path, days: pd.DatetimeIndex, assets: list[str]) -> pd.DataFrame:
    """Median of the day's last EVENING_HOURS in USD, else the daily close, else the day before.

    Single hourly prints are wrong by up to nine tenths; a coin without any price is left out.
    """
    hourly = read_table(folder, HOURLY, ("ts", "asset", "price", "quote"))
    moment = pd.to_datetime(hourly["ts"])
    is_evening = (hourly["quote"] == "USD") & (moment.dt.hour >= 24 - EVENING_HOURS)
    evenings = hourly[is_evening].assign(date=moment[is_evening].dt.normalize())
    last = evenings.pivot_table(index="date", columns="asset", values="price", aggfunc="median")
    daily = read_table(folder, PRICES, ("date", "asset", "close"))
    daily = daily.assign(date=pd.to_datetime(daily["date"]))
    closes = daily.pivot_table(index="date", columns="asset", values="close", aggfunc="median")
    both = last.combine_first(closes).reindex(days).ffill()
    named = {asset: both[SAME_COIN.get(asset, asset)] for asset in assets if SAME_COIN.get(asset, asset) in both}
    return pd.DataFrame(named, index=days).dropna(axis="columns", how="all")


def _gas(folder: Path, days: pd.DatetimeIndex) -> FloatArray:
    gas = read_table(folder, GAS, ("date", "gas_price_gwei", "eth_usd"))
    gas = gas.assign(date=pd.to_datetime(gas["date"])).drop_duplicates("date").set_index("date").reindex(days).ffill()
    return np.asarray(gas["gas_price_gwei"] * 1e-9 * gas["eth_usd"], dtype=np.float64)
