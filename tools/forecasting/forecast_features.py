"""What the pooled forecast looks at: one row per market and day, made only of the window that ends there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tools.forecasting.forecast_panel import CONTEXT, BoolArray, IntArray, RatePanel, carried
from tools.history import FloatArray

WINDOW_DAYS: Final = 91
SHORT_DAYS: Final = 31
SOFTENING: Final = 0.005
"""Added to a rate before its logarithm is taken: half a percent, under which relative changes say nothing."""
MEAN_DAYS: Final = (3, 7, 14, 30, 90)
MEDIAN_DAYS: Final = (7, 30)
HALF_LIFE_DAYS: Final = (1.0, 3.0, 7.0)
LAGS: Final = (1, 7, 14, 30)
PERSISTENT_SPAN_DAYS: Final = 3
NEAR_KINK: Final = 0.9
"""Above it most lending curves turn steep (Aave v3: 0.80 to 0.95 for what is borrowed most)."""
LARGE_TVL_USD: Final = 1e6


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """n rows: where they are in the panel, what the model sees and what the baselines say. Rates: fractions of one."""

    day: IntArray
    market: IntArray
    features: FloatArray
    """Shape (n, len(FEATURES)); NaN where unknown."""
    last: FloatArray
    average: FloatArray
    """Exponential average of span PERSISTENT_SPAN_DAYS."""
    weekly: FloatArray
    spread: FloatArray
    """Standard deviation of log rates in the last month: how hard this row is."""

    def __len__(self) -> int:
        return int(self.day.size)

    def at(self, chosen: BoolArray | IntArray) -> Samples:
        return Samples(
            day=self.day[chosen],
            market=self.market[chosen],
            features=self.features[chosen],
            last=self.last[chosen],
            average=self.average[chosen],
            weekly=self.weekly[chosen],
            spread=self.spread[chosen],
        )


def samples_of(panel: RatePanel, *, only_last_day: bool = False) -> Samples:
    """One row per market and day with a reading at most CARRIED_DAYS old, days rising.

    A row depends on the readings of its own day and the WINDOW_DAYS - 1 days before, of all markets, and on nothing
    later. Rates below zero count as zero here.
    """
    rates = np.maximum(carried(panel["supply_apr"]), 0.0)
    is_known = ~np.isnan(rates)
    if only_last_day:
        is_known[:-1] = False
    day, market = (index.astype(np.int64) for index in np.nonzero(is_known))
    return _sample(panel, rates, day, market)


def log_rate(rate: FloatArray) -> FloatArray:
    return np.log(rate + SOFTENING)


def _sample(panel: RatePanel, rates: FloatArray, day: IntArray, market: IntArray) -> Samples:
    windows = _windows(rates, day, market, WINDOW_DAYS)
    last, month = windows[:, -1], windows[:, -30:]
    weekly = _mean(windows[:, -7:])
    utilization = np.clip(carried(panel["utilization"]), 0.0, 1.2)
    loans = _windows(utilization, day, market, SHORT_DAYS)
    columns = [
        *_rate_columns(windows),
        *_loan_columns(loans),
        *_size_columns(panel, day, market),
        *_peer_columns(panel, day, market, {"last": last, "weekly": weekly, "monthly": _mean(month)}, loans[:, -1]),
        *_context_columns(panel, day, market, last),
    ]
    return Samples(
        day=day,
        market=market,
        features=np.column_stack(columns) if day.size else np.empty((0, len(columns))),
        last=last,
        average=_decayed(windows[:, -30:], half_life=_half_life(PERSISTENT_SPAN_DAYS)),
        weekly=weekly,
        spread=_deviation(log_rate(month)),
    )


def trailing_median(values: FloatArray, samples: Samples, *, days: int) -> FloatArray:
    """Of the last `days` days up to each row's own, shape (n,); NaN where none is known."""
    return _median(_windows(values, samples.day, samples.market, days))


def rolling_deviation(values: FloatArray, days: int) -> FloatArray:
    """Standard deviation of the last `days` days, per column, shape as given; NaN under three readings."""
    padded = np.concatenate([np.full((days - 1, values.shape[1]), np.nan), values])
    windows = sliding_window_view(padded, days, axis=0).reshape(-1, days)
    return _deviation(windows).reshape(values.shape)


def _half_life(span: float) -> float:
    """Of the exponential average of a span: decay 1 - 2 / (span + 1) per day."""
    return float(np.log(0.5) / np.log(1.0 - 2.0 / (span + 1.0)))


def _windows(values: FloatArray, day: IntArray, market: IntArray, length: int) -> FloatArray:
    """The last `length` days up to each row's own, shape (n, length); NaN before the first day."""
    padded = np.concatenate([np.full((length - 1, values.shape[1]), np.nan), values])
    return np.asarray(sliding_window_view(padded, length, axis=0)[day, market], dtype=np.float64)


def _rate_columns(windows: FloatArray) -> list[FloatArray]:
    """The level, and everything else relative to it: what counts is where a rate stands against its own past."""
    last = windows[:, -1]
    level, month = log_rate(last), windows[:, -30:]
    compared = [_mean(windows[:, -days:]) for days in MEAN_DAYS]
    compared += [_median(windows[:, -days:]) for days in MEDIAN_DAYS]
    compared += [_decayed(month, half_life=half_life) for half_life in HALF_LIFE_DAYS]
    compared += [windows[:, -1 - lag] for lag in LAGS]
    compared += [_extreme(month, largest=True), _extreme(month, largest=False)]
    spreads = [np.log(_deviation(windows[:, -days:]) + 2 * SOFTENING) - level for days in (7, 30)]
    known = np.log1p(np.sum(~np.isnan(windows), axis=1))
    return [level, *(log_rate(values) - level for values in compared), *spreads, known]


