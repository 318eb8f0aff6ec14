"""The pooled model on what it was kept from: markets of other names, and periods cut out of its training."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from tools.forecasting.forecast_model import TRAINING, rows_in, train_pooled
from tools.forecasting.forecast_panel import BoolArray
from tools.forecasting.forecast_walk import Walk
from tools.history import FloatArray

MARKET_FOLDS: Final = 5
REFITS: Final = ("2023-01-01", "2024-01-01")
PERIODS: Final = ("2023-01-01", "2023-07-01", "2024-01-01", "2024-07-01")
MARGIN_DAYS: Final = 98
"""Window and horizon: no training row shares a day with the period that was cut out."""
POINTS: Final = 100.0
GROUPS: Final = ("stable", "eth", "alt")


def left_out_tables(walk: Walk, rows: BoolArray, *, horizon_days: int) -> None:
    print("\nmarkets left out: every fifth market forecast by a model that was never trained on it, walk-forward")
    print(_table(walk, rows, _by_market(walk, horizon_days)).to_string(index=False, float_format="{:.4f}".format))
    print("\nperiods left out: half a year forecast by a model trained on everything before and after it")
    print(_table(walk, rows, _by_period(walk)).to_string(index=False, float_format="{:.4f}".format), flush=True)


def new_market_table(walk: Walk, rows: BoolArray, *, known_markets: BoolArray, horizon_days: int) -> None:
    """Markets that only the second folder has, forecast by models that were never trained on one of them."""
    taught = known_markets[walk.samples.market]
    forecast, rows = np.full(len(walk.samples), np.nan), rows & ~taught
    if not rows.any():
        return
    first, last = int(walk.samples.day[rows].min()), int(walk.samples.day[rows].max())
    starts = [day for day, _ in walk.blends if day <= last]
    later = [day for day in starts if day > first]
    starts = [max((day for day in starts if day <= first), default=starts[0]), *later]
    for start, end in zip(starts, [*starts[1:], walk.panel.days.size], strict=True):
        _fill(forecast, walk, (walk.samples.day < start - horizon_days) & taught, _within(walk, start, end) & ~taught)
        print(f"trained without the new markets on {walk.panel.days[start]}", flush=True)
    print("\nnew markets: forecast by models that were never trained on one of them, walk-forward")
    print(_table(walk, rows, forecast).to_string(index=False, float_format="{:.4f}".format), flush=True)


def _by_market(walk: Walk, horizon_days: int) -> FloatArray:
    forecast, fold = np.full(len(walk.samples), np.nan), walk.samples.market % MARKET_FOLDS
    for number in range(MARKET_FOLDS):
        for start, end in _spans(walk, REFITS):
            known = (walk.samples.day < start - horizon_days) & (fold != number)
            _fill(forecast, walk, known, _within(walk, start, end) & (fold == number))
        print(f"fold {number + 1} of {MARKET_FOLDS}", flush=True)
    return forecast


def _by_period(walk: Walk) -> FloatArray:
    forecast = np.full(len(walk.samples), np.nan)
    for start, end in _spans(walk, PERIODS):
        known = ~_within(walk, start - MARGIN_DAYS, end + MARGIN_DAYS)
        _fill(forecast, walk, known, _within(walk, start, end))
    return forecast


def _fill(forecast: FloatArray, walk: Walk, known: BoolArray, rows: BoolArray) -> None:
    known = known & rows_in(TRAINING, walk.panel, walk.samples)
    model = train_pooled(walk.samples.at(known), walk.target[known])
    if model is not None:
        forecast[rows] = model.rates(walk.samples.at(rows))


def _spans(walk: Walk, starts: tuple[str, ...]) -> list[tuple[int, int]]:
    days = [int(np.searchsorted(walk.panel.days, np.datetime64(start))) for start in starts]
    return list(zip(days, [*days[1:], walk.panel.days.size], strict=True))


def _within(walk: Walk, start: int, end: int) -> BoolArray:
    inside: BoolArray = (walk.samples.day >= start) & (walk.samples.day < end)
    return inside


def _table(walk: Walk, rows: BoolArray, forecast: FloatArray) -> pd.DataFrame:
    group = np.array(walk.panel.groups)[walk.samples.market]
    found = []
    for name in GROUPS:
        part = rows & (group == name) & ~np.isnan(forecast)
        if not part.any():
            continue
        target = walk.target[part]
        errors = [np.abs(said - target).mean() * POINTS for said in (walk.samples.last[part], forecast[part])]
        found.append((name, int(part.sum()), *errors, errors[1] / errors[0]))
    return pd.DataFrame(found, columns=["group", "rows", "persistence", "model alone", "over persistence"])
