"""Whether VaR and CVaR forecasts held: breaches counted (Kupiec), clustered (Christoffersen), and their depth.

A breach is a day whose loss exceeded the VaR forecast for it. The likelihood ratios follow Christoffersen (1998).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, xlogy

from domain.errors import StaleOrDisputed
from tools.history import FloatArray
from tools.risk.bootstrap import SEED
from tools.risk.return_sample import refuse, require_question

MIN_DAYS: Final = 100
MIN_BREACHES: Final = 5
RATIO_RESAMPLES: Final = 2000
RATIO_CONFIDENCE: Final = 0.95
SMALLEST_ERROR: Final = 1e-6
"""A resample of one breach alone has no error of its own; it counts as this part of the sample's."""

Breaches = NDArray[np.bool_]


class LikelihoodRatio(NamedTuple):
    """Twice the log likelihood lost by the hypothesis, and how often chance alone loses as much."""

    statistic: float
    p_value: float


class ShortfallRatio(NamedTuple):
    """Losses on breach days over the CVaR forecasts for them: above 1 the forecasts were too low."""

    value: float
    lower: float
    upper: float
    breaches: int

    @property
    def contains_one(self) -> bool:
        return self.lower <= 1.0 <= self.upper


def breaches_of(returns: FloatArray, var: FloatArray) -> Breaches:
    """Which of n days lost more than forecast, shape (n,). NaN, infinity or different lengths raise StaleOrDisputed."""
    _require_days(returns, var)
    return np.asarray(-returns > var)


def kupiec(breaches: Breaches, *, level: float) -> LikelihoodRatio:
    """Are there 1 - level breaches? Kupiec (1995), unconditional coverage, chi-square with 1 degree of freedom.

    Fewer than 100 days, and breaches that are no booleans, raise StaleOrDisputed, here and below.
    """
    _require_length(breaches, level)
    count = int(np.count_nonzero(breaches))
    observed = count / breaches.size
    lost = _log_likelihood(breaches.size - count, count, observed)
    return _ratio(lost - _log_likelihood(breaches.size - count, count, 1.0 - level), freedom=1)


def christoffersen_independence(breaches: Breaches) -> LikelihoodRatio:
    """Does a breach say nothing about the next day? Christoffersen (1998), section 3.2; chi-square with 1 degree.

    Without a single breach there is nothing to depend on: statistic 0.
    """
    _require_length(breaches)
    before, after = breaches[:-1], breaches[1:]
    calm_calm, calm_breach = (int(np.count_nonzero(~before & state)) for state in (~after, after))
    breach_calm, breach_breach = (int(np.count_nonzero(before & state)) for state in (~after, after))
    after_calm, after_breach = calm_calm + calm_breach, breach_calm + breach_breach
    pooled = (calm_breach + breach_breach) / (after_calm + after_breach)
    apart = _log_likelihood(calm_calm, calm_breach, calm_breach / max(after_calm, 1))
    apart += _log_likelihood(breach_calm, breach_breach, breach_breach / max(after_breach, 1))
    return _ratio(apart - _log_likelihood(calm_calm + breach_calm, calm_breach + breach_breach, pooled), freedom=1)


def conditional_coverage(breaches: Breaches, *, level: float) -> LikelihoodRatio:
    """Both at once: Christoffersen (1998), section 3.3; the sum of both statistics, chi-square with 2 degrees."""
    statistic = kupiec(breaches, level=level).statistic + christoffersen_independence(breaches).statistic
    return LikelihoodRatio(statistic, float(chdtrc(2, statistic)))


def shortfall_ratio(
    returns: FloatArray, var: FloatArray, cvar: FloatArray, *, seed: int = SEED
) -> ShortfallRatio | None:
    """Sum of breach-day losses over the sum of their CVaR forecasts, with a 95 % bootstrap interval over breaches.

    After the residual test of McNeil and Frey (2000), as a ratio, so that assets compare. The interval is the
    studentized bootstrap (Hall 1988): breaches are few and their depth is skewed, and a percentile interval would
    miss a right forecast of heavy tails one time in five instead of one in twenty. Three arrays of shape (n,); None
    below 5 breaches, where CVaR was forecast as zero on one of them, or where depth does not vary.
    """
    _require_days(returns, var)
    _require_days(returns, cvar)
    breached = breaches_of(returns, var)
    losses, forecasts = -returns[breached], cvar[breached]
    if losses.size < MIN_BREACHES or not (forecasts > 0).all():
        return None
    drawn = np.random.default_rng(seed).integers(0, losses.size, size=(RATIO_RESAMPLES, losses.size))
    ratio, error = _ratio_with_error(losses[None, :], forecasts[None, :])
    ratios, errors = _ratio_with_error(losses[drawn], forecasts[drawn])
    if not error[0] > 0:
        return None
    distances = (ratios - ratio) / np.maximum(errors, error * SMALLEST_ERROR)
    tail = (1.0 - RATIO_CONFIDENCE) / 2.0
    low, high = np.quantile(distances, [tail, 1.0 - tail])
    value, width = float(ratio[0]), float(error[0])
    lower, upper = max(value - float(high) * width, 0.0), value - float(low) * width
    return ShortfallRatio(value, lower, upper, int(losses.size))


def _ratio_with_error(losses: FloatArray, forecasts: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Ratio of sums and its standard error, per row."""
    expected = forecasts.sum(axis=1)
    ratio = losses.sum(axis=1) / expected
    residuals = losses - ratio[:, None] * forecasts
    return ratio, np.sqrt((residuals**2).sum(axis=1)) / expected


def holm_rejections(p_values: Sequence[float], *, significance: float = 0.05) -> tuple[bool, ...]:
    """Which hypotheses fall when all of them are to hold together with this significance, in order. Holm (1979).

    A p-value that is none, NaN among them, raises StaleOrDisputed.
    """
    values = np.asarray(p_values, dtype=float)
    refuse(~((values >= 0) & (values <= 1)), values, column="p_values", rule="must be in [0, 1]")
    order = sorted(range(len(p_values)), key=lambda number: p_values[number])
    rejected = [False] * len(p_values)
    for rank, number in enumerate(order):
        if p_values[number] > significance / (len(p_values) - rank):
            break
        rejected[number] = True
    return tuple(rejected)


def _log_likelihood(calm: int, breached: int, probability: float) -> float:
    return float(xlogy(calm, 1.0 - probability) + xlogy(breached, probability))


def _ratio(lost: float, *, freedom: int) -> LikelihoodRatio:
    statistic = max(2.0 * lost, 0.0)
    return LikelihoodRatio(statistic, float(chdtrc(freedom, statistic)))


def _require_length(breaches: Breaches, level: float = 0.95) -> None:
    require_question(level, 1)
    if breaches.ndim != 1 or breaches.size < MIN_DAYS:
        raise StaleOrDisputed(f"a backtest has {breaches.shape} days, needs {MIN_DAYS} in one row")
    if breaches.dtype != np.bool_:
        raise StaleOrDisputed(f"breaches are {breaches.dtype}, must be bool: row 0 is {breaches[0]}, no yes or no")


def _require_days(returns: FloatArray, forecasts: FloatArray) -> None:
    if returns.ndim != 1 or returns.shape != forecasts.shape:
        raise StaleOrDisputed(f"a backtest has {returns.shape} returns for {forecasts.shape} forecasts")
    for column, values in (("returns", returns), ("forecasts", forecasts)):
        refuse(~np.isfinite(values), values, column=column, rule="must be finite: a day without both is left out")
