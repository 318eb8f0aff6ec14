"""Tail of a Student-t market with jumps (depegs, exploits), computed instead of simulated: same input, same bits.

A portfolio of a multivariate t is a scalar t (McNeil, Frey and Embrechts 2015, 6.4); jumps shift it. Their sum's law
is built source by source on a grid (Andersen, Sidenius and Basu 2003); what has next to no chance counts as the worst.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from domain.errors import InvariantBroken, StaleOrDisputed
from tools.history import FloatArray
from tools.risk.return_sample import refuse, require_question
from tools.risk.student_t import MIN_FREEDOM, log_norm
from tools.risk.tail_definition import Tail
from tools.solvers.conditioning import deviations_of

GRID_POINTS: Final = 257
MAX_STEPS: Final = 80
PRECISION: Final = 1e-13
RESOLVED: Final = 1e-8
"""So many jumps at once that more of them are less likely than this: those are counted as all sources jumping."""


@dataclass(frozen=True, slots=True, eq=False)
class TailMarket:
    """Daily law of n subjects. `mean` (n,) and `covariance` (n, n) are those of the days without a jump.

    `jump_probability` (k,) is per day and source; `jump_loss` (k, n) what one jump takes from each subject, 0 to 1.
    Sources are independent of each other and of the market; one source may hit many subjects at once.
    """

    mean: FloatArray
    covariance: FloatArray
    freedom: float
    jump_probability: FloatArray
    jump_loss: FloatArray


def jump_tail(weights: FloatArray, market: TailMarket, *, level: float, horizon_days: int = 1) -> Tail:
    """VaR and CVaR of a book with `weights` (n,), not negative, over the horizon; fractions of one, floored at zero.

    Over h days mean and covariance grow with h, the t keeps its freedom (heavier than the sum of h days: conservative)
    and each source jumps at most once. A jump sum between two grid points is split between both so that its mean
    stays: a spread that keeps the mean never lowers CVaR, which is an upper bound; the grid has 257 points.
    No observations are needed; NaN, infinity, shapes that do not fit, impossible numbers and a covariance that is
    asymmetric or has a negative variance in any direction raise StaleOrDisputed.
    """
    require_question(level, horizon_days)
    _require_market(weights, market)
    mean = float(weights @ market.mean) * horizon_days
    variance = float(weights @ market.covariance @ weights) * horizon_days
    scale = math.sqrt(max(variance, 0.0) * _shape(market.freedom))
    chances = 1.0 - (1.0 - market.jump_probability) ** horizon_days
    sums, probabilities = jump_sums(chances, market.jump_loss @ weights)
    if scale <= 0:
        return _discrete_tail(sums - mean, probabilities, level)
    return _mixture_tail((sums - mean) / scale, probabilities, market.freedom, level, scale)


def jump_sums(chances: FloatArray, losses: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Possible sums of independent jumps, rising, and their probabilities, which sum to one; sources are (k,).

    The grid ends at the largest sum of as many jumps as can meet; a sum beyond it counts as that of all sources.
    """
    hits = (chances > 0) & (losses > 0)
    if not hits.any():
        return np.zeros(1), np.ones(1)
    ranked = np.sort(losses[hits])[::-1]
    step = float(ranked[: _meeting_jumps(float(chances[hits].sum()))].sum()) / (GRID_POINTS - 1)
    law = np.zeros(GRID_POINTS)
    law[0] = 1.0
    for chance, loss in zip(chances[hits].tolist(), (losses[hits] / step).tolist(), strict=True):
        whole = min(int(loss), GRID_POINTS - 2)
        part = loss - whole
        moved = law * chance
        law -= moved
        law[whole:] += (1.0 - part) * moved[: GRID_POINTS - whole]
        law[whole + 1 :] += part * moved[: GRID_POINTS - whole - 1]
    beyond = max(1.0 - float(law.sum()), 0.0)
    sums = np.append(np.arange(GRID_POINTS) * step, max(float(ranked.sum()), step * (GRID_POINTS - 1)))
    return sums, np.append(law, beyond)


def _meeting_jumps(expected: float) -> int:
    """How many may meet: the chance of m or more is at most expected^m / m!, the sum over all sets of m sources."""
    count, chance = 0, 1.0
    while chance > RESOLVED:
        count += 1
        chance *= expected / count
    return max(count - 1, 1)


