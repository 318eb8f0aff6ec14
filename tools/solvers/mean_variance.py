"""Mean against variance with proportional trading costs on an interior-point solver (PIQP, dense).

Markowitz (1952), Portfolio selection, Journal of Finance 7(1); costs as in Lobo, Fazel and Boyd (2007), section 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from domain.errors import Infeasible, InvariantBroken
from domain.plan import Certificate
from tools.history import FloatArray
from tools.solvers.certificates import MAX_GAP, MAX_VIOLATION, certify
from tools.solvers.conditioning import deviations_of, require_finite, require_shape
from tools.solvers.trading_limits import TradingLimits, limit_rows

if TYPE_CHECKING:
    import piqp

SOLVER: Final = "piqp-dense"
TOLERANCE: Final = 1e-12
MAX_ROUNDS: Final = 4
SETTINGS: Final[tuple[Mapping[str, float], ...]] = (
    {"reg_lower_limit": 1e-13, "reg_finetune_lower_limit": 1e-15},
    {"preconditioner_iter": 50, "preconditioner_scale_cost": True},
)
"""Less regularization than by default, then another scaling for the few samples on which that stalls."""
LEAST_DEVIATION: Final = 1e-7
"""A thousandth of a basis point per period: what varies less counts as not varying when a gap is judged."""


class MeanVarianceAnswer(NamedTuple):
    """Weights of shape (n,); expected return after costs and variance per period; prices of the named groups."""

    weights: FloatArray
    expected: float
    variance: float
    prices: tuple[tuple[str, float], ...]
    certificate: Certificate


class _Point(NamedTuple):
    weights: FloatArray
    expected: float
    variance: float
    prices: FloatArray
    bound: float
    size: float

    def objective(self, risk_aversion: float) -> float:
        return self.expected - risk_aversion * self.variance


class MeanVariance:
    """Maximize expected . w - cost . |w - current| - risk_aversion * w' covariance w; what stays the same is kept.

    `covariance` is (n, n) per period; zero variances are allowed. The solver works on what is bought and sold, so that
    costs are linear and every other limit is a bound. Raises StaleOrDisputed on a matrix that is no covariance.
    """

    def __init__(self, covariance: FloatArray, limits: TradingLimits, *, risk_aversion: float) -> None:
        if not 0 < risk_aversion < np.inf:  # also catches NaN
            raise InvariantBroken(f"risk aversion {risk_aversion} must be above 0 and finite")
        require_shape("covariance", covariance, (limits.upper.size, limits.upper.size))
        deviations_of(covariance)
        self._covariance, self._limits, self._risk_aversion = covariance, limits, risk_aversion
        self._rows = limit_rows(limits)
        ways = (np.eye(limits.upper.size), -np.eye(limits.upper.size))
        self._trades = np.hstack(ways if np.any(limits.cost > 0) else ways[:1])
        self._costs = np.tile(limits.cost, self._trades.shape[1] // limits.upper.size)
        self._quadratic = np.asfortranarray(self._trades.T @ covariance @ self._trades * (2.0 * risk_aversion))
        self._traded = np.asfortranarray(self._rows[0] @ self._trades)

    def solve(self, expected: FloatArray, current: FloatArray) -> MeanVarianceAnswer:
        """`expected` and `current` are (n,). The same arguments give the same answer, whatever was solved before.

        The objective is scaled to its own size until the gap closes: solvers' tolerances are absolute. Raises
        Infeasible when the limits leave no weights, StaleOrDisputed on a value that is not finite.
        """
        for name, values in (("expected", expected), ("current", current)):
            require_shape(name, values, self._limits.upper.shape)
            require_finite(name, values)
        risk = self._risk_aversion * float(np.max(np.diag(self._covariance), initial=0.0))
        scale = max(risk, float(np.max(np.abs(expected), initial=0.0)), self._least_size)
        best: _Point | None = None
        for attempt in range(MAX_ROUNDS * len(SETTINGS)):
            point = self._point(expected, current, scale, settings=attempt // MAX_ROUNDS)
            if best is None or not self._gap(best) <= self._gap(point):  # also replaces NaN
                best = point
            if self._gap(best) <= MAX_GAP * best.size:
                break
            scale = max(min(best.size, scale * 0.1), self._least_size)
        return self._answer(best)

    @property
    def _least_size(self) -> float:
        return self._risk_aversion * LEAST_DEVIATION**2

    def _gap(self, point: _Point) -> float:
        """Distance from the proof; a point that breaks a limit is no candidate."""
        if not self._violation(point) <= MAX_VIOLATION:
            return np.inf
        return abs(point.bound - point.objective(self._risk_aversion))

    def _violation(self, point: _Point) -> float:
        matrix, lower, upper = self._rows
        totals = matrix @ point.weights
        return float(np.max(np.maximum(lower - totals, totals - upper), initial=0.0))

    def _answer(self, point: _Point | None) -> MeanVarianceAnswer:
        if point is None:
            raise InvariantBroken(f"{SOLVER} was never asked")
        certificate = certify(
            SOLVER,
            objective=point.objective(self._risk_aversion),
            bound=point.bound,
            violation=self._violation(point),
            size=point.size,
            least_size=self._least_size,
        )
        named = [(name, float(price)) for name, price in zip(self._limits.names, point.prices[1:], strict=True)]
        return MeanVarianceAnswer(
            weights=point.weights,
            expected=point.expected,
            variance=point.variance,
            prices=tuple(sorted((item for item in named if item[1] > 0), key=lambda item: (-item[1], item[0]))),
            certificate=certificate,
        )

    def _point(self, expected: FloatArray, current: FloatArray, scale: float, *, settings: int) -> _Point:
        """Weights and prices from the solver; what they are worth and what no weights exceed from our arithmetic."""
        limits, start = self._limits, self._start(current)
        result = self._run(expected, start, scale, settings)
        weights = np.minimum(np.maximum(start + self._trades @ np.asarray(result.x), 0.0), limits.upper)
        prices = np.concatenate([np.asarray(result.y), np.asarray(result.z_u)[: len(limits.names)]]) * scale
        quadratic = float(weights @ self._covariance @ weights)
        gains = float(expected @ weights - limits.cost @ np.abs(weights - current))
        return _Point(
            weights=weights,
            expected=gains,
            variance=quadratic,
            prices=prices,
            bound=self._bound(expected, current, weights, prices),
            size=max(abs(gains), self._risk_aversion * quadratic),
        )

    def _start(self, current: FloatArray) -> FloatArray:
        """Where trades are counted from: without costs it does not matter and zero needs no sales."""
        has_costs = self._trades.shape[1] > current.size
        return np.minimum(np.maximum(current, 0.0), self._limits.upper) if has_costs else np.zeros_like(current)

    def _run(self, expected: FloatArray, start: FloatArray, scale: float, settings: int) -> piqp.Result:
        """On a new solver: a kept one carries its regularization along and would answer by what it did before.

        Raises Infeasible when the solver proves that no weights satisfy the limits.
        """
        import piqp

        trades, (matrix, _, upper) = self._trades, self._rows
        slope = 2.0 * self._risk_aversion * (self._covariance @ start) - expected
        linear = (trades.T @ slope + self._costs) / scale
        sides = upper - matrix @ start
        room = np.concatenate([self._limits.upper - start, start])[: trades.shape[1]]
        quadratic = self._quadratic / scale
        solver = _new_solver(SETTINGS[settings])
        none = np.zeros(trades.shape[1])
        groups = (self._traded[1:], np.full(sides.size - 1, -np.inf), sides[1:]) if sides.size > 1 else (None,) * 3
        solver.setup(quadratic, linear, self._traded[:1], sides[:1], *groups, none, room)
        if solver.solve() == piqp.PIQP_PRIMAL_INFEASIBLE:
            raise Infeasible(self._limits.explain())
        result: piqp.Result = solver.result
        return result

    def _bound(self, expected: FloatArray, current: FloatArray, weights: FloatArray, prices: FloatArray) -> float:
        """What no weights exceed: variance lies above its tangent here, and each weight answers prices by itself.

        Boyd and Vandenberghe (2004), 3.1.3 and 5.2. Gains less costs bend only where nothing is traded.
        """
        limits, marginal = self._limits, self._covariance @ weights
        matrix, _, upper = self._rows
        paid = np.concatenate([prices[:1], np.maximum(prices[1:], 0.0)])
        net = expected - 2.0 * self._risk_aversion * marginal - matrix.T @ paid
        kink = np.minimum(np.maximum(current, 0.0), limits.upper)
        points = (np.zeros_like(kink), kink, limits.upper)
        responses = [net * point - limits.cost * np.abs(point - current) for point in points]
        touching = self._risk_aversion * float(weights @ marginal)
        return touching + float(paid @ upper) + float(np.maximum.reduce(responses).sum())


def _new_solver(special: Mapping[str, float]) -> piqp.DenseSolver:
    import piqp

    solver = piqp.DenseSolver()
    settings = solver.settings
    settings.eps_abs = settings.eps_rel = TOLERANCE
    settings.eps_duality_gap_abs = settings.eps_duality_gap_rel = TOLERANCE
    settings.check_duality_gap = True
    for name, value in special.items():
        setattr(settings, name, value)
    return solver
