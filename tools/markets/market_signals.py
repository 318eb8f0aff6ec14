"""What one daily series says by itself: its trend, its regime, pressure on a pool, health of a peg.

Rows are days, oldest first; NaN is a day without a reading. Every answer looks back only, and None means too little.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from domain.errors import StaleOrDisputed
from tools.history import FloatArray

TREND_DAYS: Final = 30
MIN_TREND_DAYS: Final = 10
SIGNIFICANT: Final = 0.05
ROUNDING: Final = 1e-9
REGIME_DAYS: Final = 14
MIN_REGIME_WINDOWS: Final = 60
CALM_RANK: Final = 0.25
TURBULENT_RANK: Final = 0.90
PRESSURE_DAYS: Final = 7
MIN_SLOPE_DAYS: Final = 3
CLOSED_UTILIZATION: Final = 0.99
PEG_DAYS: Final = 30
HOLDING_DEVIATION: Final = 0.005
BROKEN_DEVIATION: Final = 0.02


class Direction(StrEnum):
    RISING = "rising"
    FALLING = "falling"
    FLAT = "flat"  # no monotone change that chance would not explain


class Regime(StrEnum):
    CALM = "calm"
    NORMAL = "normal"
    TURBULENT = "turbulent"


class Access(StrEnum):
    """How easily a lending pool lets depositors out."""

    FREE = "free"
    TIGHT = "tight"  # above the kink of its rate curve: borrowers are made to repay
    CLOSED = "closed"  # almost everything is lent out


class PegState(StrEnum):
    HOLDING = "holding"
    STRAINED = "strained"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Trend:
    direction: Direction
    slope_per_day: float
    p_value: float
    known_days: int


@dataclass(frozen=True, slots=True)
class RegimeReading:
    regime: Regime
    rank: float
    """Share of the earlier windows that moved less than the newest one."""
    windows: int


@dataclass(frozen=True, slots=True)
class Pressure:
    access: Access
    utilization: float
    kink: float
    excess: float
    """Of the way from the kink to full, 0 to 1."""
    days_above: int
    """In a row up to the newest reading, above the kink."""
    days_to_full: float | None
    """At the pace of the last week; None where it is not rising, or too little is known."""


@dataclass(frozen=True, slots=True)
class PegHealth:
    state: PegState
    deviation: float
    """Of the newest reading, signed: -0.01 is one percent below the anchor."""
    lowest: float
    days_off: int
    """Known days of the window further than half a percent away."""
    known_days: int


def require_series(
    values: FloatArray, *, column: str, lowest: float = -math.inf, highest: float = math.inf
) -> FloatArray:
    """The series itself, shape (n_days,). Raises StaleOrDisputed naming column, row and rule: finite, within limits."""
    if values.ndim != 1:
        raise StaleOrDisputed(f"column {column} must be one value per day, got shape {values.shape}")
    wrong = np.flatnonzero(np.isinf(values) | (values < lowest) | (values > highest))
    if wrong.size:
        row = int(wrong[0])
        rule = f"must be finite and within {lowest} to {highest}"
        raise StaleOrDisputed(f"column {column}, row {row}: {rule}, got {values[row]}")
    return values


def _require_days(days: int, *, column: str) -> None:
    if days < 1:
        raise StaleOrDisputed(f"days of {column} must be 1 or more, got {days}")


def read_trend(values: FloatArray, *, column: str, days: int = TREND_DAYS) -> Trend | None:
    """Theil-Sen slope per day of the last `days` rows, and the two-sided Mann-Kendall p-value that there is none.

    None with fewer than ten known rows. A constant series is flat with slope 0 and p-value 1. Slope: Sen (1968),
    JASA 63; test: Mann (1945), Kendall (1975) with ties; its variance is widened for a detrended lag-1
    autocorrelation as in Yue and Wang (2004), Water Resources Management 18, because rates remember.
    Raises StaleOrDisputed for an infinite row or less than one day.
    """
    _require_days(days, column=column)
    window = require_series(values, column=column)[-days:]
    rows = np.flatnonzero(~np.isnan(window)).astype(np.float64)
    known = window[~np.isnan(window)]
    if known.size < MIN_TREND_DAYS:
        return None
    slope = theil_sen(rows, known)
    p_value = _mann_kendall(known, known - slope * rows)
    if p_value > SIGNIFICANT:
        direction = Direction.FLAT
    else:
        direction = Direction.RISING if slope > 0 else Direction.FALLING if slope < 0 else Direction.FLAT
    return Trend(direction, slope, p_value, int(known.size))


def theil_sen(rows: FloatArray, values: FloatArray) -> float:
    """Median of the slopes between all pairs, in units of value per row. Needs two rows or more, all known."""
    first, second = np.triu_indices(rows.size, k=1)
    return float(np.median((values[second] - values[first]) / (rows[second] - rows[first])))


def _mann_kendall(values: FloatArray, residuals: FloatArray) -> float:
    n = values.size
    first, second = np.triu_indices(n, k=1)
    score = float(np.sign(values[second] - values[first]).sum())
    ties = np.unique(values, return_counts=True)[1].astype(np.float64)
    variance = (n * (n - 1) * (2 * n + 5) - float((ties * (ties - 1) * (2 * ties + 5)).sum())) / 18.0
    if variance <= 0 or score == 0:
        return 1.0
    lags = np.arange(1, n)
    is_line = float(np.ptp(residuals)) <= ROUNDING * float(np.ptp(values))  # what is left is rounding: it has no memory
    memory = 0.0 if is_line else _lag_one(residuals)
    widened = 1.0 + 2.0 * float(((1.0 - lags / n) * memory**lags).sum())
    z = (abs(score) - 1.0) / math.sqrt(variance * max(widened, 1.0))  # never narrower: that would invent trends
    return math.erfc(z / math.sqrt(2.0))


def _lag_one(residuals: FloatArray) -> float:
    centred = residuals - residuals.mean()
    return float(centred[1:] @ centred[:-1]) / float(centred @ centred)


def read_regime(values: FloatArray, *, column: str, days: int = REGIME_DAYS) -> RegimeReading | None:
    """How much the series moves now beside how much it ever did: the rank of the newest window of `days` changes.

    A window's movement is its mean absolute change per day. Calm up to a quarter of the earlier windows, turbulent
    from nine tenths. None when the newest window has an unknown change, when fewer than 60 earlier windows are
    known, or when nothing ever moved: a constant series has no regime.
    Raises StaleOrDisputed for an infinite row or less than one day.
    """
    _require_days(days, column=column)
    changes = np.abs(np.diff(require_series(values, column=column)))
    if changes.size < days:
        return None
    movement = np.lib.stride_tricks.sliding_window_view(changes, days).mean(axis=1)
    newest, earlier = movement[-1], movement[:-1][~np.isnan(movement[:-1])]
    if np.isnan(newest) or earlier.size < MIN_REGIME_WINDOWS or not changes[~np.isnan(changes)].any():
        return None
    rank = float((earlier < newest).mean() + 0.5 * (earlier == newest).mean())
    regime = Regime.CALM if rank <= CALM_RANK else Regime.TURBULENT if rank >= TURBULENT_RANK else Regime.NORMAL
    return RegimeReading(regime, rank, int(earlier.size))


def read_pressure(utilization: FloatArray, *, kink: float, column: str) -> Pressure | None:
    """Where a lending pool stands on its rate curve; `utilization` is borrowed over supplied, 0 or more.

    Above 1, which interest makes possible, counts as 1. Unknown rows are skipped; None when the newest row is
    unknown. The pace is the Theil-Sen slope of the last seven rows, with three known ones or more.
    Raises StaleOrDisputed for a negative or infinite row, or a kink outside 0 to 1.
    """
    if not 0.0 < kink < 1.0:
        raise StaleOrDisputed(f"kink of {column} must lie between 0 and 1, got {kink}")
    series = np.minimum(require_series(utilization, column=column, lowest=0.0), 1.0)
    if not series.size or np.isnan(series[-1]):
        return None
    newest, known = float(series[-1]), series[~np.isnan(series)]
    above = np.flatnonzero(known <= kink)
    access = Access.CLOSED if newest >= CLOSED_UTILIZATION else Access.TIGHT if newest > kink else Access.FREE
    return Pressure(
        access=access,
        utilization=newest,
        kink=kink,
        excess=max(newest - kink, 0.0) / (1.0 - kink),
        days_above=int(known.size - 1 - above[-1]) if above.size else int(known.size),
        days_to_full=_days_to_full(series[-PRESSURE_DAYS:], newest),
    )


def _days_to_full(window: FloatArray, newest: float) -> float | None:
    rows = np.flatnonzero(~np.isnan(window))
    if rows.size < MIN_SLOPE_DAYS:
        return None
    slope = theil_sen(rows.astype(np.float64), window[rows])
    return (1.0 - newest) / slope if slope > 0 else None


def read_peg(prices: FloatArray, *, column: str, anchor: float = 1.0, days: int = PEG_DAYS) -> PegHealth | None:
    """Distance of a price from its anchor over the last `days` rows; above it counts like below.

    Holding within half a percent, broken from two percent away. None when the newest row is unknown: yesterday's peg
    says nothing about today's. Raises StaleOrDisputed for less than one day, and for a price or an anchor that is not
    above 0 and finite.
    """
    _require_days(days, column=column)
    if not (math.isfinite(anchor) and anchor > 0):
        raise StaleOrDisputed(f"anchor of {column} must be above 0 and finite, got {anchor}")
    window = require_series(prices, column=column, lowest=np.nextafter(0.0, 1.0))[-days:]
    if not window.size or np.isnan(window[-1]):
        return None
    deviations = window[~np.isnan(window)] / anchor - 1.0
    newest = float(deviations[-1])
    return PegHealth(
        state=_peg_state(abs(newest)),
        deviation=newest,
        lowest=float(deviations.min()),
        days_off=int((np.abs(deviations) > HOLDING_DEVIATION).sum()),
        known_days=int(deviations.size),
    )


def _peg_state(distance: float) -> PegState:
    if distance <= HOLDING_DEVIATION:
        return PegState.HOLDING
    return PegState.BROKEN if distance >= BROKEN_DEVIATION else PegState.STRAINED
