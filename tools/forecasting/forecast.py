"""Next weeks' supply rates with an interval: a spike-proof exponential average and the errors it made before."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from domain.errors import InvariantBroken, StaleOrDisputed
from domain.market import Catalog, Forecast, MarketHistory
from tools.forecasting.forecast_own import PooledForecast, pooled_forecasts
from tools.history import FloatArray, carry_forward, series_of

HALF_LIFE_DAYS: Final = 3
MIN_SAMPLE_DAYS: Final = 10
STALE_DAYS: Final = 3
MEDIAN_WINDOW_DAYS: Final = 7
SPIKE_DEVIATIONS: Final = 5.0
"""Median absolute deviations beyond which a reading is cut to the edge (Hampel filter)."""
MIN_RELATIVE_DEVIATION: Final = 0.05
MIN_RELATIVE_MARGIN: Final = 0.05
SMALL_SAMPLE_PENALTY: Final = 10.0
"""Margins are widened by (1 + this / number of past errors): few errors say little about the next."""
NAIVE_MARGIN_APR: Final = 0.05
MIN_RACED_DAYS: Final = 20
"""Past errors that the average must have been judged on before it may replace the last rate."""
TIE: Final = 1e-9
"""Relative; smaller savings are rounding."""
AVERAGE_MODEL: Final = "ewma-3d"
NAIVE_MODEL: Final = "persistence"


def forecast_aprs(
    history: MarketHistory, *, horizon_days: int, confidence: float = 0.8, catalog: Catalog | None = None
) -> tuple[Forecast, ...]:
    """One forecast per strategy with at least one reading: the mean supply APR of the next horizon_days days.

    Fractions of one, annual simple. With a catalog and enough history the pooled walk's choice speaks: the model
    where it beat the baselines out of sample, else the better baseline (forecast_own.py). Elsewhere the last rate or
    the average does, whichever erred less on the series' own past at the same horizon, with signed quantiles of its
    own walk-forward errors (split conformal, Lei et al. 2018, 2.2, on overlapping errors and therefore widened).
    Under MIN_SAMPLE_DAYS readings, or when the last is older than STALE_DAYS, it is the last rate with lower_apr <=
    0.
    """
    if horizon_days < 1:
        raise InvariantBroken(f"a forecast looks at least one day ahead, got horizon_days {horizon_days}")
    if not 0.0 < confidence < 1.0:
        raise InvariantBroken(f"a confidence lies between 0 and 1, got {confidence}")
    pooled = (
        {} if catalog is None else pooled_forecasts(history, catalog, horizon_days=horizon_days, confidence=confidence)
    )
    days = len(history.days)
    forecasts = []
    for series in history.supply_apr:
        aprs = series_of(history.supply_apr, series.subject, days)
        spoken = _forecast(series.subject, aprs, horizon_days, confidence)
        if spoken is not None:
            forecasts.append(_with_model(spoken, pooled.get(series.subject), aprs))
    return tuple(forecasts)


def _with_model(baseline: Forecast, pooled: PooledForecast | None, aprs: FloatArray) -> Forecast:
    """A young or stale series keeps its baseline, and so does one whose last reading is a spike."""
    if pooled is None or _is_thin(aprs) or _is_spike(aprs):
        return baseline
    blend = pooled.blend
    is_scored = blend.persistence_error > 0  # not so for NaN: nothing was proven and persistence speaks
    return baseline.model_copy(
        update={
            "expected_apr": pooled.rate,
            "lower_apr": pooled.lower,
            "upper_apr": pooled.upper,
            "model": blend.name,
            "error_over_persistence": blend.error / blend.persistence_error if is_scored else None,
        }
    )


def average_levels(aprs: FloatArray) -> FloatArray:
    """The forecast that each day would have made, shape (n,), from that day and the days before; NaN before any.

    A day without a reading keeps the level, and the next reading counts for the days that passed.
    """
    infinite = np.flatnonzero(np.isinf(aprs))
    if infinite.size:
        raise StaleOrDisputed(f"column aprs, row {int(infinite[0])}: must be finite or unknown (NaN)")
    levels = np.full(aprs.size, np.nan)
    level, gap = math.nan, 0
    for day, reading in enumerate(cut_spikes(aprs)):
        gap += 1
        if not math.isnan(reading):
            keep = 0.5 ** (gap / HALF_LIFE_DAYS)
            level = reading if math.isnan(level) else keep * level + (1.0 - keep) * reading
            gap = 0
        levels[day] = level
    return levels


def cut_spikes(aprs: FloatArray) -> FloatArray:
    """Readings limited to SPIKE_DEVIATIONS around the median of the last week, shape (n,); looks back only."""
    cut = aprs.copy()
    for day in range(aprs.size):
        window = aprs[max(day - MEDIAN_WINDOW_DAYS + 1, 0) : day + 1]
        known = window[~np.isnan(window)]
        if known.size > 2:  # noqa: PLR2004  the median of two readings cannot tell which one is the spike
            middle = float(np.median(known))
            deviation = max(float(np.median(np.abs(known - middle))), MIN_RELATIVE_DEVIATION * abs(middle))
            cut[day] = np.clip(aprs[day], middle - SPIKE_DEVIATIONS * deviation, middle + SPIKE_DEVIATIONS * deviation)
    return cut


def _forecast(strategy: str, aprs: FloatArray, horizon_days: int, confidence: float) -> Forecast | None:
    known = np.flatnonzero(~np.isnan(aprs))
    if not known.size:
        return None
    levels = average_levels(aprs)
    last, average = float(aprs[known[-1]]), float(levels[-1])
    if _is_thin(aprs):
        expected = last
        lower, upper, model = min(0.0, expected), 2.0 * abs(expected) + NAIVE_MARGIN_APR, NAIVE_MODEL
    else:
        model, errors = _better(aprs, levels, horizon_days)
        expected = last if model == NAIVE_MODEL else average
        lower, upper = _interval(expected, errors, confidence)
    return Forecast(
        strategy=strategy,
        horizon_days=horizon_days,
        expected_apr=expected,
        lower_apr=lower,
        upper_apr=upper,
        confidence=confidence,
        sample_days=int(known.size),
        model=model,
        persistence_apr=last,
        average_apr=average,
    )


def _is_thin(aprs: FloatArray) -> bool:
    """Too young or too stale for any model."""
    known = np.flatnonzero(~np.isnan(aprs))
    return known.size < MIN_SAMPLE_DAYS or aprs.size - 1 - int(known[-1]) > STALE_DAYS


def _is_spike(aprs: FloatArray) -> bool:
    """Whether the newest reading was cut."""
    newest = int(np.flatnonzero(~np.isnan(aprs))[-1])
    window = aprs[max(newest - MEDIAN_WINDOW_DAYS + 1, 0) : newest + 1]
    return bool(cut_spikes(window)[-1] != window[-1])


def _better(aprs: FloatArray, levels: FloatArray, horizon_days: int) -> tuple[str, FloatArray]:
    """Who erred less on the past, and its errors: the last rate on a tie or under MIN_RACED_DAYS, unless a spike."""
    held = _past_errors(aprs, carry_forward(aprs), horizon_days)
    averaged = _past_errors(aprs, levels, horizon_days)
    is_raced = averaged.size >= MIN_RACED_DAYS
    if _is_spike(aprs) or (is_raced and np.abs(averaged).mean() < np.abs(held).mean() * (1.0 - TIE)):
        return AVERAGE_MODEL, averaged
    return NAIVE_MODEL, held


def _past_errors(aprs: FloatArray, levels: FloatArray, horizon_days: int) -> FloatArray:
    """Mean of the next days minus the level, one per day that has both; the horizon shrinks to what is there."""
    horizon = min(horizon_days, max(aprs.size // 3, 1))
    errors = []
    for day in range(aprs.size - horizon):
        following = aprs[day + 1 : day + 1 + horizon]
        if not np.isnan(levels[day]) and not np.isnan(following).all():
            errors.append(float(np.nanmean(following) - levels[day]))
    return np.array(errors)


def _interval(expected: float, errors: FloatArray, confidence: float) -> tuple[float, float]:
    """Margins of at least MIN_RELATIVE_MARGIN of the level; without any past error the naive margins."""
    if not errors.size:
        return min(0.0, expected), 2.0 * abs(expected) + NAIVE_MARGIN_APR
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(errors, [tail, 1.0 - tail], method="inverted_cdf")
    widening = 1.0 + SMALL_SAMPLE_PENALTY / errors.size
    least = MIN_RELATIVE_MARGIN * abs(expected)
    return expected - max(-float(low) * widening, least), expected + max(float(high) * widening, least)
