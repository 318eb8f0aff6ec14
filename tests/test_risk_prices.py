"""Prices become returns or are refused by name, and the quality table scores only what it was asked to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.quality_var import read_prices, var_figures, var_scores
from domain.errors import StaleOrDisputed
from tests.market_data import PRICES
from tools.risk.price_series import price_returns

START = datetime(2020, 1, 1, tzinfo=UTC)


def days(count: int) -> list[datetime]:
    return [START + timedelta(days=number) for number in range(count)]


def column(*values: float) -> np.ndarray:
    return np.array(values)[:, None]


def write_prices(folder: Path, assets: list[str], count: int, *, start: datetime = START, seed: int = 1) -> Path:
    """Random walks, as prices_daily.parquet brings them: naive days in UTC."""
    moves = np.random.default_rng(seed).standard_normal((count, len(assets))) * 0.02
    walks = 100 * np.exp(np.cumsum(moves, axis=0))
    dates = pd.date_range(start.replace(tzinfo=None), periods=count)
    frames = [
        pd.DataFrame({"date": dates, "asset": asset, "close": walk, "source": "yahoo"})
        for asset, walk in zip(assets, walks.T, strict=True)
    ]
    (folder / PRICES).parent.mkdir(parents=True)
    pd.concat(frames).to_parquet(folder / PRICES)
    return folder


def test_return_is_the_change_from_one_day_to_the_next() -> None:
    returns = price_returns(days(3), column(100, 110, 99), ["BTC"])

    assert returns == pytest.approx(column(0.1, -0.1))


def test_change_across_a_missing_day_is_no_daily_return() -> None:
    gap = [*days(2), START + timedelta(days=3)]

    returns = price_returns(gap, np.array([[1.0, np.nan], [1.1, 5.0], [1.2, 6.0]]), ["BTC", "ETH"])

    assert np.isnan(returns).tolist() == [[False, True], [True, True]]


def test_one_day_has_no_return() -> None:
    assert price_returns(days(1), column(1.0), ["BTC"]).shape == (0, 1)
    assert price_returns([], np.empty((0, 1)), ["BTC"]).shape == (0, 1)


@pytest.mark.parametrize("wrong", [0.0, -3.0, np.inf])
def test_impossible_price_is_named_with_its_column_and_row(wrong: float) -> None:
    prices = np.array([[1.0, 1.0], [1.0, wrong], [1.0, 1.0]])

    with pytest.raises(StaleOrDisputed, match=f"row 1 of ETH is {wrong}, must be above 0"):
        price_returns(days(3), prices, ["BTC", "ETH"])


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ([START, START], "row 1 of days .* must be later"),
        (days(2)[::-1], "row 1 of days .* must be later"),
        ([START, START.astimezone(timezone(timedelta(hours=2)))], "2 time zones"),
        ([START, datetime(2020, 1, 2)], "2 time zones"),  # noqa: DTZ001
        ([START, pd.NaT], "row 1 of days is NaT, must be a date"),
        (days(3), r"shape \(2, 1\) for 3 days"),
    ],
)
def test_days_that_are_no_calendar_are_refused(wrong: list[datetime], rule: str) -> None:
    with pytest.raises(StaleOrDisputed, match=rule):
        price_returns(wrong, column(1.0, 1.0), ["BTC"])


def test_preferred_source_speaks_where_two_have_the_day(tmp_path: Path) -> None:
    folder = write_prices(tmp_path, ["BTC"], 5)
    table = pd.read_parquet(folder / PRICES)
    other = table.head(6).assign(source="binance", close=7.0)
    pd.concat([other, table.head(3)]).to_parquet(folder / PRICES)

    close = read_prices(folder).close["BTC"]

    assert close.head(3).tolist() == pytest.approx(table["close"].head(3).tolist())
    assert close.tail(2).tolist() == [7.0, 7.0]


def test_only_the_second_folder_is_scored_and_the_first_only_remembered(tmp_path: Path) -> None:
    history = write_prices(tmp_path / "history", ["BTC"], 700)
    later = write_prices(tmp_path / "later", ["BTC"], 150, start=START + timedelta(days=700), seed=2)

    scores = list(var_scores(read_prices(history, later)))

    assert [(score.book, score.level, score.days) for score in scores] == [("BTC", 0.95, 150), ("BTC", 0.99, 150)]


def test_markets_that_nobody_has_seen_are_scored_one_by_one(tmp_path: Path) -> None:
    history = write_prices(tmp_path / "history", ["BTC"], 700)
    unseen = write_prices(tmp_path / "unseen", ["NEW", "SHORT"], 650, seed=3)
    table = pd.read_parquet(unseen / PRICES)
    table[(table["asset"] == "NEW") | (table["date"] < "2020-06-01")].to_parquet(unseen / PRICES)

    figures = {figure.name: figure.value for figure in var_figures(history, unseen)}

    assert figures["var_tests"] == 4
    assert figures["var_rejections"] == 0


def test_folder_without_prices_scores_nothing(tmp_path: Path) -> None:
    assert var_figures(write_prices(tmp_path / "history", ["BTC"], 10), tmp_path / "none") == []


def test_too_short_a_history_measures_nothing_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    history = write_prices(tmp_path / "history", ["BTC"], 200)
    later = write_prices(tmp_path / "later", ["BTC"], 150, start=START + timedelta(days=200))

    assert var_figures(history, later) == []
    assert "skipped: no book has 500 days of history and enough days to score" in capsys.readouterr().out


def test_asset_beside_the_books_is_scored_and_what_is_not_is_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    history = write_prices(tmp_path / "history", ["BTC"], 700)
    later = write_prices(tmp_path / "later", ["BTC", "SOL", "SHORT"], 650, start=START + timedelta(days=700), seed=2)
    table = pd.read_parquet(later / PRICES)
    table = table[(table["asset"] != "SHORT") | (table["date"] < "2022-03-01")]
    table.loc[(table["asset"] == "BTC") & (table["date"] == "2022-01-15"), "close"] = -1.0
    table.to_parquet(later / PRICES)

    figures = {figure.name: figure.value for figure in var_figures(history, later)}

    said = capsys.readouterr().out
    assert (figures["var_tests"], figures["var_tests_other_assets"]) == (4, 4)
    assert "| SOL, 95%" in said
    assert "1 of 1390 closes" in said
    assert "BTC 1 of 649, SHORT 90 of 90, SOL 501 of 650" in said


def test_folder_of_impossible_prices_measures_nothing(tmp_path: Path) -> None:
    history = write_prices(tmp_path / "history", ["BTC"], 700)
    later = write_prices(tmp_path / "later", ["BTC"], 150, start=START + timedelta(days=700))
    pd.read_parquet(later / PRICES).assign(close=-1.0).to_parquet(later / PRICES)

    assert var_figures(history, later) == []
