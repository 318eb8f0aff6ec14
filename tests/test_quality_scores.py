"""How scores are measured: on days of a made market where the answer is known, and on the collapse of UST."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from app.settings import load_risk_facts
from bench.quality_scores import read_markets, score_day, score_quality
from tests.market_data import LENDING, PRICES, RATE_COLUMNS, need_table
from tests.repository import ROOT

pytest.importorskip("pyarrow", reason="Parquet files need pyarrow")

FACTS = load_risk_facts(ROOT / "config/protocol_scores.toml")
DAYS = 120


def write_market(folder: Path, utilization: np.ndarray, price: np.ndarray, first: str = "2024-01-01") -> Path:
    days = pd.date_range(first, periods=utilization.size)
    columns: Mapping[str, object] = {
        **dict.fromkeys(RATE_COLUMNS, 0.0),
        "market_id": "made:USDC",
        "asset_class": "stable",
        "date": days,
        "utilization": utilization,
        "tvl_usd": 5e7,
        "supplied_usd": 5e7,
        "protocol": "made",
        "asset": "USDC",
    }
    for table in (LENDING, PRICES):
        (folder / table).parent.mkdir(parents=True)
    pd.DataFrame(columns).to_parquet(folder / LENDING)
    prices = {"date": days, "asset": "USDC", "source": "cmc", "close": price, "market_cap_usd": 1e9}
    pd.DataFrame(prices).to_parquet(folder / PRICES)
    return folder


def figures(folder: Path, test: Path | None = None) -> dict[str, float]:
    return {figure.name: figure.value for figure in score_quality(folder, test)}


def filling_up() -> np.ndarray:
    """Calm for a hundred days, then 97 and 98 % for three days each time before it is full."""
    used = np.full(DAYS, 0.5)
    used[100:103], used[103:106] = 0.98, 1.0
    return used


def test_pool_that_fills_up_slowly_is_caught_and_counted(tmp_path: Path) -> None:
    measured = figures(write_market(tmp_path, filling_up(), np.ones(DAYS)))

    assert measured["score_alarm_precision"] == 1.0
    assert measured["score_alarm_recall"] == pytest.approx(3 / 7)  # seven days look ahead to day 103, three warn
    assert measured["score_auc"] > 0.7


def test_peg_that_slips_first_is_caught_and_counted(tmp_path: Path) -> None:
    price = np.ones(DAYS)
    price[60:62], price[62:] = 0.97, 0.5

    measured = figures(write_market(tmp_path, np.full(DAYS, 0.5), price))

    assert measured["score_alarm_recall"] == pytest.approx(2 / 7)
    assert measured["score_peg_alone_alarm_recall"] == pytest.approx(2 / 7)


def test_market_without_trouble_measures_nothing(tmp_path: Path) -> None:
    assert figures(write_market(tmp_path, np.full(DAYS, 0.5), np.ones(DAYS))) == {}


def test_only_days_of_the_other_folder_are_scored(tmp_path: Path) -> None:
    history = write_market(tmp_path / "history", filling_up(), np.ones(DAYS))
    calm = write_market(tmp_path / "test", np.full(60, 0.5), np.ones(60), first="2024-04-30")

    assert figures(history, calm) == {}


def test_days_that_are_not_scored_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures(write_market(tmp_path, filling_up(), np.ones(DAYS)))

    assert "34 of 120 stable market days not scored" in capsys.readouterr().out  # the first 30, three full, the last


@pytest.mark.parametrize(("day", "is_alarm"), [(date(2022, 5, 8), False), (date(2022, 5, 9), True)])
def test_ust_was_warned_of_one_day_before_its_pool_was_lent_out(*, day: date, is_alarm: bool) -> None:
    folder = need_table(LENDING).parent.parent
    ust = next(market for market in read_markets(folder, None) if market.name == "aave-v2:UST")
    row = ust.days.get_loc(pd.Timestamp(day))

    assert (score_day(ust, row, FACTS) < 50.0) is is_alarm
    assert (ust.utilization[row + 1] > 0.99) is np.bool_(is_alarm)
