"""From daily series to one matrix of daily total returns in USD; every risk number starts here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from domain.market import Catalog, DailySeries, MarketHistory, StrategyKind

FloatArray = NDArray[np.float64]
DAYS_PER_YEAR: Final = 365


@dataclass(frozen=True, slots=True, eq=False)
class ReturnMatrix:
    """Daily total returns in USD as fractions of one; `values` is (n_days - 1, n_subjects), NaN where unknown."""

    subjects: tuple[str, ...]
    values: FloatArray

    def column(self, subject: str) -> FloatArray:
        return self.values[:, self.subjects.index(subject)]

    def known_days(self, subject: str) -> int:
        return int(np.count_nonzero(~np.isnan(self.column(subject))))


def daily_returns(
    history: MarketHistory, catalog: Catalog, *, strategy_ids: Sequence[str] = (), tokens: Sequence[str] = ()
) -> ReturnMatrix:
    """Columns: the strategies, then the tokens held as cash, in the order given.

    A strategy's return is share price growth x price relative x accrual (Aave only: apr / 365 of the day before,
    carried over gaps, because an aToken's share price is always 1). A day without an observation is NaN and the
    whole change across the gap falls on the day that ends it, so that a loss cannot hide in a gap. A subject
    without two observations is all NaN; fewer than two days give zero rows.
    """
    columns = [_strategy_values(history, catalog, strategy_id) for strategy_id in strategy_ids]
    columns += [series_of(history.price_usd, token, len(history.days)) for token in tokens]
    subjects = (*strategy_ids, *tokens)
    rows = max(len(history.days) - 1, 0)
    if not columns or not rows:
        return ReturnMatrix(subjects=subjects, values=np.empty((rows, len(subjects))))
    return ReturnMatrix(subjects=subjects, values=np.column_stack([relative_changes(column) for column in columns]))


def series_of(all_series: Sequence[DailySeries], subject: str, days: int) -> FloatArray:
    """Values of one subject, shape (days,), NaN where None; all NaN when the subject has no series."""
    found = next((series for series in all_series if series.subject == subject), None)
    if found is None:
        return np.full(days, np.nan)
    return np.array([np.nan if value is None else value for value in found.values], dtype=np.float64)


def relative_changes(values: FloatArray) -> FloatArray:
    """values[t] / last known value before t - 1, shape (n - 1,); NaN where either is unknown or not positive."""
    positive = np.where(values > 0, values, np.nan)
    return positive[1:] / carry_forward(positive)[:-1] - 1.0


def carry_forward(values: FloatArray) -> FloatArray:
    """The last known value at each day; NaN before the first one."""
    known_at = np.where(np.isnan(values), -1, np.arange(values.size))
    last = np.maximum.accumulate(known_at)
    return np.where(last >= 0, values[np.maximum(last, 0)], np.nan)


def _strategy_values(history: MarketHistory, catalog: Catalog, strategy_id: str) -> FloatArray:
    """USD value of one unit that was put into the strategy on the first day, NaN on days with a reading missing."""
    days = len(history.days)
    strategy = catalog.strategy(strategy_id)
    values = series_of(history.share_price, strategy_id, days) * series_of(history.price_usd, strategy.token, days)
    if strategy.kind is StrategyKind.AAVE_V3:
        values = values * _accrual_index(series_of(history.supply_apr, strategy_id, days))
    return values


def _accrual_index(aprs: FloatArray) -> FloatArray:
    """Growth of one unit at simple daily accrual; NaN until the first rate is known."""
    if not aprs.size:
        return aprs
    carried = carry_forward(aprs)
    daily = np.concatenate(([0.0], np.nan_to_num(carried[:-1]) / DAYS_PER_YEAR))
    return np.where(np.isnan(carried), np.nan, np.cumprod(1.0 + daily))
