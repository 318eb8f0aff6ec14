"""The pooled forecast from the treasury's own observations; says nothing until it has proven itself on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from domain.market import Catalog, MarketHistory
from tools.forecasting.forecast_blend import Blend
from tools.forecasting.forecast_features import rolling_deviation
from tools.forecasting.forecast_panel import RatePanel
from tools.forecasting.forecast_today import Trained, forecast_today
from tools.forecasting.forecast_walk import walk_forward
from tools.history import FloatArray, relative_changes, series_of

MIN_HISTORY_DAYS: Final = 150
"""Days with a reading: two months to learn from, two to be judged on, and the horizon between them."""
MIN_READINGS: Final = 1_000
REFIT_DAYS: Final = 30
REFITS: Final = 3
VOLATILITY_DAYS: Final = 30


class PooledForecast(NamedTuple):
    """What the blend of the market's group says: fractions of one, and how much it saved on the past."""

    rate: float
    lower: float
    upper: float
    blend: Blend


def pooled_forecasts(
    history: MarketHistory, catalog: Catalog, *, horizon_days: int, confidence: float
) -> Mapping[str, PooledForecast]:
    """By strategy: the mean supply APR of the next horizon_days days, as the walk would have said it.

    The model is trained REFITS times on the past and once on today's, judged on what came after each of the former.
    Where it did not save MIN_GAIN out of sample the baseline that the walk chose speaks (weight 0). Empty under
    MIN_HISTORY_DAYS days or MIN_READINGS readings; a strategy is missing without an interval, without a reading today,
    or with a rate below zero.
    """
    if not _is_enough(history):
        return {}
    panel = own_panel(history, catalog)
    today = panel.days.size - 1
    first = today - horizon_days - REFITS * REFIT_DAYS
    refits = [day for day in range(first, today - horizon_days, REFIT_DAYS) if day > 0]
    walk = walk_forward(panel, horizon_days=horizon_days, refits=[*refits, today], confidence=confidence)
    return _proven(walk.trained(), panel)


def own_panel(history: MarketHistory, catalog: Catalog) -> RatePanel:
    """Strategies of the catalog side by side: stable tokens are one group, every other token its own."""
    known = {strategy.id for strategy in catalog.strategies}
    strategies = tuple(sorted(series.subject for series in history.supply_apr if series.subject in known))
    tokens = [catalog.token(catalog.strategy(strategy).token) for strategy in strategies]
    days = len(history.days)
    prices = _side_by_side([series_of(history.price_usd, token.id, days) for token in tokens], days)
    supplied = _side_by_side([series_of(history.supplied, strategy, days) for strategy in strategies], days)
    moves = _side_by_side([_moves(own) for own in prices.T], days)
    return RatePanel(
        days=np.array([day.date() for day in history.days], dtype="datetime64[D]"),
        markets=strategies,
        groups=tuple("stable" if token.is_stable else token.id for token in tokens),
        readings={
            "supply_apr": _side_by_side([series_of(history.supply_apr, own, days) for own in strategies], days),
            "utilization": _side_by_side([series_of(history.utilization, own, days) for own in strategies], days),
            "supplied_usd": supplied * prices / np.array([10.0**token.decimals for token in tokens]),
            "price_volatility": rolling_deviation(moves, VOLATILITY_DAYS) if strategies else moves,
        },
    )


def _side_by_side(columns: Sequence[FloatArray], days: int) -> FloatArray:
    return np.column_stack(columns) if columns else np.empty((days, 0))


def _is_enough(history: MarketHistory) -> bool:
    known = [[value is not None for value in series.values] for series in history.supply_apr]
    if sum(map(sum, known)) < MIN_READINGS:
        return False
    return sum(map(any, zip(*known, strict=True))) >= MIN_HISTORY_DAYS


def _moves(prices: FloatArray) -> FloatArray:
    """Daily relative changes, shape of the prices; the first day has none."""
    return np.concatenate(([np.nan], relative_changes(prices)))


def _proven(trained: Trained, panel: RatePanel) -> Mapping[str, PooledForecast]:
    spoken, readings = forecast_today(trained, panel), panel["supply_apr"][-1]
    is_known = ~np.isnan(spoken.lower) & ~np.isnan(spoken.upper)
    found: dict[str, PooledForecast] = {}
    for row in np.flatnonzero(is_known & (readings[spoken.samples.market] >= 0)):
        market = int(spoken.samples.market[row])
        blend = trained.blends[panel.groups[market]]
        if blend.weight and np.isnan(spoken.modelled[row]):
            continue
        found[panel.markets[market]] = PooledForecast(
            float(spoken.rates[row]), float(spoken.lower[row]), float(spoken.upper[row]), blend
        )
    return found
