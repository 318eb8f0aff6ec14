"""GARCH(1,1) with Student-t innovations, fitted by maximum likelihood, and the VaR and CVaR that follow from it.

Bollerslev (1987): variance = constant + reaction x (last return - mean)^2 + persistence x last variance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import gammaln

from domain.errors import Infeasible
from domain.risk import TailRisk
from tools.history import FloatArray
from tools.risk.bootstrap import SEED, bootstrapped
from tools.risk.return_sample import drop_unknown, require_question
from tools.risk.student_t import standard_tail
from tools.risk.tail_definition import tail_matrix

MIN_DAYS: Final = 250
STARTS: Final = ((0.95, 0.05), (0.90, 0.10), (0.55, 0.10), (0.99, 0.20))
"""Reaction + persistence, and the reaction's part of it, that the search begins with; the best of all ends counts."""
BOUNDS: Final = ((1e-8, 10.0), (0.0, 0.99999), (0.0, 1.0), (2.05, 200.0))
"""Of the constant, the sum (at 1 volatility would never return), the part and the freedom."""
BACKCAST_DAYS: Final = 75
BACKCAST_DECAY: Final = 0.94


@dataclass(frozen=True, slots=True, eq=False)
class Garch:
    """Daily units. `deviations` (n + 1,) has the deviation expected for each day and for the day after the last."""

    mean: float
    constant: float
    reaction: float
    persistence: float
    freedom: float
    log_likelihood: float
    deviations: FloatArray
    residuals: FloatArray
    """Returns less the mean, in deviations of their day, shape (n,)."""

    def horizon_deviation(self, horizon_days: int) -> float:
        """Of the sum of the next h days: their expected variances added up (Bollerslev 1986, section 4)."""
        lasting, variance, total = self.reaction + self.persistence, float(self.deviations[-1]) ** 2, 0.0
        for _ in range(horizon_days):
            total += variance
            variance = self.constant + lasting * variance
        return math.sqrt(total)


def fit_garch(returns: FloatArray) -> Garch | None:
    """From daily returns (n,); the mean is the sample's. NaN dropped; None below 250 days.

    The first variance is the exponentially weighted mean square of the first 75 days (decay 0.94). A constant series
    has no variance to model, and a search that ends nowhere gives no parameters: Infeasible.
    """
    from scipy.optimize import minimize  # costs half a second to import

    known = drop_unknown(returns)
    if known is None or known.size < MIN_DAYS:
        return None
    scale = float(known.std())
    if scale <= abs(float(known.mean())) * 1e-12:
        raise Infeasible(f"GARCH needs returns that vary: {known.size} returns have the deviation {scale}")
    scaled = (known - known.mean()) / scale
    ends = [
        minimize(_loss, (1.0 - lasting, lasting, part, 8.0), (scaled,), method="L-BFGS-B", bounds=BOUNDS)
        for lasting, part in STARTS
    ]
    best = min(ends, key=lambda end: float(end.fun))
    if not math.isfinite(float(best.fun)):
        raise Infeasible(f"GARCH found no parameters for {known.size} returns with the deviation {scale}")
    constant, lasting, part, freedom = (float(value) for value in best.x)
    reaction, persistence = lasting * part, lasting * (1.0 - part)
    deviations = np.sqrt(_variances(scaled, constant, reaction, persistence))
    return Garch(
        mean=float(known.mean()),
        constant=constant * scale**2,
        reaction=reaction,
        persistence=persistence,
        freedom=freedom,
        log_likelihood=-float(best.fun) - known.size * math.log(scale),
        deviations=deviations * scale,
        residuals=scaled / deviations[:-1],
    )


def garch_tail(returns: FloatArray, *, level: float, horizon_days: int = 1, seed: int = SEED) -> TailRisk | None:
    """VaR and CVaR of the fitted t over the horizon, fractions of one, floored at zero; NaN dropped; None below 250.

    Over h days variances add up and the t keeps its freedom, heavier than a sum of h days: conservative. Intervals
    are those of the residuals' own tail, bootstrapped: they show the sample's doubt, not that of the parameters.
    """
    require_question(level, horizon_days)
    model = fit_garch(returns)
    if model is None:
        return None
    deviation, mean = model.horizon_deviation(horizon_days), model.mean * horizon_days
    values = [max(deviation * unit - mean, 0.0) for unit in standard_tail(level, model.freedom)]
    scenarios = model.residuals * deviation + mean
    var, cvar = (
        bootstrapped(
            scenarios,
            lambda paths, place=place: tail_matrix(paths, level)[place],  # type: ignore[misc]  # binds the loop's place
            value=value,
            method="garch-t",
            seed=seed,
        )
        for place, value in enumerate(values)
    )
    return TailRisk(level=level, horizon_days=horizon_days, var=var, cvar=cvar)


def _loss(parameters: FloatArray, scaled: FloatArray) -> float:
    """Minus the log likelihood of returns with mean 0."""
    constant, lasting, part, freedom = (float(value) for value in parameters)
    variances = _variances(scaled, constant, lasting * part, lasting * (1.0 - part))[:-1]
    norm = gammaln((freedom + 1.0) / 2.0) - gammaln(freedom / 2.0) - 0.5 * math.log(math.pi * (freedom - 2.0))
    spread = np.log1p(scaled**2 / (variances * (freedom - 2.0)))
    return float(0.5 * np.sum(np.log(variances)) + (freedom + 1.0) / 2.0 * spread.sum() - scaled.size * norm)


def _variances(scaled: FloatArray, constant: float, reaction: float, persistence: float) -> FloatArray:
    """The recursion as a linear filter, shape (n + 1,)."""
    from scipy.signal import lfilter  # lazily, as above

    squares = scaled**2
    weights = BACKCAST_DECAY ** np.arange(min(BACKCAST_DAYS, squares.size))
    first = float(weights @ squares[: weights.size] / weights.sum())
    driven = np.concatenate(([constant + (reaction + persistence) * first], constant + reaction * squares))
    return np.asarray(lfilter([1.0], [1.0, -persistence], driven))
