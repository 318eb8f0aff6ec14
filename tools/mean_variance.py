"""Mean against variance with proportional trading costs on a kept interior-point solver (PIQP, dense).

Markowitz (1952), Portfolio selection, Journal of Finance 7(1); costs as in Lobo, Fazel and Boyd (2007), section 2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from domain.errors import Infeasible, InvariantBroken
from domain.plan import Certificate
from tools.certificates import MAX_GAP, certify
from tools.conditioning import deviations_of, require_finite, require_shape
from tools.history import FloatArray
from tools.trading_limits import TradingLimits, limit_rows

if TYPE_CHECKING:
    import piqp

SOLVER: Final = "piqp-dense"
TOLERANCE: Final = 1e-12
MAX_ROUNDS: Final = 6
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
    """Maximize expected . w - cost . |w - current| - risk_aversion * w' covariance w, kept between calls.

    `covariance` is (n, n) per period; zero variances are allowed. The solver works on what is bought and sold, so that
    costs are linear and every other limit is a bound. Raises StaleOrDisputed on a matrix that is no covariance.
    """

    def __init__(self, covariance: FloatArray, limits: TradingLimits, *, risk_aversion: float) -> None:
        if risk_aversion <= 0:
            raise InvariantBroken(f"risk aversion {risk_aversion} must be above 0")
        require_shape("covariance", covariance, (limits.upper.size, limits.upper.size))
        deviations_of(covariance)
        self._covariance, self._limits, self._risk_aversion = covariance, limits, risk_aversion
        self._rows = limit_rows(limits)
        ways = (np.eye(limits.upper.size), -np.eye(limits.upper.size))
        self._trades = np.hstack(ways if np.any(limits.cost > 0) else ways[:1])
        self._costs = np.tile(limits.cost, self._trades.shape[1] // limits.upper.size)
        self._quadratic = np.asfortranarray(self._trades.T @ covariance @ self._trades * (2.0 * risk_aversion))
        self._solver: piqp.DenseSolver | None = None

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
        for _ in range(MAX_ROUNDS):
            point = self._point(expected, current, scale)
            if best is None or self._gap(point) < self._gap(best):
                best = point
            if self._gap(best) <= MAX_GAP * best.size:
                break
            scale = max(min(best.size, scale * 0.1), self._least_size)
        return self._answer(best)

    @property
    def _least_size(self) -> float:
        return self._risk_aversion * LEAST_DEVIATION**2

    def _gap(self, point: _Point) -> float:
        return point.bound - point.objective(self._risk_aversion)

    def _answer(self, point: _Point | None) -> MeanVarianceAnswer:
        if point is None:
            raise InvariantBroken(f"{SOLVER} was never asked, {MAX_ROUNDS} rounds are allowed")
        matrix, lower, upper = self._rows
        totals = matrix @ point.weights
        certificate = certify(
            SOLVER,
            objective=point.objective(self._risk_aversion),
            bound=point.bound,
            violation=float(np.max(np.maximum(lower - totals, totals - upper), initial=0.0)),
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

    def _point(self, expected: FloatArray, current: FloatArray, scale: float) -> _Point:
        """Weights and prices from the solver; what they are worth and what no weights exceed from our arithmetic."""
        limits, start = self._limits, self._start(current)
        result = self._run(expected, start, scale)
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

    def _run(self, expected: FloatArray, start: FloatArray, scale: float) -> piqp.Result:
        """Raises Infeasible when the solver proves that no weights satisfy the limits."""
        import piqp

        limits, trades = self._limits, self._trades
        matrix, _, upper = self._rows
        slope = 2.0 * self._risk_aversion * (self._covariance @ start) - expected
        linear = (trades.T @ slope + self._costs) / scale
        sides = upper - matrix @ start
        room = np.concatenate([limits.upper - start, start])[: trades.shape[1]]
        quadratic = self._quadratic / scale
        if self._solver is None:
            self._solver = _new_solver()
            rows = np.asfortranarray(matrix @ trades)
            none = np.zeros(trades.shape[1])
            groups = (rows[1:], np.full(sides.size - 1, -np.inf), sides[1:]) if sides.size > 1 else (None, None, None)
            self._solver.setup(quadratic, linear, rows[:1], sides[:1], *groups, none, room)
        elif sides.size > 1:
            self._solver.update(P=quadratic, c=linear, b=sides[:1], h_u=sides[1:], x_u=room)
        else:
            self._solver.update(P=quadratic, c=linear, b=sides[:1], x_u=room)
        if self._solver.solve() == piqp.PIQP_PRIMAL_INFEASIBLE:
            raise Infeasible(limits.explain())
        return self._solver.result

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


def _new_solver() -> piqp.DenseSolver:
    import piqp

    solver = piqp.DenseSolver()
    settings = solver.settings
    settings.eps_abs = settings.eps_rel = TOLERANCE
    settings.eps_duality_gap_abs = settings.eps_duality_gap_rel = TOLERANCE
    settings.check_duality_gap = True
    return solver
