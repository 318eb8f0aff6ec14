"""Risk of one return series: volatility, drawdown, VaR and CVaR, each with its sample and its interval.

A loss is positive and never below zero: a series that only rises has VaR 0. Too few observations give None.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np

from domain.errors import InvariantBroken
from domain.risk import Estimate, TailRisk
from tools.history import DAYS_PER_YEAR, FloatArray
from tools.risk.bootstrap import SEED, bootstrapped
from tools.risk.return_sample import (
    MIN_SPREAD_DAYS,
    drop_unknown,
    known_growth,
    least_observations,
    require_question,
)
from tools.risk.student_t import matched_freedom, standard_tail
from tools.risk.tail_definition import INTERVAL_CONFIDENCE, Tail, order_statistics, tail_matrix, tail_of


@dataclass(frozen=True, slots=True)
class Drawdown:
    """Deepest fall from a running peak and the longest stay below a peak, in days."""

    depth: Estimate
    duration_days: int


def volatility(returns: FloatArray, *, seed: int = SEED) -> Estimate | None:
    """Annualized standard deviation (n - 1) of daily returns, shape (n,); NaN dropped; None below 10."""
    known = drop_unknown(returns)
    if known is None or known.size < MIN_SPREAD_DAYS:
        return None
    return bootstrapped(known, _annual_deviation, method="sample", seed=seed)


def downside_deviation(returns: FloatArray, *, target: float = 0.0, seed: int = SEED) -> Estimate | None:
    """Annualized root mean square of shortfalls below a daily target, over all n days; NaN dropped; None below 10.

    Sortino and van der Meer (1991): days above the target count as zero and stay in the denominator. A target that is
    not finite raises InvariantBroken.
    """
    if not math.isfinite(target):
        raise InvariantBroken(f"daily target is {target}, must be finite")
    known = drop_unknown(returns)
    if known is None or known.size < MIN_SPREAD_DAYS:
        return None
    return bootstrapped(known, partial(_annual_downside, target=target), method="sample", seed=seed)


def max_drawdown(returns: FloatArray, *, seed: int = SEED) -> Drawdown | None:
    """Of the wealth that daily returns compound to, shape (n,); NaN dropped; None below 10; below -1 raises."""
    known = known_growth(returns)
    if known is None or known.size < MIN_SPREAD_DAYS:
        return None
    return Drawdown(
        depth=bootstrapped(known, _deepest_fall, method="compounded", seed=seed),
        duration_days=_longest_underwater(known),
    )


def historical_tail(returns: FloatArray, *, level: float, horizon_days: int = 1, seed: int = SEED) -> TailRisk | None:
    """VaR and CVaR of the empirical losses at `level` over the horizon (tail_definition.py), fractions of one.

    Horizons above one day use overlapping compounded windows; the sample size counts those that do not overlap.
    VaR's interval comes from order statistics, CVaR's from the block bootstrap. NaN is dropped; None below
    1 / (1 - level) windows that do not overlap, where not even one loss beyond the quantile is expected.
    """
    require_question(level, horizon_days)
    windows = compound_windows(_known(returns, horizon_days), horizon_days)
    independent = 0 if windows is None else windows.size // horizon_days
    if windows is None or independent < least_observations(level):
        return None
    var, cvar = tail_of(windows, level)
    low, high = order_statistics(np.sort(-windows), level, independent)
    return TailRisk(
        level=level,
        horizon_days=horizon_days,
        var=Estimate(
            value=var,
            lower=min(low, var),
            upper=max(high, var),
            confidence=INTERVAL_CONFIDENCE,
            sample_size=independent,
            method="historical",
        ),
        cvar=bootstrapped(
            windows,
            lambda paths: tail_matrix(paths, level)[1],
            value=cvar,
            method="historical",
            sample_size=independent,
            block=horizon_days,
            seed=seed,
        ),
    )


def parametric_tail(returns: FloatArray, *, level: float, horizon_days: int = 1, seed: int = SEED) -> TailRisk | None:
    """VaR and CVaR of a Student-t whose degrees of freedom match the sample kurtosis; normal where it has no excess.

    The horizon scales the mean by h and the deviation by sqrt(h), exact for independent days only. NaN is dropped;
    None below 1 / (1 - level) observations. McNeil, Frey and Embrechts (2015), 2.3.4.
    """
    require_question(level, horizon_days)
    known = drop_unknown(returns)
    if known is None or known.size < least_observations(level):
        return None

    def statistic(paths: FloatArray, index: int) -> FloatArray:
        return np.array([_student_tail(path, level, horizon_days)[index] for path in paths])

    var, cvar = (
        bootstrapped(known, partial(statistic, index=index), method="student-t", seed=seed) for index in range(2)
    )
    return TailRisk(level=level, horizon_days=horizon_days, var=var, cvar=cvar)


def compound_windows(returns: FloatArray | None, horizon_days: int) -> FloatArray | None:
    """Overlapping compounded returns, shape (n - h + 1,); None when fewer than two windows fit."""
    if returns is None or returns.size < horizon_days + 1:
        return None
    if horizon_days == 1:
        return returns
    windows = np.lib.stride_tricks.sliding_window_view(1.0 + returns, horizon_days)
    return np.asarray(windows.prod(axis=1) - 1.0)


def _known(returns: FloatArray, horizon_days: int) -> FloatArray | None:
    return known_growth(returns) if horizon_days > 1 else drop_unknown(returns)


def _annual_deviation(paths: FloatArray) -> FloatArray:
    return np.asarray(paths.std(axis=1, ddof=1) * math.sqrt(DAYS_PER_YEAR))


def _annual_downside(paths: FloatArray, target: float) -> FloatArray:
    return np.asarray(np.sqrt(np.mean(np.minimum(paths - target, 0.0) ** 2, axis=1) * DAYS_PER_YEAR))


def _deepest_fall(paths: FloatArray) -> FloatArray:
    """Largest relative distance below the running peak per row; the start counts as a peak."""
    return np.asarray(_underwater(paths).max(axis=1))


def _underwater(paths: FloatArray) -> FloatArray:
    wealth = np.cumprod(1.0 + paths, axis=1)
    peaks = np.maximum(np.maximum.accumulate(wealth, axis=1), 1.0)
    return np.asarray(1.0 - wealth / peaks)


def _longest_underwater(returns: FloatArray) -> int:
    longest = current = 0
    for depth in _underwater(returns[None, :])[0]:
        current = current + 1 if depth > 0 else 0
        longest = max(longest, current)
    return longest


def _student_tail(returns: FloatArray, level: float, horizon_days: int) -> Tail:
    mean, deviation = float(returns.mean()) * horizon_days, float(returns.std(ddof=1)) * math.sqrt(horizon_days)
    quantile, shortfall = standard_tail(level, matched_freedom(returns))
    return Tail(max(deviation * quantile - mean, 0.0), max(deviation * shortfall - mean, 0.0))
