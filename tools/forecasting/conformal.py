"""Intervals that hold what they promise: quantiles of past errors, corrected by how often they missed lately."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from domain.errors import InvariantBroken
from tools.forecasting.forecast_panel import IntArray
from tools.history import FloatArray

WINDOW_DAYS: Final = 365
MIN_SCORES: Final = 100
LEARNING_RATE: Final = 0.01
"""By how much a day of misses moves the level, in shares of coverage."""
LEAST_TAIL: Final = 0.005


class Margins(NamedTuple):
    """What to add to a forecast on either side, in the units of the scores, shape (n,); NaN before MIN_SCORES."""

    lower: FloatArray
    upper: FloatArray


class _Tail(NamedTuple):
    """One side: misses lie below the quantile when sign is -1, above it when sign is 1."""

    sign: float
    wanted: float


def walk_margins(day: IntArray, scores: FloatArray, *, horizon_days: int, confidence: float) -> Margins:
    """Margins that each row's own day would have used: nothing that was not known on that day.

    `day` rises; `scores`, shape (n,), are signed errors, outcome minus forecast, scaled by how hard the row is; NaN
    where the outcome is not known yet. A score of day t is known on t + horizon_days. Each tail is the quantile of the
    last WINDOW_DAYS of known scores at a level that rises and falls with the misses (adaptive conformal inference:
    Gibbs and Candes 2021, eq. 2, per tail, delayed by the horizon), so the two sides need not be alike.
    """
    if np.any(np.diff(day) < 0):
        raise InvariantBroken("conformal margins need rows with rising days; sort them by day first")
    if not 0.0 < confidence < 1.0:
        raise InvariantBroken(f"a confidence lies between 0 and 1, got {confidence}")
    if horizon_days < 1:
        raise InvariantBroken(f"a score is known at least one day later, got horizon_days {horizon_days}")
    if day.shape != scores.shape:
        raise InvariantBroken(f"every row has one day and one score, got {day.shape} days and {scores.shape} scores")
    wanted = (1.0 - confidence) / 2.0
    lower = _walk(_Tail(-1.0, wanted), day, scores, horizon_days)
    return Margins(lower, _walk(_Tail(1.0, wanted), day, scores, horizon_days))


def _walk(tail: _Tail, day: IntArray, scores: FloatArray, horizon_days: int) -> FloatArray:
    margins, level = np.full(day.size, np.nan), tail.wanted
    present = np.unique(day)
    first, end = np.searchsorted(day, present), np.searchsorted(day, present, side="right")
    settled = 0
    for today, start, stop in zip(present, first, end, strict=True):
        while settled < present.size and present[settled] <= today - horizon_days:
            rows = slice(int(first[settled]), int(end[settled]))
            level = _adapted(level, tail, scores[rows], margins[rows])
            settled += 1
        past = slice(
            int(np.searchsorted(day, today - horizon_days - WINDOW_DAYS, side="right")),
            int(np.searchsorted(day, today - horizon_days, side="right")),
        )
        margins[start:stop] = _quantile(scores[past], tail, level)
    return margins


def _adapted(level: float, tail: _Tail, scores: FloatArray, margins: FloatArray) -> float:
    judged = ~(np.isnan(scores) | np.isnan(margins))
    if not judged.any():
        return level
    missed = float(np.mean(tail.sign * (scores[judged] - margins[judged]) > 0))
    return float(np.clip(level + LEARNING_RATE * (tail.wanted - missed), LEAST_TAIL, 0.5))


def _quantile(scores: FloatArray, tail: _Tail, level: float) -> float:
    """The outer order statistic: ceil((n + 1)(1 - level)) of the tail's own direction (Lei et al. 2018, 2.2)."""
    known = np.sort(tail.sign * scores[~np.isnan(scores)])
    if known.size < MIN_SCORES:
        return float("nan")
    rank = min(int(np.ceil((known.size + 1) * (1.0 - level))), known.size)
    return float(tail.sign * known[rank - 1])
