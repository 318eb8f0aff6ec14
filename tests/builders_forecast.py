"""Synthetic lending markets for tests of the pooled forecast: rates that swing around their own level and come back."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tools.forecasting.forecast_panel import FloatArray, RatePanel, panel_of

FIRST_DAY = "2023-01-01"


def reverting_rates(days: int, markets: int, *, pull: float = 0.15, noise: float = 0.25, seed: int = 3) -> FloatArray:
    """Shape (days, markets): 4 % times the exponential of an autoregression, so that the last rate is a poor guess."""
    source = np.random.default_rng(seed)
    logs = np.zeros((days, markets))
    for day in range(1, days):
        logs[day] = (1.0 - pull) * logs[day - 1] + noise * source.standard_normal(markets)
    return np.asarray(0.04 * np.exp(logs))


def make_frame(rates: FloatArray, *, group: str = "stable") -> pd.DataFrame:
    """One row per market and day, utilization and size included."""
    days, markets = rates.shape
    return pd.DataFrame(
        {
            "market": np.tile([f"m{number:02d}" for number in range(markets)], days),
            "group": group,
            "date": np.repeat(pd.date_range(FIRST_DAY, periods=days), markets),
            "supply_apr": rates.ravel(),
            "utilization": np.clip(rates.ravel() * 10, 0, 1),
            "tvl_usd": 5e6,
        }
    )


def make_panel(days: int = 200, markets: int = 8, *, pull: float = 0.15, seed: int = 3) -> RatePanel:
    return panel_of(make_frame(reverting_rates(days, markets, pull=pull, seed=seed)))


def with_rates(panel: RatePanel, rates: FloatArray) -> RatePanel:
    return RatePanel(
        days=panel.days,
        markets=panel.markets,
        groups=panel.groups,
        readings={**panel.readings, "supply_apr": rates},
    )
