"""Which days of a daily series should not be believed as they stand, and why; nothing is repaired here.

A day's flags come from that day and the days before: what arrives later never changes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from domain.errors import StaleOrDisputed
from tools.history import FloatArray
from tools.markets.market_signals import require_series

Flags = NDArray[np.bool_]

SPIKE_DAYS: Final = 30
MIN_SPIKE_DAYS: Final = 10
SPIKE_SPREADS: Final = 8.0
MIN_SPREAD: Final = 0.002
"""A quiet series may move by eight times this, 1.6 points of rate, before a day counts as a spike."""
NORMAL_SPREAD: Final = 1.4826  # median absolute deviation of a normal variable, as a standard deviation
REPEATED_DAYS: Final = 5
GAP_DAYS: Final = 3
PLACEHOLDER_RETURNS: Final = 4
LOWEST_APR: Final = 0.0
HIGHEST_APR: Final = 10.0


class AnomalyKind(StrEnum):
    IMPLAUSIBLE = "implausible"  # outside what such a number can be
    SPIKE = "spike"  # far from the month before
    REPEATED = "repeated"  # the very same number for days: stale, or fixed by somebody
    PLACEHOLDER = "placeholder"  # the very same number comes back again and again: filled in
    GAP = "gap"  # no reading for days


@dataclass(frozen=True, slots=True)
class Anomaly:
    """Rows `first` to `last` of the series, and why."""

    kind: AnomalyKind
    first: int
    last: int
    reason: str


def find_anomalies(
    values: FloatArray, *, column: str, lowest: float = LOWEST_APR, highest: float = HIGHEST_APR
) -> tuple[Anomaly, ...]:
    """Every run of flagged days, by kind and then by day; defaults fit an annual rate as a fraction of one.

    `values` has shape (n_days,), NaN where unknown, as given: the flags exist because such numbers occur, so that only
    infinities raise (StaleOrDisputed, naming column and row). Empty for an empty series.
    """
    flags = flag_days(values, column=column, lowest=lowest, highest=highest)
    return tuple(
        Anomaly(kind, first, last, f"{column}: {_reason(kind, values, first, last)}")
        for kind in AnomalyKind
        for first, last in _runs(flags[kind])
    )


def _reason(kind: AnomalyKind, values: FloatArray, first: int, last: int) -> str:
    value, days = f"{values[first]:.4g}", last - first + 1
    if kind is AnomalyKind.IMPLAUSIBLE:
        return f"{value} cannot be"
    if kind is AnomalyKind.SPIKE:
        return f"{value} is far from the {SPIKE_DAYS} days before"
    if kind is AnomalyKind.REPEATED:
        return f"exactly {value} for {days + REPEATED_DAYS - 1} days: stale, or fixed by somebody"
    if kind is AnomalyKind.PLACEHOLDER:
        return f"exactly {value} came back {PLACEHOLDER_RETURNS} times or more: filled in"
    return f"no reading for {days + GAP_DAYS - 1} days"


def flag_days(
    values: FloatArray, *, column: str, lowest: float = LOWEST_APR, highest: float = HIGHEST_APR
) -> Mapping[AnomalyKind, Flags]:
    """One flag per day and kind, each of shape (n_days,). Raises StaleOrDisputed for infinity or lowest > highest."""
    if not lowest <= highest:
        raise StaleOrDisputed(f"column {column}: lowest {lowest} must not be above highest {highest}")
    series = require_series(values, column=column)
    with np.errstate(invalid="ignore"):
        implausible = (series < lowest) | (series > highest)
    return {
        AnomalyKind.IMPLAUSIBLE: implausible,
        AnomalyKind.SPIKE: _spikes(np.where(implausible, np.nan, series)),
        AnomalyKind.REPEATED: _run_lengths(series) >= REPEATED_DAYS,
        AnomalyKind.PLACEHOLDER: _placeholders(series),
        AnomalyKind.GAP: _run_lengths(np.where(np.isnan(series), 1.0, np.nan)) >= GAP_DAYS,
    }


def _spikes(series: FloatArray) -> Flags:
    """Further from the median of the month before than eight of its spreads; ten known days or no flag."""
    before = np.concatenate([np.full(SPIKE_DAYS, np.nan), series])
    windows = np.lib.stride_tricks.sliding_window_view(before, SPIKE_DAYS)[: series.size]
    flags = np.zeros(series.size, dtype=np.bool_)
    enough = (~np.isnan(windows)).sum(axis=1) >= MIN_SPIKE_DAYS
    enough &= ~np.isnan(series)
    if not enough.any():
        return flags
    known, today = windows[enough], series[enough]
    middle = np.nanmedian(known, axis=1)
    spread = NORMAL_SPREAD * np.nanmedian(np.abs(known - middle[:, None]), axis=1)
    flags[enough] = np.abs(today - middle) > SPIKE_SPREADS * np.maximum(spread, MIN_SPREAD)
    return flags


def _run_lengths(series: FloatArray) -> NDArray[np.int64]:
    """How many days up to each one say exactly the same; 0 on an unknown day."""
    lengths = np.zeros(series.size, dtype=np.int64)
    for day in range(series.size):
        if not np.isnan(series[day]):
            lengths[day] = lengths[day - 1] + 1 if day and series[day] == series[day - 1] else 1
    return lengths


def _placeholders(series: FloatArray) -> Flags:
    """The fourth separate time, and later, that one exact number other than 0 appears."""
    flags = np.zeros(series.size, dtype=np.bool_)
    returns: dict[float, int] = {}
    for day, value in enumerate(series.tolist()):
        if value == 0.0 or np.isnan(value):
            continue
        if not (day and series[day - 1] == value):
            returns[value] = returns.get(value, 0) + 1
        flags[day] = returns[value] >= PLACEHOLDER_RETURNS
    return flags


def _runs(flags: Flags) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(first), int(stop) - 1) for first, stop in edges.reshape(-1, 2)]
