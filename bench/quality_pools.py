"""The untrained forecast on the roughest rates there are: exchange pools with gaps, spikes and few days each."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from domain.market import DailySeries, Forecast, MarketHistory
from tests.market_data import POOLS, read_table
from tools.forecasting.forecast import forecast_aprs
from tools.history import FloatArray

HORIZON_DAYS: Final = 7
EVERY_DAYS: Final = 14
FIRST_DAY: Final = 7
WINDOW_DAYS: Final = 180
POINTS: Final = 100.0
EPOCH: Final = datetime(2020, 1, 1, tzinfo=UTC)


class Answer(NamedTuple):
    """One forecast and what came of it, fractions of one."""

    forecast: Forecast
    last: float
    target: float


def pool_table(folder: Path) -> None:
    """Persistence against what the product says of a pool that it has no model for."""
    pools = read_table(folder, POOLS, ("date", "pool", "apy"))
    answers = [answer for _, rows in pools.groupby("pool") for answer in forecasts_of(daily_rates(rows))]
    if not answers:
        print(f"skipped: no DEX pool of {folder} has {FIRST_DAY + HORIZON_DAYS} days in a row to score")
        return
    print(f"\nDEX pools, {len(answers)} forecasts of the mean APY of the next {HORIZON_DAYS} days without a model")
    print(_table(answers).to_string(index=False, float_format="{:.4f}".format), flush=True)


def daily_rates(rows: pd.DataFrame) -> FloatArray:
    dated = rows.assign(date=pd.to_datetime(rows["date"])).drop_duplicates("date", keep="last").set_index("date")
    return np.asarray(dated["apy"].sort_index().asfreq("D") / POINTS, dtype=np.float64)


def forecasts_of(rates: FloatArray) -> Iterator[Answer]:
    for day in range(FIRST_DAY, rates.size - HORIZON_DAYS, EVERY_DAYS):
        following = rates[day + 1 : day + 1 + HORIZON_DAYS]
        if np.isfinite(following).all() and np.isfinite(rates[day]):
            past = rates[max(day + 1 - WINDOW_DAYS, 0) : day + 1]
            found = forecast_aprs(_history(past), horizon_days=HORIZON_DAYS)
            yield Answer(found[0], float(rates[day]), float(following.mean()))


def _history(rates: FloatArray) -> MarketHistory:
    values = tuple(float(rate) if np.isfinite(rate) else None for rate in rates)
    days = tuple(EPOCH + timedelta(days=day) for day in range(rates.size))
    return MarketHistory(
        days=days, supply_apr=(DailySeries(subject="pool", values=values),), share_price=(), price_usd=()
    )


def _table(answers: list[Answer]) -> pd.DataFrame:
    target = np.array([answer.target for answer in answers])
    said = {
        "persistence": np.array([answer.last for answer in answers]),
        "said": np.array([answer.forecast.expected_apr for answer in answers]),
    }
    held = np.mean([a.forecast.lower_apr <= a.target <= a.forecast.upper_apr for a in answers])
    errors = {name: np.abs(values - target) * POINTS for name, values in said.items()}
    return pd.DataFrame(
        [
            {"forecast": name, "mean error": error.mean(), "median error": np.median(error), "worst": error.max()}
            for name, error in errors.items()
        ]
    ).assign(coverage=[np.nan, held])
