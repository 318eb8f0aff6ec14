"""Risk of one return series: volatility, drawdown, VaR and CVaR, correlation, each with its sample and interval.

A loss is positive and never below zero: a series that only rises has VaR 0. Too few observations give None.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, ndtri, stdtrit

from domain.risk import Estimate, TailRisk
from tools.history import DAYS_PER_YEAR, FloatArray

MIN_OBSERVATIONS: Final = 2
INTERVAL_CONFIDENCE: Final = 0.9
RESAMPLES: Final = 256
SEED: Final = 20_260_301  # fixed: the same input must give the same interval in every process
TIE: Final = 1e-9  # 0.95 * 100 is 95.00000000000001 in floats and must select the 95th loss
MOMENT_OBSERVATIONS: Final = 4


@dataclass(frozen=True, slots=True)
class Drawdown:
    """Deepest fall from a running peak and the longest stay below a peak, in days."""

    depth: Estimate
    duration_days: int


@dataclass(frozen=True, slots=True, eq=False)
class Correlation:
    """(n, n) matrices over the rows where every column is known; a constant column correlates with nothing."""

    sample: FloatArray
    shrunk: FloatArray
    shrinkage: float
    sample_size: int


def volatility(returns: FloatArray) -> Estimate | None:
    """Annualized standard deviation (n - 1) of daily returns, shape (n,); NaN dropped; None below 2."""
    known = drop_unknown(returns)
    return _bootstrapped(known, _annual_deviation, method="sample") if known is not None else None


def max_drawdown(returns: FloatArray) -> Drawdown | None:
    """Of the wealth that the daily returns compound to, shape (n,); NaN dropped; None below 2."""
    known = drop_unknown(returns)
    if known is None:
        return None
    return Drawdown(
        depth=_bootstrapped(known, _deepest_fall, method="compounded"), duration_days=_longest_underwater(known)
    )


def historical_tail(returns: FloatArray, *, level: float, horizon_days: int = 1) -> TailRisk | None:
    """VaR and CVaR of the empirical loss distribution at `level` over the horizon, fractions of one.

    VaR is the lower quantile inf{l : F(l) >= level}; CVaR averages the worst 1 - level of probability with the
    fraction of the atom at VaR (Rockafellar and Uryasev 2002, proposition 8). Horizons above one day use overlapping
    compounded windows, whose sample size counts the windows that do not overlap. VaR's interval comes from binomial
    order statistics (David and Nagaraja 2003, 7.1), cut at the worst loss seen; CVaR's from the block bootstrap.
    """
    windows = compound_windows(drop_unknown(returns), horizon_days)
    if windows is None:
        return None
    independent = max(windows.size // horizon_days, 1)
    losses = np.sort(-windows)
    var, cvar = tail_of(windows, level)
    low, high = _order_statistics(losses, level, independent)
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
        cvar=_bootstrapped(
            windows,
            lambda paths: tail_matrix(paths, level)[1],
            method="historical",
            sample_size=independent,
            block=horizon_days,
        ).model_copy(update={"value": cvar}),
    )


def parametric_tail(returns: FloatArray, *, level: float, horizon_days: int = 1) -> TailRisk | None:
    """VaR and CVaR of a Student-t whose degrees of freedom match the sample kurtosis; normal where it has no excess.

    The horizon scales the mean by h and the deviation by sqrt(h), exact for independent days only. Needs four
    observations. McNeil, Frey and Embrechts (2015), 2.3.4; kurtosis of t: 3 + 6 / (nu - 4).
    """
    known = drop_unknown(returns)
    if known is None or known.size < MOMENT_OBSERVATIONS:
        return None

    def statistic(paths: FloatArray, index: int) -> FloatArray:
        return np.array([_student_tail(path, level, horizon_days)[index] for path in paths])

    var = _bootstrapped(known, partial(statistic, index=0), method="student-t")
    cvar = _bootstrapped(known, partial(statistic, index=1), method="student-t")
    return TailRisk(level=level, horizon_days=horizon_days, var=var, cvar=cvar)


def correlation(values: FloatArray) -> Correlation | None:
    """Sample and Ledoit-Wolf (2004) shrunk correlation of (n_days, n_subjects); None below 2 complete rows.

    Columns are standardized first: shrinking covariances towards one variance would drown stable coins in ether.
    """
    from sklearn.covariance import ledoit_wolf  # costs 1.6 s to import

    complete = values[~np.isnan(values).any(axis=1)]
    if complete.shape[0] < MIN_OBSERVATIONS or not complete.shape[1]:
        return None
    centred = complete - complete.mean(axis=0)
    deviations = centred.std(axis=0)
    scaled = np.divide(centred, deviations, out=np.zeros_like(centred), where=deviations > TIE**2)
    sample = scaled.T @ scaled / complete.shape[0]
    covariance, shrinkage = ledoit_wolf(scaled, assume_centered=True)
    diagonal = np.sqrt(np.diag(covariance))
    shrunk = np.asarray(covariance / np.outer(diagonal, diagonal)) if diagonal.all() else np.eye(diagonal.size)
    np.fill_diagonal(sample, 1.0)
    return Correlation(sample=sample, shrunk=shrunk, shrinkage=float(shrinkage), sample_size=complete.shape[0])


def drop_unknown(returns: FloatArray) -> FloatArray | None:
    known = returns[~np.isnan(returns)]
    return known if known.size >= MIN_OBSERVATIONS else None


def compound_windows(returns: FloatArray | None, horizon_days: int) -> FloatArray | None:
    """Overlapping compounded returns, shape (n - h + 1,); None when fewer than two windows fit."""
    if returns is None or returns.size < horizon_days + 1:
        return None
    if horizon_days == 1:
        return returns
    windows = np.lib.stride_tricks.sliding_window_view(1.0 + returns, horizon_days)
    return np.asarray(windows.prod(axis=1) - 1.0)


def tail_of(returns: FloatArray, level: float) -> tuple[float, float]:
    """(VaR, CVaR) of one series of shape (n,)."""
    var, cvar = tail_matrix(returns[None, :], level)
    return float(var[0]), float(cvar[0])


def tail_matrix(paths: FloatArray, level: float) -> tuple[FloatArray, FloatArray]:
    """VaR and CVaR per row of (m, n) returns, both floored at zero."""
    count = paths.shape[1]
    losses = np.sort(-paths, axis=1)
    quantile = losses[:, _quantile_index(level, count)]
    excess = np.maximum(losses - quantile[:, None], 0.0).sum(axis=1)
    cvar = quantile + excess / ((1.0 - level) * count)
    return np.maximum(quantile, 0.0), np.maximum(cvar, 0.0)


def _quantile_index(level: float, count: int) -> int:
    return min(max(math.ceil(level * count - TIE) - 1, 0), count - 1)


def _order_statistics(losses: FloatArray, level: float, independent: int) -> tuple[float, float]:
    """Losses between which the quantile lies with INTERVAL_CONFIDENCE, from the binomial law of the count below it."""
    cumulative = bdtr(np.arange(independent + 1), independent, level)
    tail = (1.0 - INTERVAL_CONFIDENCE) / 2.0
    low = int(np.searchsorted(cumulative, tail))
    high = int(np.searchsorted(cumulative, 1.0 - tail)) + 1
    positions = [min(max(rank, 1), independent) / independent for rank in (low, high)]
    low_loss, high_loss = (float(losses[_quantile_index(position, losses.size)]) for position in positions)
    return max(low_loss, 0.0), max(high_loss, 0.0)


def _annual_deviation(paths: FloatArray) -> FloatArray:
    return np.asarray(paths.std(axis=1, ddof=1) * math.sqrt(DAYS_PER_YEAR))


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


def _student_tail(returns: FloatArray, level: float, horizon_days: int) -> tuple[float, float]:
    mean, deviation = float(returns.mean()) * horizon_days, float(returns.std(ddof=1)) * math.sqrt(horizon_days)
    freedom = _degrees_of_freedom(returns)
    if freedom is None:
        quantile = float(ndtri(level))
        shortfall = math.exp(-(quantile**2) / 2.0) / math.sqrt(2.0 * math.pi) / (1.0 - level)
    else:
        quantile, shortfall = _standard_student_tail(freedom, level)
    return max(deviation * quantile - mean, 0.0), max(deviation * shortfall - mean, 0.0)


def _degrees_of_freedom(returns: FloatArray) -> float | None:
    centred = returns - returns.mean()
    variance = float(np.mean(centred**2))
    excess = float(np.mean(centred**4)) / variance**2 - 3.0 if variance > 0 else 0.0
    return 4.0 + 6.0 / excess if excess > TIE else None


def _standard_student_tail(freedom: float, level: float) -> tuple[float, float]:
    """Quantile and expected shortfall of a t with unit variance."""
    scale = math.sqrt((freedom - 2.0) / freedom)
    quantile = float(stdtrit(freedom, level))
    log_density = math.lgamma((freedom + 1.0) / 2.0) - math.lgamma(freedom / 2.0)
    density = math.exp(log_density) / math.sqrt(freedom * math.pi)
    density *= (1.0 + quantile**2 / freedom) ** (-(freedom + 1.0) / 2.0)
    shortfall = density / (1.0 - level) * (freedom + quantile**2) / (freedom - 1.0)
    return scale * quantile, scale * shortfall


def _bootstrapped(
    returns: FloatArray,
    statistic: Callable[[FloatArray], FloatArray],
    *,
    method: str,
    sample_size: int | None = None,
    block: int = 1,
) -> Estimate:
    """The statistic with the percentile interval of a circular block bootstrap (Politis and Romano 1992)."""
    value = float(statistic(returns[None, :])[0])
    tail = (1.0 - INTERVAL_CONFIDENCE) / 2.0
    low, high = np.quantile(statistic(_resample(returns, block)), [tail, 1.0 - tail])
    return Estimate(
        value=value,
        lower=min(float(low), value),
        upper=max(float(high), value),
        confidence=INTERVAL_CONFIDENCE,
        sample_size=returns.size if sample_size is None else sample_size,
        method=method,
    )


def _resample(returns: FloatArray, block: int) -> FloatArray:
    """(RESAMPLES, n) circular blocks of about the cube root of n, at least one horizon long."""
    return np.asarray(returns[_resampled_days(returns.size, block)])


@lru_cache(maxsize=64)
def _resampled_days(count: int, block: int) -> NDArray[np.int64]:
    """Which day stands where; kept, because every statistic of a book draws the same."""
    length = min(max(block, round(count ** (1.0 / 3.0))), count)
    starts = np.random.default_rng(SEED).integers(0, count, size=(RESAMPLES, -(-count // length)))
    days = ((starts[:, :, None] + np.arange(length)) % count).reshape(RESAMPLES, -1)[:, :count]
    days.setflags(write=False)
    return days