def _loan_columns(loans: FloatArray) -> list[FloatArray]:
    now, week, month = loans[:, -1], _mean(loans[:, -7:]), _mean(loans[:, -30:])
    pressed = np.where(np.isnan(loans), np.nan, loans > NEAR_KINK)
    return [now, week, month, _extreme(loans[:, -30:], largest=True), now - week, now - month, _mean(pressed)]


def _size_columns(panel: RatePanel, day: IntArray, market: IntArray) -> list[FloatArray]:
    """Size, free liquidity, and how deposits and loans changed."""
    columns: list[FloatArray] = []
    for name, lags in (("tvl_usd", (1, 7, 30)), ("supplied_usd", (1, 7)), ("borrowed_usd", (1, 7))):
        values = np.log(np.maximum(_windows(carried(panel[name]), day, market, SHORT_DAYS), 1.0))
        if name == "tvl_usd":
            columns.append(_median(values[:, -30:]))
        columns += [values[:, -1] - values[:, -1 - lag] for lag in lags]
    free = carried(panel["supplied_usd"]) - carried(panel["borrowed_usd"])
    columns.append(np.log(np.maximum(free[day, market], 1.0)))
    return columns


def _peer_columns(
    panel: RatePanel, day: IntArray, market: IntArray, rates: dict[str, FloatArray], utilization: FloatArray
) -> list[FloatArray]:
    """Against the middle of the large stable markets of the same day: money moves between them."""
    is_stable = np.array([group == "stable" for group in panel.groups])
    size = carried(panel["tvl_usd"])[day, market]
    is_peer = is_stable[market] & ~(size < LARGE_TVL_USD)
    level = log_rate(rates["last"])
    compared = [log_rate(_daily_median(values, day, is_peer)) - level for values in rates.values()]
    return [*compared, _daily_median(utilization, day, is_peer)]


def _context_columns(panel: RatePanel, day: IntArray, market: IntArray, last: FloatArray) -> list[FloatArray]:
    context = {name: carried(panel[name])[day, market] for name in CONTEXT}
    for name in ("rate_close", "rate_max"):
        context[name] = log_rate(np.maximum(context[name], 0.0)) - log_rate(last)
    context["market_cap_usd"] = np.log(np.maximum(context["market_cap_usd"], 1.0))
    return list(context.values())


def _daily_median(values: FloatArray, day: IntArray, chosen: BoolArray) -> FloatArray:
    """Of the chosen rows of each row's day, shape (n,); NaN on days without one."""
    found = np.full(int(day.max(initial=-1)) + 1, np.nan)
    usable = chosen & ~np.isnan(values)
    order = np.lexsort((values[usable], day[usable]))
    ranked, days = values[usable][order], day[usable][order]
    present, first, count = np.unique(days, return_index=True, return_counts=True)
    found[present] = (ranked[first + (count - 1) // 2] + ranked[first + count // 2]) / 2.0
    return found[day]


def _mean(values: FloatArray) -> FloatArray:
    return _over(np.where(np.isnan(values), 0.0, values).sum(axis=1), np.sum(~np.isnan(values), axis=1))


def _median(values: FloatArray) -> FloatArray:
    """NaN sorts last, so the middle of what is known is found by counting; all unknown gives NaN."""
    ranked, count = np.sort(values, axis=1), np.sum(~np.isnan(values), axis=1)
    row = np.arange(values.shape[0])
    lower = ranked[row, np.maximum(count - 1, 0) // 2]
    upper = ranked[row, np.minimum(count // 2, values.shape[1] - 1)]
    middle: FloatArray = (lower + upper) / 2.0
    return middle


def _extreme(values: FloatArray, *, largest: bool) -> FloatArray:
    extreme: FloatArray = np.fmax.reduce(values, axis=1) if largest else np.fmin.reduce(values, axis=1)
    return extreme


def _decayed(values: FloatArray, *, half_life: float) -> FloatArray:
    """Exponential average; a day without a reading keeps its weight for nobody."""
    weights = 0.5 ** (np.arange(values.shape[1])[::-1] / half_life)
    known = np.where(np.isnan(values), 0.0, weights)  # summed row by row: a matrix product rounds by the batch's size
    return _over(np.where(np.isnan(values), 0.0, values * weights).sum(axis=1), known.sum(axis=1))


def _deviation(values: FloatArray) -> FloatArray:
    """Sample standard deviation; NaN under three readings."""
    count = np.sum(~np.isnan(values), axis=1)
    squares = np.where(np.isnan(values), 0.0, (values - _mean(values)[:, None]) ** 2).sum(axis=1)
    return np.sqrt(_over(squares, np.where(count > 2, count - 1, 0)))  # noqa: PLR2004  two readings have no spread


def _over(total: FloatArray, weight: FloatArray | IntArray) -> FloatArray:
    ratio: FloatArray = np.divide(total, weight, out=np.full(total.shape, np.nan), where=weight > 0)
    return ratio
