"""Which tail estimator judges a book: a rule of what it holds and how long it was seen, never of what it answers."""

from __future__ import annotations

from typing import Final

import numpy as np

from domain.risk import TailRisk
from tools.history import FloatArray
from tools.risk.bootstrap import SEED
from tools.risk.filtered_tail import PEGGED, VOLATILE, VolatilityFilter, filtered_tail
from tools.risk.risk_metrics import historical_tail

FILTERED_FROM_DAYS: Final = 280
"""A filter needs its 30 days of warming up and a trading year of residuals; a shorter history speaks unfiltered."""
PEG_TOLERANCE: Final = 0.01


def chosen_tail(
    returns: FloatArray, *, is_pegged: bool, level: float, horizon_days: int = 1, seed: int = SEED
) -> TailRisk | None:
    """Filtered historical simulation from 280 known days on, with jumps for a book of pegged tokens alone.

    A shorter history is read as it is; the estimates' `method` says which one spoke. None where that one is: both ask
    for 1 / (1 - level) observations over the horizon that do not overlap.
    """
    if np.count_nonzero(~np.isnan(returns)) < FILTERED_FROM_DAYS:
        return historical_tail(returns, level=level, horizon_days=horizon_days, seed=seed)
    volatility = filter_for(is_pegged=is_pegged)
    return filtered_tail(returns, level=level, volatility=volatility, horizon_days=horizon_days, seed=seed)


def filter_for(*, is_pegged: bool) -> VolatilityFilter:
    return PEGGED if is_pegged else VOLATILE


def was_pegged(prices_usd: FloatArray) -> bool:
    """Whether a price of shape (n,) stood within 1 % of one dollar on most days it was known; False when never."""
    known = prices_usd[~np.isnan(prices_usd)]
    return bool(known.size) and float(np.median(np.abs(known - 1.0))) <= PEG_TOLERANCE
