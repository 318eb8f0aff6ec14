"""What every tail-averse choice of sizes is here: concave gains per size, linear limits and one CVaR term.

Maximize sum f_j(x_j) - risk_aversion * CVaR(scenarios @ x) with lower <= matrix @ x <= upper, x_j on f_j's domain.
Values of an answer and upper bounds on all answers are computed here, apart from any solver.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from domain.errors import InvariantBroken, StaleOrDisputed
from tools.history import FloatArray
from tools.solvers.conditioning import require_finite, require_shape


class Multipliers(NamedTuple):
    """A dual point: one price per row, shape (rows,), and one weight per scenario, shape (scenarios,)."""

    rows: FloatArray
    scenarios: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class TailProgram:
    """`breakpoints` (n, k + 1) rise and `slopes` (n, k) fall along each size; `offsets` (n,) is f at the first one.

    `matrix` is (rows, n); an empty name marks a row that defines a size and is never relaxed. `scenarios` is (s, n)
    in fractions, zero rows mean no tail term. With `is_floored` a tail without losses counts 0, not as a gain.
    """

    breakpoints: FloatArray
    slopes: FloatArray
    offsets: FloatArray
    matrix: FloatArray
    lower: FloatArray
    upper: FloatArray
    names: tuple[str, ...]
    scenarios: FloatArray
    risk_aversion: float
    level: float = 0.95
    is_floored: bool = False

    @property
    def scenario_weight(self) -> float:
        """The most that one scenario may weigh in the tail's mean; Rockafellar and Uryasev (2000), equation 9."""
        return float(1.0 / ((1.0 - self.level) * self.scenarios.shape[0]))

    @property
    def has_tail(self) -> bool:
        return bool(self.scenarios.shape[0]) and self.risk_aversion > 0

    @property
    def scale(self) -> float:
        """The largest number that the objective sees: solvers' tolerances are absolute and need it near one."""
        largest = float(np.max(np.abs(self.slopes), initial=0.0))
        if self.has_tail:
            largest = max(largest, self.risk_aversion * float(np.max(np.abs(self.scenarios))))
        return largest or 1.0


def check_program(program: TailProgram) -> None:
    """Raises StaleOrDisputed on a number that is none, InvariantBroken on gains that are not concave."""
    size = program.breakpoints.shape[0]
    require_shape("scenarios", program.scenarios, (program.scenarios.shape[0], size))
    require_shape("limits", program.matrix, (len(program.names), size))
    for name in ("breakpoints", "slopes", "offsets", "scenarios", "matrix"):
        require_finite(name, getattr(program, name))
    for name, lower, upper in zip(program.names, program.lower, program.upper, strict=True):
        if not lower <= upper:  # also catches NaN
            raise StaleOrDisputed(f"limit {name or 'of a definition'}: from {lower} to {upper}, a range is required")
    if np.any(np.diff(program.breakpoints, axis=1) < 0):
        raise InvariantBroken("breakpoints of a gain must not fall")
    if np.any(np.diff(program.slopes, axis=1) > 0):
        raise InvariantBroken("slopes of a gain must not rise: it would not be concave")


def pinned(program: TailProgram, column: int, size: float) -> TailProgram:
    """The same program with one size fixed within its domain; rows and scenarios are shared."""
    points, slopes, offsets = program.breakpoints.copy(), program.slopes.copy(), program.offsets.copy()
    widths = np.diff(points[column])
    offsets[column] += float(np.clip(size - points[column, :-1], 0.0, widths) @ slopes[column])
    points[column], slopes[column] = size, 0.0
    return replace(program, breakpoints=points, slopes=slopes, offsets=offsets)


def gains_of(program: TailProgram, sizes: FloatArray) -> float:
    """Sum of f_j at sizes of shape (n,), each moved onto its domain."""
    lefts, widths = program.breakpoints[:, :-1], np.diff(program.breakpoints, axis=1)
    filled = np.clip(sizes[:, None] - lefts, 0.0, widths)
    return float(np.sum(filled * program.slopes) + np.sum(program.offsets))


def cvar_of(program: TailProgram, sizes: FloatArray) -> float:
    """Mean loss of the worst (1 - level) of the scenarios' mass, a fraction; 0 without scenarios."""
    losses = np.sort(-(program.scenarios @ sizes))[::-1]
    if not losses.size:
        return 0.0
    if program.is_floored:
        losses = np.maximum(losses, 0.0)
    left = 1.0 - program.scenario_weight * np.arange(losses.size)
    return float(np.dot(losses, np.clip(left, 0.0, program.scenario_weight)))


def objective_of(program: TailProgram, sizes: FloatArray) -> float:
    tail = program.risk_aversion * cvar_of(program, sizes) if program.has_tail else 0.0
    return gains_of(program, sizes) - tail


def violation_of(program: TailProgram, sizes: FloatArray) -> float:
    """The most by which sizes miss a row or their domain; NaN when a size is NaN."""
    totals = program.matrix @ sizes
    misses = (
        program.lower - totals,
        totals - program.upper,
        program.breakpoints[:, 0] - sizes,
        sizes - program.breakpoints[:, -1],
    )
    return float(np.max(np.concatenate([*misses, np.zeros(1)])))


def bound_of(program: TailProgram, multipliers: Multipliers) -> float:
    """No allowed sizes reach more than this, whatever the multipliers: weak duality, Boyd and Vandenberghe (2004) 5.2.

    Multipliers are moved into their domain first; -inf or NaN cannot come out of finite ones.
    """
    prices = np.where(np.isinf(program.upper), np.minimum(multipliers.rows, 0.0), multipliers.rows)
    prices = np.where(np.isinf(program.lower), np.maximum(prices, 0.0), prices)
    limits = np.where(prices > 0, program.upper, np.where(prices < 0, program.lower, 0.0))
    charges = program.matrix.T @ prices
    if program.has_tail:
        charges = charges - program.risk_aversion * (program.scenarios.T @ _tail_weights(program, multipliers))
    return float(np.dot(prices, limits) + np.sum(_best_responses(program, charges)))


def _tail_weights(program: TailProgram, multipliers: Multipliers) -> FloatArray:
    """Onto the tail's weights: each at most its share, together one (at most one when floored)."""
    weights = np.clip(multipliers.scenarios, 0.0, program.scenario_weight)
    total = float(weights.sum())
    if total > 1.0:
        return np.asarray(weights / total)
    if program.is_floored:
        return np.asarray(weights)
    room = program.scenario_weight - weights
    return np.asarray(weights + room * ((1.0 - total) / room.sum() if room.sum() > 0 else 0.0))


def _best_responses(program: TailProgram, charges: FloatArray) -> FloatArray:
    """max over x of f_j(x) - charge_j * x, which is reached at a breakpoint; shape (n,)."""
    widths = np.diff(program.breakpoints, axis=1)
    rises = np.cumsum((program.slopes - charges[:, None]) * widths, axis=1)
    first = program.offsets - charges * program.breakpoints[:, 0]
    return np.asarray(first + np.maximum(np.max(rises, axis=1, initial=-np.inf), 0.0))
