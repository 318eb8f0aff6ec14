"""Mean against CVaR with proportional trading costs: the dual form on a kept simplex solver.

Rockafellar and Uryasev (2000), Optimization of conditional value-at-risk, Journal of Risk 2(3), equations 9 and 17.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from domain.errors import InvariantBroken
from domain.plan import Certificate
from tools.history import FloatArray
from tools.solvers.conditioning import require_finite, require_shape
from tools.solvers.kept_dual import KeptDual, Start
from tools.solvers.tail_primal import solve_primal
from tools.solvers.tail_program import TailProgram, cvar_of, gains_of
from tools.solvers.trading_limits import TradingLimits, limit_rows


class MeanCvarAnswer(NamedTuple):
    """Weights of shape (n,); expected return after costs and CVaR per scenario period; prices of the named caps."""

    weights: FloatArray
    expected: float
    cvar: float
    prices: tuple[tuple[str, float], ...]
    certificate: Certificate
    start: Start | None
    """Where the next solve may begin; None when the slower form had to be used."""


class MeanCvar:
    """Maximize expected . w - cost . |w - current| - risk_aversion * CVaR(scenarios @ w), kept between calls.

    `scenarios` is (s, n): returns as fractions, one row per period; `cost` is charged per unit of weight moved, once.
    Raises StaleOrDisputed naming row and column of a value that is not finite, and on no scenario at all.
    """

    def __init__(
        self, scenarios: FloatArray, limits: TradingLimits, *, risk_aversion: float, level: float = 0.95
    ) -> None:
        if not 0 < level < 1 or not 0 < risk_aversion < np.inf:  # also catches NaN
            raise InvariantBroken(
                f"level {level} must be within (0, 1) and risk aversion {risk_aversion} above 0 and finite"
            )
        require_finite("scenarios", scenarios)
        require_shape("scenarios", scenarios, (max(scenarios.shape[0], 1), limits.upper.size))
        self._scenarios, self._limits = scenarios, limits
        self._risk_aversion, self._level = risk_aversion, level
        self._kept: KeptDual | None = None

    def solve(self, expected: FloatArray, current: FloatArray, start: Start | None = None) -> MeanCvarAnswer:
        """`expected` and `current` are (n,). The same arguments give the same answer, whatever was solved before.

        Raises Infeasible when the caps leave no room for the budget, StaleOrDisputed on a value that is not finite.
        """
        program = self._program(expected, current)
        if self._kept is None:
            self._kept = KeptDual(program)
        answer = self._kept.solve(program, start)
        if answer is None:
            return _slower(program)
        prices = answer.multipliers.rows[1:]
        named = [(name, float(price)) for name, price in zip(self._limits.names, prices, strict=True) if price > 0]
        return MeanCvarAnswer(
            weights=answer.sizes,
            expected=answer.gains,
            cvar=answer.cvar,
            prices=tuple(sorted(named, key=lambda item: (-item[1], item[0]))),
            certificate=answer.certificate,
            start=answer.start,
        )

    def _program(self, expected: FloatArray, current: FloatArray) -> TailProgram:
        limits = self._limits
        for name, values in (("expected", expected), ("current", current)):
            require_shape(name, values, limits.upper.shape)
            require_finite(name, values)
        kink = np.clip(current, 0.0, limits.upper)
        matrix, lower, upper = limit_rows(limits)
        return TailProgram(
            breakpoints=np.column_stack([np.zeros_like(kink), kink, limits.upper]),
            slopes=np.column_stack([expected + limits.cost, expected - limits.cost]),
            offsets=-limits.cost * np.abs(current),
            matrix=matrix,
            lower=lower,
            upper=upper,
            names=("budget", *limits.names),
            scenarios=self._scenarios,
            risk_aversion=self._risk_aversion,
            level=self._level,
        )


def _slower(program: TailProgram) -> MeanCvarAnswer:
    """By the form with a row per scenario, which also names what is infeasible."""
    weights, answer = solve_primal(program)
    named = tuple((name, price) for name, price in answer.prices if name in program.names[1:])
    gains = gains_of(program, weights)
    return MeanCvarAnswer(weights, gains, cvar_of(program, weights), named, answer.certificate, start=None)
