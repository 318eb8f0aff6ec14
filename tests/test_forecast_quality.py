"""`make quality` scores only what it was asked to, tells new markets apart, and refuses other folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.quality_forecast import HORIZON_DAYS, read_sources
from domain.errors import ConfigurationInvalid
from tests.market_data import LENDING, RATE_COLUMNS, SENTIMENT, read_rates, with_context
from tools.forecasting.forecast_walk import Rehearsal

DAYS = 40


def lending(markets: list[str], first: str) -> pd.DataFrame:
    days = pd.date_range(first, periods=DAYS)
    rows = pd.DataFrame({"market_id": np.repeat(markets, DAYS), "date": np.tile(days, len(markets))})
    numbers = [name for name in RATE_COLUMNS if name not in {"market_id", "date", "asset_class", "protocol", "asset"}]
    return rows.assign(asset_class="stable", protocol="aave-v3", asset="USDC", **dict.fromkeys(numbers, 4.0))


def written(folder: Path, markets: list[str], first: str = "2024-01-01") -> Path:
    (folder / LENDING).parent.mkdir(parents=True)
    lending(markets, first).to_parquet(folder / LENDING)
    return folder


def test_percent_becomes_fractions_of_one(tmp_path: Path) -> None:
    rates = read_rates(written(tmp_path, ["a"]))

    assert rates["supply_apr"].iloc[0] == 0.04
    assert rates["utilization"].iloc[0] == 4.0


def test_folder_without_the_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationInvalid, match=r"has no lending_daily/lending_daily\.parquet"):
        read_rates(tmp_path)


def test_table_without_a_column_is_refused(tmp_path: Path) -> None:
    (tmp_path / LENDING).parent.mkdir()
    lending(["a"], "2024-01-01").drop(columns="tvl_usd").to_parquet(tmp_path / LENDING)

    with pytest.raises(ConfigurationInvalid, match=r"lacks the columns \['tvl_usd'\]"):
        read_rates(tmp_path)


def test_context_is_joined_where_its_file_is_there(tmp_path: Path) -> None:
    folder = written(tmp_path, ["a"])
    (folder / SENTIMENT).parent.mkdir()
    pd.DataFrame({"date": [pd.Timestamp("2024-01-02")], "fng": [71]}).to_parquet(folder / SENTIMENT)

    found = with_context(read_rates(folder), folder)

    assert found["sentiment"].dropna().tolist() == [71]
    assert "price_volatility" not in found


def test_only_rows_of_the_second_folder_are_scored(tmp_path: Path) -> None:
    history = written(tmp_path / "history", ["known"])
    later = written(tmp_path / "later", ["known", "new"], "2024-02-10")

    sources = read_sources(history, later)

    days = sources.panel.days[sources.scored.any(axis=1)]
    assert (str(days[0]), len(days)) == ("2024-02-10", DAYS)
    assert sources.panel.days.size == 2 * DAYS


def test_markets_that_only_the_second_folder_has_are_told_apart(tmp_path: Path) -> None:
    history = written(tmp_path / "history", ["known"])
    later = written(tmp_path / "later", ["known", "new"], "2024-02-10")

    sources = read_sources(history, later)

    assert dict(zip(sources.panel.markets, sources.known, strict=True)) == {"known": True, "new": False}


def test_without_a_second_folder_everything_is_known_and_scored(tmp_path: Path) -> None:
    sources = read_sources(written(tmp_path, ["a", "b"]), None)

    assert sources.known.all()
    assert sources.scored.all()


def test_too_little_history_still_gets_an_answer(tmp_path: Path) -> None:
    sources = read_sources(written(tmp_path, ["a", "b"]), None)
    rehearsal = Rehearsal(sources.panel, horizon_days=HORIZON_DAYS, refits=[20])

    assert list(rehearsal.steps()) == [20]
    said = rehearsal.walk(confidence=0.8)
    assert said.rates[said.samples.day >= 20] == pytest.approx(0.04)
