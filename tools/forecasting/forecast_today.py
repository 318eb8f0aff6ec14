"""What is said on one day: a trained model, who speaks for each group, and the margins around it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from tools.forecasting.conformal import Margins
from tools.forecasting.forecast_blend import Blend, blended_rates
from tools.forecasting.forecast_features import SOFTENING, Samples, log_rate, samples_of
from tools.forecasting.forecast_model import PooledModel
from tools.forecasting.forecast_panel import RatePanel
from tools.history import FloatArray

LEAST_SPREAD: Final = 0.1
UNKNOWN_SPREAD: Final = 0.3
"""Spread of log rates that stands in where a market is too young for its own."""


class Trained(NamedTuple):
    """Everything that a forecast needs besides the readings."""

    model: PooledModel | None
    blends: Mapping[str, Blend]
    margins: Mapping[str, tuple[float, float]]
    """Lower and upper, per group, in spreads of the log rate; NaN where too few errors are known."""


class Spoken(NamedTuple):
    """Forecasts of n markets, shape (n,), rates as fractions of one; an interval is NaN where it is not known."""

    samples: Samples
    modelled: FloatArray
    rates: FloatArray
    lower: FloatArray
    upper: FloatArray


def forecast_today(trained: Trained, panel: RatePanel) -> Spoken:
    """For every market with a reading at most CARRIED_DAYS old on the panel's last day.

    A group that nobody trained for gets persistence without an interval.
    """
    samples = samples_of(panel, only_last_day=True)
    modelled = np.full(len(samples), np.nan) if trained.model is None else trained.model.rates(samples)
    rates, group = samples.last.copy(), np.array(panel.groups)[samples.market]
    lower, upper = np.full(len(samples), np.nan), np.full(len(samples), np.nan)
    for name in sorted(set(panel.groups) & set(trained.blends)):
        rows = np.flatnonzero(group == name)
        rates[rows] = blended_rates(samples.at(rows), modelled[rows], trained.blends[name])
        lower[rows], upper[rows] = trained.margins.get(name, (np.nan, np.nan))
    return Spoken(samples, modelled, rates, *interval_around(rates, spread_of(samples), Margins(lower, upper)))


def spread_of(samples: Samples) -> FloatArray:
    """By what errors are scaled, shape (n,): nowhere zero, so that a quiet market is not promised to stay so."""
    return np.where(np.isnan(samples.spread), UNKNOWN_SPREAD, samples.spread) + LEAST_SPREAD


def interval_around(rates: FloatArray, spread: FloatArray, margins: Margins) -> tuple[FloatArray, FloatArray]:
    """Lower and upper rates: always around the forecast, never below zero; NaN where a margin is."""
    middle = log_rate(rates)
    below = np.exp(middle + np.minimum(margins.lower, 0.0) * spread) - SOFTENING
    above = np.exp(middle + np.maximum(margins.upper, 0.0) * spread) - SOFTENING
    return np.minimum(np.maximum(below, 0.0), rates), np.maximum(above, rates)
