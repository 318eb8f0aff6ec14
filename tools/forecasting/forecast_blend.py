"""Who speaks for a group of markets: a baseline, or the model shrunk towards it where it was better out of sample."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

import numpy as np

from tools.forecasting.forecast_features import Samples
from tools.forecasting.forecast_panel import BoolArray, IntArray, RatePanel
from tools.history import FloatArray

WEIGHTS: Final = (0.25, 0.5, 0.75, 0.85, 1.0)
MIN_GAIN: Final = 0.02
"""Of the baseline's error that the model must save on the past; less may be chance."""
MIN_DEVIATIONS: Final = 1.0
"""By how many of its own standard errors, counted over weeks, the saving must exceed zero."""
MAX_COUNTED_ERROR: Final = 0.05
"""A row's error counts up to five points: one market in collapse must not decide for all calm ones."""
MIN_ROWS: Final = 200
DAYS_PER_WEEK: Final = 7
MIN_DAYS: Final = 60
"""Rows of one day share its news: many markets over few days prove little."""


class Baseline(StrEnum):
    """Forecasts that need no training; always computed."""

    PERSISTENCE = "persistence"
    AVERAGE = "ewma"


class Blend(NamedTuple):
    """baseline + weight x (model - baseline); weight 0 means that the baseline speaks alone."""

    baseline: Baseline
    weight: float
    error: float
    """Mean absolute error on the past, fraction of one, of rows capped at MAX_COUNTED_ERROR; NaN if none was scored."""
    persistence_error: float

    @property
    def name(self) -> str:
        return f"pooled-{self.baseline}" if self.weight else str(self.baseline)


UNPROVEN: Final = Blend(Baseline.PERSISTENCE, 0.0, float("nan"), float("nan"))
AVERAGE_ALONE: Final = UNPROVEN._replace(baseline=Baseline.AVERAGE)


def baseline_rates(samples: Samples, baseline: Baseline) -> FloatArray:
    return samples.last if baseline is Baseline.PERSISTENCE else samples.average


def blended_rates(samples: Samples, modelled: FloatArray, blend: Blend) -> FloatArray:
    """Shape (n,); where the model has no say (NaN) the baseline speaks."""
    base = baseline_rates(samples, blend.baseline)
    return np.where(np.isnan(modelled), base, base + blend.weight * (modelled - base))


def choose_blends(
    panel: RatePanel, samples: Samples, modelled: FloatArray, target: FloatArray, scored: BoolArray
) -> Mapping[str, Blend]:
    """One blend per group that has a market. `scored` marks rows whose target is known and that the model never saw.

    Persistence speaks unless the average saves MIN_GAIN of its error, and the better of both unless the model saves
    that much more; a saving within MIN_DEVIATIONS of nothing is none (Diebold and Mariano 1995, with weeks as
    clusters, since the targets of a week overlap). Under MIN_ROWS rows or MIN_DAYS days nothing is proven.
    """
    group = np.array(panel.groups)[samples.market]
    usable = scored & ~np.isnan(modelled) & ~np.isnan(target)
    return {
        str(name): _choose(samples.at(rows), modelled[rows], target[rows])
        for name in sorted(set(panel.groups))
        for rows in [usable & (group == name)]
    }


def _choose(samples: Samples, modelled: FloatArray, target: FloatArray) -> Blend:
    if len(samples) < MIN_ROWS or np.unique(samples.day).size < MIN_DAYS:
        return UNPROVEN
    week = samples.day // DAYS_PER_WEEK
    held = _counted(samples.last, target)
    chosen = Blend(Baseline.PERSISTENCE, 0.0, float(held.mean()), float(held.mean()))
    tried = [chosen._replace(baseline=baseline, weight=weight) for baseline in Baseline for weight in WEIGHTS]
    errors = {blend: _counted(blended_rates(samples, modelled, blend), target) for blend in tried}
    best = min(tried, key=lambda blend: float(errors[blend].mean()))
    for challenger, counted in ((AVERAGE_ALONE, _counted(samples.average, target)), (best, errors[best])):
        if _saves(held, counted, week):
            held, chosen = (
                counted,
                challenger._replace(error=float(counted.mean()), persistence_error=chosen.persistence_error),
            )
    return chosen


def _saves(held: FloatArray, challenger: FloatArray, week: IntArray) -> bool:
    saved = held - challenger
    deviations = np.bincount(week - week.min(), weights=saved - saved.mean())
    standard_error = float(np.sqrt(np.sum(deviations**2))) / saved.size
    is_large = saved.mean() > MIN_GAIN * held.mean()
    return bool(is_large and saved.mean() > MIN_DEVIATIONS * standard_error)


def _counted(forecast: FloatArray, target: FloatArray) -> FloatArray:
    return np.minimum(np.abs(forecast - target), MAX_COUNTED_ERROR)