def _mixture_tail(shifts: FloatArray, probabilities: FloatArray, freedom: float, level: float, scale: float) -> Tail:
    """Newton's method on the survival function, kept inside a bracket; all in units of the scale."""
    low, high = _bracket(shifts, probabilities, freedom, level)
    quantile = high
    for _ in range(MAX_STEPS):
        beyond = float(probabilities @ stdtr(freedom, shifts - quantile)) - (1.0 - level)
        low, high = (quantile, high) if beyond > 0 else (low, quantile)
        step = beyond / float(probabilities @ _densities(quantile - shifts, freedom))
        if abs(step) <= PRECISION * max(abs(quantile), 1.0):
            break
        quantile = quantile + step if low < quantile + step < high else (low + high) / 2.0
    else:
        raise InvariantBroken(f"quantile {level} not found in {MAX_STEPS} steps between {low} and {high}")
    distance = quantile - shifts
    excess = _densities(distance, freedom) * (freedom + distance**2) / (freedom - 1.0)
    shortfall = float(probabilities @ (excess + shifts * stdtr(freedom, -distance))) / (1.0 - level)
    return Tail(max(quantile * scale, 0.0), max(shortfall * scale, 0.0))


def _bracket(shifts: FloatArray, probabilities: FloatArray, freedom: float, level: float) -> tuple[float, float]:
    """Between the quantile without any jump and one that doubles until less than 1 - level lies beyond."""
    low, width = float(shifts[0]) - 1.0, 4.0
    while float(probabilities @ stdtr(freedom, shifts - low - width)) > 1.0 - level:
        low, width = low + width, 2.0 * width
    return low, low + width


def _densities(x: FloatArray, freedom: float) -> FloatArray:
    return np.asarray(np.exp(log_norm(freedom) - (freedom + 1.0) / 2.0 * np.log1p(x * x / freedom)))


def _discrete_tail(losses: FloatArray, probabilities: FloatArray, level: float) -> Tail:
    """A market that does not move leaves only the jumps."""
    index = int(np.searchsorted(np.cumsum(probabilities), level - PRECISION))
    quantile = float(losses[min(index, losses.size - 1)])
    excess = float(probabilities @ np.maximum(losses - quantile, 0.0))
    return Tail(max(quantile, 0.0), max(quantile + excess / (1.0 - level), 0.0))


def _shape(freedom: float) -> float:
    """Squared scale of a t with variance one."""
    return (freedom - MIN_FREEDOM) / freedom


def _require_market(weights: FloatArray, market: TailMarket) -> None:
    count, sources = weights.size, market.jump_probability.size
    shapes = (weights.shape, market.mean.shape, market.covariance.shape, market.jump_loss.shape)
    if shapes != ((count,), (count,), (count, count), (sources, count)):
        raise StaleOrDisputed(f"weights, means, covariances and jump losses have the shapes {shapes}")
    if not MIN_FREEDOM < market.freedom < math.inf:
        raise StaleOrDisputed(f"freedom of the market is {market.freedom}, must be finite and above {MIN_FREEDOM}")
    chance = market.jump_probability
    refuse(~(weights >= 0) | np.isinf(weights), weights, column="weights", rule="must be finite and not negative")
    refuse(~np.isfinite(market.mean), market.mean, column="mean", rule="must be finite")
    refuse(~((chance >= 0) & (chance < 1)), chance, column="jump_probability", rule="must be in [0, 1)")
    _refuse_rows(~np.isfinite(market.covariance), market.covariance, name="covariance", rule="must be finite")
    _require_definite(market.covariance)
    loss = market.jump_loss
    _refuse_rows(~((loss >= 0) & (loss <= 1)), loss, name="jump_loss", rule="must be in [0, 1]")


def _require_definite(covariance: FloatArray) -> None:
    """A Cholesky factor proves it at a fraction of the cost of eigenvalues, which name what is wrong."""
    if np.array_equal(covariance, covariance.T):
        try:
            np.linalg.cholesky(covariance)
        except np.linalg.LinAlgError:
            pass
        else:
            return
    deviations_of(covariance)


def _refuse_rows(wrong: NDArray[np.bool_], matrix: FloatArray, *, name: str, rule: str) -> None:
    if wrong.any():
        number = int(np.argmax(wrong.any(axis=1)))
        refuse(wrong[number], matrix[number], column=f"{name} {number}", rule=rule)
