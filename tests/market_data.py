"""Real market readings for tests and measurements: where they are, and their tables in this product's units."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pandas as pd
import pytest

from domain.errors import ConfigurationInvalid
from tests.repository import ROOT
from tests.services import require_service

DATA: Final = "AUTOFI_DATA"
BESIDE: Final = ROOT.parent / "shared" / "data"
LENDING: Final = Path("lending_daily") / "lending_daily.parquet"
SENTIMENT: Final = Path("fear_greed") / "fear_greed.parquet"
PRICES: Final = Path("prices_daily") / "prices_daily.parquet"
HACKS: Final = Path("hacks") / "hacks_defillama.parquet"
POOLS: Final = Path("dex_pools") / "dex_pools_daily.parquet"

RATE_COLUMNS: Final = {
    "market_id": "market",
    "asset_class": "group",
    "date": "date",
    "supply_apr": "supply_apr",
    "supply_apr_close": "rate_close",
    "supply_apr_max": "rate_max",
    "utilization": "utilization",
    "tvl_usd": "tvl_usd",
    "supplied_usd": "supplied_usd",
    "borrowed_usd": "borrowed_usd",
    "stale_days": "stale_days",
    "protocol": "protocol",
    "asset": "asset",
}
PERCENT: Final = ("supply_apr", "rate_close", "rate_max")
INCIDENT_DAYS: Final = 365
VOLATILITY_DAYS: Final = 30
WRAPPED: Final = {"WETH": "ETH", "WBTC_legacy": "BTC", "UST": "USTC"}


def data_folder() -> Path:
    """Named by AUTOFI_DATA, else shared/data beside the repository."""
    named = os.environ.get(DATA)
    return Path(named) if named else BESIDE


def need_table(table: Path) -> Path:
    """The file, or the test is skipped; where a data folder exists and services are required it fails instead."""
    folder = data_folder()
    if not folder.is_dir():
        pytest.skip(f"no market data: set {DATA} to a folder that holds {table}")
    require_service(f"market data table {table}", available=(folder / table).is_file())
    return folder / table


def read_table(folder: Path, table: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """Refuses a folder without the file and a file without the columns."""
    if not (folder / table).is_file():
        raise ConfigurationInvalid(f"folder {folder} has no {table}; name a folder with the layout of the market data")
    frame = pd.read_parquet(folder / table)
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise ConfigurationInvalid(f"{folder / table} lacks the columns {missing}, found {sorted(frame.columns)}")
    return frame


def read_rates(folder: Path) -> pd.DataFrame:
    """lending_daily as forecast_panel reads it (rates as fractions of one), with protocol and asset."""
    frame = read_table(folder, LENDING, tuple(RATE_COLUMNS))
    frame = frame[list(RATE_COLUMNS)].rename(columns=RATE_COLUMNS)
    return frame.assign(**{name: frame[name] / 100.0 for name in PERCENT})


def with_context(rates: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """Sentiment, price volatility, market capitalization and incidents, each where the folder has its file."""
    day = pd.to_datetime(rates["date"])
    if (folder / SENTIMENT).is_file():
        mood = read_table(folder, SENTIMENT, ("date", "fng")).drop_duplicates("date", keep="last")
        rates = rates.assign(sentiment=day.map(mood.set_index("date")["fng"]).to_numpy())
    if (folder / PRICES).is_file():
        rates = _with_prices(rates, read_table(folder, PRICES, ("date", "asset", "close", "market_cap_usd")))
    if (folder / HACKS).is_file():
        rates = rates.assign(incidents=_incidents(rates, read_table(folder, HACKS, ("date", "name"))))
    return rates


def _with_prices(rates: pd.DataFrame, prices: pd.DataFrame) -> pd.DataFrame:
    """The median of the sources; volatility of daily changes over VOLATILITY_DAYS up to the day."""
    close = prices.pivot_table(index="date", columns="asset", values="close", aggfunc="median").asfreq("D")
    capital = prices.pivot_table(index="date", columns="asset", values="market_cap_usd", aggfunc="median")
    moves = close.pct_change(fill_method=None).rolling(VOLATILITY_DAYS, min_periods=10).std()
    key = pd.MultiIndex.from_arrays([pd.to_datetime(rates["date"]), rates["asset"].replace(WRAPPED)])
    return rates.assign(
        price_volatility=moves.stack().reindex(key).to_numpy(), market_cap_usd=capital.stack().reindex(key).to_numpy()
    )


def _incidents(rates: pd.DataFrame, hacks: pd.DataFrame) -> pd.Series:
    """How often a protocol of that family was hit in the year up to the day."""
    family = rates["protocol"].str.split("-").str[0].str.lower()
    day, found = pd.to_datetime(rates["date"]), pd.Series(0.0, index=rates.index)
    for hit, name in zip(pd.to_datetime(hacks["date"]), hacks["name"].str.lower(), strict=True):
        age = (day - hit).dt.days
        found += (family == name.split(" ")[0]) & (age >= 0) & (age < INCIDENT_DAYS)
    return found
