"""Who speaks for a group of markets: a baseline, or the model shrunk towards it where it was better out of sample."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

import numpy as np

from tools.forecast_features import Samples
from tools.forecast_panel import BoolArray, RatePanel
from tools.history import FloatArray

WEIGHTS: Final = (0.25, 0.5, 0.75, 0.85, 1.0)
MIN_GAIN: Final = 0.02
"""Of the baseline's error that the model must save on the past; less may be chance."""
MAX_COUNTED_ERROR: Final = 0.05
"""A row's error counts up to five points: one market in collapse must not decide for all calm ones."""
MIN_ROWS: Final = 200
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

    The baseline with the smaller mean absolute error speaks, but persistence unless MIN_GAIN is saved; the model
    enters where it saves MIN_GAIN more. Under MIN_ROWS rows or MIN_DAYS days nothing is proven: persistence.
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
    persistence = _error(samples.last, target)
    chosen = Blend(Baseline.PERSISTENCE, 0.0, persistence, persistence)
    average = _error(samples.average, target)
    if average < (1.0 - MIN_GAIN) * persistence:
        chosen = Blend(Baseline.AVERAGE, 0.0, average, persistence)
    blends = [Blend(baseline, weight, 0.0, persistence) for baseline in Baseline for weight in WEIGHTS]
    tried = [blend._replace(error=_error(blended_rates(samples, modelled, blend), target)) for blend in blends]
    best = min(tried, key=lambda blend: blend.error)
    return best if best.error < (1.0 - MIN_GAIN) * chosen.error else chosen


def _error(forecast: FloatArray, target: FloatArray) -> float:
    return float(np.mean(np.minimum(np.abs(forecast - target), MAX_COUNTED_ERROR)))
