"""Every optimizer on every ill-conditioned sample: who fails by an exception, a broken limit or a poor objective."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Final

import numpy as np

from bench.figures import Figure
from bench.ill_conditioned import STRATEGIES, ill_conditioned_samples
from domain.errors import AutofiError
from tools.history import FloatArray
from tools.solvers.conditioning import covariance_of
from tools.solvers.mean_cvar import MeanCvar
from tools.solvers.mean_variance import MeanVariance
from tools.solvers.risk_parity import hierarchical_risk_parity, risk_contributions, risk_parity, with_least_deviation
from tools.solvers.trading_limits import long_only

MAX_WEIGHT: Final = 0.25
MAX_MISS: Final = 1e-6
MAX_GAP: Final = 0.01
LEVEL: Final = 0.95
LEAST_VARIANCE: Final = 1e-16
"""Differences below it (a deviation of a ten-thousandth of a basis point) count for nobody and against nobody."""
LEAST_CVAR: Final = 1e-10

Optimizer = Callable[[FloatArray], FloatArray]
Measure = Callable[[FloatArray, FloatArray], float]


def ill_conditioned_figure() -> Figure:
    """Ours fails when any of its optimizers does on a sample; each peer's failures are counted per objective."""
    failed: set[str] = set()
    peers: dict[str, int] = {}
    samples = list(ill_conditioned_samples())
    for sample in samples:
        for objective, (ours, others, measure, least) in CONTESTS.items():
            found = {name: attempt(optimizer, sample.returns) for name, optimizer in {"": ours, **others}.items()}
            values = {name: measure(sample.returns, weights) for name, weights in found.items() if weights is not None}
            best = min(values.values(), default=np.inf)
            for name in found:
                is_failure = name not in values or values[name] - best > MAX_GAP * max(abs(best), least)
                label = f"{name} {objective}"
                peers[label] = peers.get(label, 0) + is_failure
                if is_failure and not name:
                    failed.add(sample.name)
        failed |= {sample.name for check in (shares_risk, shares_tree) if not check(sample.returns)}
    notes = "; ".join(f"{label} {count}" for label, count in peers.items() if not label.startswith(" "))
    return Figure(
        "optimizer_failures_ill_conditioned",
        len(failed),
        "samples",
        0,
        f"of {len(samples)}; exception, miss above {MAX_MISS:.0e} or objective {MAX_GAP:.0%} above the best; {notes}",
    )


def attempt(optimizer: Optimizer, returns: FloatArray) -> FloatArray | None:
    """Weights that keep every limit, else None."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            weights = optimizer(returns)
    except Exception:  # noqa: BLE001  # whatever an optimizer raises, ours or a peer's, counts as its failure
        return None
    miss = max(abs(float(weights.sum()) - 1.0), float(-weights.min()), float(weights.max()) - MAX_WEIGHT)
    return weights if miss <= MAX_MISS else None


def least_variance(returns: FloatArray) -> FloatArray:
    limits = long_only(np.full(STRATEGIES, MAX_WEIGHT), np.zeros(STRATEGIES))
    nothing = np.zeros(STRATEGIES)
    return MeanVariance(covariance_of(returns), limits, risk_aversion=1.0).solve(nothing, nothing).weights


def least_cvar(returns: FloatArray) -> FloatArray:
    limits = long_only(np.full(STRATEGIES, MAX_WEIGHT), np.zeros(STRATEGIES))
    nothing = np.zeros(STRATEGIES)
    return MeanCvar(returns, limits, risk_aversion=1.0, level=LEVEL).solve(nothing, nothing).weights


def shares_risk(returns: FloatArray) -> bool:
    covariance = _with_floor(returns)
    try:
        contributions = risk_contributions(covariance, risk_parity(covariance))
    except AutofiError:
        return False
    return bool(np.max(np.abs(contributions - 1.0 / STRATEGIES)) <= MAX_MISS)


def shares_tree(returns: FloatArray) -> bool:
    try:
        weights = hierarchical_risk_parity(_with_floor(returns))
    except AutofiError:
        return False
    return bool(weights.min() >= 0 and abs(weights.sum() - 1.0) <= MAX_MISS)


def _with_floor(returns: FloatArray) -> FloatArray:
    """What never moves gets a hundredth of the median deviation: risk can be shared only by what moves."""
    covariance = covariance_of(returns)
    return with_least_deviation(covariance, float(np.sqrt(np.median(np.diag(covariance)))) * 0.01)


def variance_of(returns: FloatArray, weights: FloatArray) -> float:
    return float(weights @ covariance_of(returns) @ weights)


def cvar_of(returns: FloatArray, weights: FloatArray) -> float:
    """Mean of the worst 5 %, the fraction of one scenario at the edge included."""
    losses = np.sort(-(returns @ weights))[::-1]
    share = 1.0 / ((1.0 - LEVEL) * losses.size)
    return float(losses @ np.clip(1.0 - share * np.arange(losses.size), 0.0, share))


def skfolio_minimum(measure: str) -> Optimizer:
    def minimize(returns: FloatArray) -> FloatArray:
        from skfolio import RiskMeasure
        from skfolio.optimization import MeanRisk

        model = MeanRisk(risk_measure=RiskMeasure[measure], max_weights=MAX_WEIGHT, cvar_beta=LEVEL)
        return np.asarray(model.fit(returns).weights_)

    return minimize


def cvxpy_variance(returns: FloatArray) -> FloatArray:
    """As its examples write it, with its default solver."""
    import cvxpy

    weights = cvxpy.Variable(STRATEGIES)
    risk = cvxpy.quad_form(weights, cvxpy.psd_wrap(np.cov(returns.T)))
    cvxpy.Problem(cvxpy.Minimize(risk), [cvxpy.sum(weights) == 1, weights >= 0, weights <= MAX_WEIGHT]).solve()
    return np.asarray(weights.value, dtype=np.float64)


def cvxpy_cvar(returns: FloatArray) -> FloatArray:
    import cvxpy

    weights, alpha = cvxpy.Variable(STRATEGIES), cvxpy.Variable()
    excess = cvxpy.pos(-returns @ weights - alpha)
    tail = alpha + cvxpy.sum(excess) / ((1.0 - LEVEL) * returns.shape[0])
    cvxpy.Problem(cvxpy.Minimize(tail), [cvxpy.sum(weights) == 1, weights >= 0, weights <= MAX_WEIGHT]).solve()
    return np.asarray(weights.value, dtype=np.float64)


CONTESTS: Final[dict[str, tuple[Optimizer, dict[str, Optimizer], Measure, float]]] = {
    "min variance": (
        least_variance,
        {"skfolio": skfolio_minimum("VARIANCE"), "cvxpy": cvxpy_variance},
        variance_of,
        LEAST_VARIANCE,
    ),
    "min CVaR": (least_cvar, {"skfolio": skfolio_minimum("CVAR"), "cvxpy": cvxpy_cvar}, cvar_of, LEAST_CVAR),
}
