"""Weights from risk alone, without any forecast: equal risk contributions, and hierarchical risk parity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from domain.errors import InvariantBroken, StaleOrDisputed
from tools.history import FloatArray
from tools.solvers.conditioning import correlation_of, deviations_of, require_finite, require_shape

MAX_ITERATIONS: Final = 100
MAX_CONTRIBUTION_ERROR: Final = 1e-9
ENOUGH_DECREASE: Final = 0.25
LEAST_CURVATURE: Final = 1e-14
"""Where exposures grow without end: there is no answer, and the system must still be solvable to find that out."""


def risk_parity(covariance: FloatArray, budgets: FloatArray | None = None) -> FloatArray:
    """Weights of shape (n,) that add up to one and whose shares of the variance are the budgets (default: equal).

    Minimizes x' correlation x / 2 - budgets . log x by damped Newton, Spinu (2013), An algorithm for computing risk
    parity weights, equation 6; in units of the deviations, so that scales far apart do no harm. `covariance` is (n, n),
    per any period. Raises StaleOrDisputed on a column that never moves (it has no risk to share), on strategies that
    offset each other to nothing (too few days) and on a matrix that is no covariance; of one strategy the weight is
    one, of none the result is empty.
    """
    deviations = _moving_deviations(covariance)
    size = deviations.size
    shares = np.full(size, 1.0 / max(size, 1)) if budgets is None else budgets
    require_shape("budgets", shares, (size,))
    require_finite("budgets", shares)
    if size and (np.any(shares <= 0) or abs(float(shares.sum()) - 1.0) > MAX_CONTRIBUTION_ERROR):
        raise InvariantBroken("risk budgets must be above 0 and add up to 1")
    correlation = correlation_of(covariance, deviations)
    exposures = np.sqrt(shares)
    for _ in range(MAX_ITERATIONS):
        if _contribution_error(correlation, exposures, shares) <= MAX_CONTRIBUTION_ERROR:
            weights = exposures / deviations
            return np.asarray(weights / weights.sum())
        exposures = _newton_step(correlation, exposures, shares)
    error = _contribution_error(correlation, exposures, shares)
    raise StaleOrDisputed(
        f"risk contributions miss their budgets by {error:.3g}, limit {MAX_CONTRIBUTION_ERROR}: strategies that offset "
        f"each other to nothing leave no risk to share"
    )


def risk_contributions(covariance: FloatArray, weights: FloatArray) -> FloatArray:
    """Shares of the variance, shape (n,), adding up to one; Euler's theorem. All zero when nothing varies.

    Raises StaleOrDisputed for NaN or an infinity, naming its place.
    """
    require_finite("covariance", covariance)
    require_finite("weights", weights)
    marginal = covariance @ weights
    variance = float(weights @ marginal)
    return np.asarray(weights * marginal / variance) if variance > 0 else np.zeros_like(weights)


def hierarchical_risk_parity(covariance: FloatArray) -> FloatArray:
    """Weights of shape (n,) that add up to one: similar strategies share what their branch of the tree gets.

    Lopez de Prado (2016), Building diversified portfolios that outperform out of sample, Journal of Portfolio
    Management 42(4): single linkage, then recursive bisection by inverse variance. The distance is sqrt((1 -
    correlation) / 2) itself, as libraries have it, not the paper's distance of distances. Needs no inverse, so that
    duplicates do no harm. Raises and degenerates as risk_parity does.
    """
    deviations = _moving_deviations(covariance)
    if deviations.size <= 1:
        return np.ones(deviations.size)
    weights = np.ones(deviations.size)
    branches = [_quasi_diagonal(correlation_of(covariance, deviations))]
    while branches:
        branch = branches.pop()
        left, right = branch[: len(branch) // 2], branch[len(branch) // 2 :]
        risks = _branch_variance(covariance, left), _branch_variance(covariance, right)
        weights[left] *= risks[1] / (risks[0] + risks[1])
        weights[right] *= risks[0] / (risks[0] + risks[1])
        branches += [half for half in (left, right) if len(half) > 1]
    return np.asarray(weights / weights.sum())


def with_least_deviation(covariance: FloatArray, least: float) -> FloatArray:
    """The covariance with every standard deviation raised to at least `least`; what is added correlates with nothing.

    Below it the sample says more about rounding and stale readings than about risk.
    """
    missing = np.maximum(least**2 - np.diag(covariance), 0.0)
    return np.asarray(covariance + np.diag(missing))


def _moving_deviations(covariance: FloatArray) -> FloatArray:
    deviations = deviations_of(covariance)
    if np.any(deviations == 0):
        column = int(np.argmin(deviations))
        raise StaleOrDisputed(f"covariance, column {column}: variance 0, risk can be shared only by what moves")
    return deviations


def _contribution_error(correlation: FloatArray, exposures: FloatArray, shares: FloatArray) -> float:
    return float(np.max(np.abs(risk_contributions(correlation, exposures) - shares), initial=0.0))


def _newton_step(correlation: FloatArray, exposures: FloatArray, shares: FloatArray) -> FloatArray:
    """Damped where far from the optimum: the logarithm is self-concordant, so that the short step stays inside."""
    gradient = correlation @ exposures - shares / exposures
    hessian = correlation + np.diag(np.maximum(shares / exposures**2, LEAST_CURVATURE))
    step = np.linalg.solve(hessian, gradient)
    decrement = float(np.max(np.abs(step / exposures)))
    damping = 1.0 if decrement < ENOUGH_DECREASE else 1.0 / (1.0 + decrement)
    return np.asarray(exposures - damping * step)


def _quasi_diagonal(correlation: FloatArray) -> list[int]:
    """Leaves of the single-linkage tree from left to right."""
    from scipy.cluster.hierarchy import leaves_list, linkage  # costs 0.3 s to import

    distances = np.sqrt(np.clip((1.0 - correlation) / 2.0, 0.0, 1.0))
    upper = np.triu_indices(correlation.shape[0], k=1)
    return [int(leaf) for leaf in leaves_list(linkage(distances[upper], method="single"))]


def _branch_variance(covariance: FloatArray, branch: Sequence[int]) -> float:
    """Of the branch held by inverse variance."""
    part = covariance[np.ix_(branch, branch)]
    inverse = 1.0 / np.diag(part)
    weights = inverse / inverse.sum()
    return float(weights @ part @ weights)
