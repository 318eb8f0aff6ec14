"""A tail program solved by HiGHS through its dual, and kept: one row per size instead of one per scenario.

Each answer is proven by arithmetic of ours. A start is an input: the same program and start give the same answer,
however often this solver was used before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from domain.errors import InvariantBroken
from domain.plan import Certificate
from tools.history import FloatArray
from tools.solvers.certificates import certify, is_proven
from tools.solvers.linear_program import OPTIONS
from tools.solvers.tail_program import (
    Multipliers,
    TailProgram,
    bound_of,
    check_program,
    cvar_of,
    gains_of,
    violation_of,
)

if TYPE_CHECKING:
    import highspy

SOLVER: Final = "highs-dual"


@dataclass(frozen=True, slots=True)
class Start:
    """A basis to begin from: HiGHS's status of each column and row, one byte each."""

    columns: bytes
    rows: bytes


class TailAnswer(NamedTuple):
    """Sizes of shape (n,), what they earn and risk, the dual point that proves them, and where to start next time."""

    sizes: FloatArray
    gains: float
    cvar: float
    multipliers: Multipliers
    certificate: Certificate
    start: Start


class _Layout(NamedTuple):
    """Where the dual's columns begin: scenario weights, row prices from above and below, steps along each gain."""

    scenarios: int
    rows: int
    size: int
    steps: int
    scale: float

    @property
    def tail(self) -> int:
        return 1 if self.scenarios else 0

    @property
    def shape(self) -> tuple[int, int]:
        return self.columns, self.size + self.tail

    @property
    def prices(self) -> int:
        return self.scenarios

    @property
    def first_step(self) -> int:
        return self.scenarios + 2 * self.rows

    @property
    def columns(self) -> int:
        return self.first_step + self.size * (self.steps + 1)


class KeptDual:
    """Keeps scenarios and the rows' coefficients in the solver; gains and limits may change between calls."""

    def __init__(self, program: TailProgram) -> None:
        check_program(program)
        self._program = program
        scenarios = program.scenarios.shape[0] if program.has_tail else 0
        size, steps = program.slopes.shape
        self._layout = _Layout(scenarios, program.matrix.shape[0], size, steps, program.scale)
        self._solver = _load(program, self._layout)

    def solve(self, program: TailProgram | None = None, start: Start | None = None) -> TailAnswer | None:
        """None when no answer is proven: no sizes satisfy the limits, or rounding stands in the way.

        `program` must share scenarios and matrix with the kept one. A start that leads to no proof is dropped. Raises
        InvariantBroken on a start that belongs to a program of another shape.
        """
        if start is not None and (len(start.columns), len(start.rows)) != self._layout.shape:
            found = len(start.columns), len(start.rows)
            raise InvariantBroken(f"start has {found} columns and rows, the program {self._layout.shape}")
        if program is not None and program is not self._program:
            self._change(program)
        answer = self._run(start)
        return self._run(None) if answer is None and start is not None else answer

    def _run(self, start: Start | None) -> TailAnswer | None:
        import highspy

        self._solver.clearSolver()
        if start is not None:
            self._solver.setBasis(_basis(start))
        self._solver.run()
        if self._solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return None
        return self._answer(self._program, is_warm=start is not None)

    def _change(self, program: TailProgram) -> None:
        """Only costs, bounds and right-hand sides move: the factors of the basis stay those of the kept matrix."""
        lay = self._layout
        columns = np.arange(lay.prices, lay.columns, dtype=np.int32)
        lower, upper = _column_bounds(program, lay)
        self._solver.changeColsCost(columns.size, columns, _costs(program, lay)[columns])
        self._solver.changeColsBounds(columns.size, columns, lower[columns], upper[columns])
        sides = _sides(program, lay)
        rows = np.arange(lay.size + lay.tail, dtype=np.int32)
        self._solver.changeRowsBounds(rows.size, rows, sides[0], sides[1])
        self._program = program

    def _answer(self, program: TailProgram, *, is_warm: bool) -> TailAnswer | None:
        lay, solution = self._layout, self._solver.getSolution()
        values = np.asarray(solution.col_value)
        sizes = np.clip(
            np.asarray(solution.row_dual)[: lay.size], program.breakpoints[:, 0], program.breakpoints[:, -1]
        )
        prices = values[lay.prices : lay.first_step].reshape(2, lay.rows)
        multipliers = Multipliers((prices[0] - prices[1]) * lay.scale, values[: lay.scenarios])
        gains, cvar = gains_of(program, sizes), cvar_of(program, sizes)
        tail = program.risk_aversion * cvar
        judged = {
            "objective": gains - tail,
            "bound": bound_of(program, multipliers),
            "violation": violation_of(program, sizes),
            "size": max(abs(gains), abs(tail)),
        }
        if not is_proven(**judged):
            return None
        certificate = certify(f"{SOLVER}-warm" if is_warm else SOLVER, **judged)
        return TailAnswer(sizes, gains, cvar, multipliers, certificate, _start(self._solver.getBasis()))


def _load(program: TailProgram, lay: _Layout) -> highspy.Highs:
    import highspy  # costs 0.1 s to import

    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = lay.shape
    model.col_cost_ = _costs(program, lay)
    model.col_lower_, model.col_upper_ = _column_bounds(program, lay)
    model.row_lower_, model.row_upper_ = _sides(program, lay)
    starts, indices, values = _sparse_columns(_coefficients(program, lay))
    model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    model.a_matrix_.start_, model.a_matrix_.index_, model.a_matrix_.value_ = starts, indices, values
    solver = highspy.Highs()
    for option, value in OPTIONS:
        solver.setOptionValue(option, value)
    solver.passModel(model)
    return solver


def _coefficients(program: TailProgram, lay: _Layout) -> FloatArray:
    """One row per size: what limits and tail charge for it meets its marginal gain. The last: weights sum to one."""
    matrix = np.zeros((lay.size + lay.tail, lay.columns))
    if lay.tail:
        matrix[: lay.size, : lay.scenarios] = -program.scenarios.T * (program.risk_aversion / lay.scale)
        matrix[lay.size, : lay.scenarios] = 1.0
    matrix[: lay.size, lay.prices : lay.prices + lay.rows] = program.matrix.T
    matrix[: lay.size, lay.prices + lay.rows : lay.first_step] = -program.matrix.T
    signs = np.array([-1.0, *np.ones(lay.steps)])
    for line in range(lay.size):
        first = lay.first_step + line * (lay.steps + 1)
        matrix[line, first : first + lay.steps + 1] = signs
    return matrix


def _costs(program: TailProgram, lay: _Layout) -> FloatArray:
    """Limits are paid at their prices; a step along a gain is paid with the size at which its slope changes."""
    sizes = program.breakpoints
    steps = np.concatenate([-sizes[:, :1], sizes[:, 1:]], axis=1)
    upper, lower = (np.where(np.isinf(side), 0.0, side) for side in (program.upper, program.lower))
    return np.concatenate([np.zeros(lay.scenarios), upper, -lower, steps.ravel()])


def _column_bounds(program: TailProgram, lay: _Layout) -> tuple[FloatArray, FloatArray]:
    steps = np.full((lay.size, lay.steps + 1), np.inf)
    steps[:, 1:-1] = -np.diff(program.slopes, axis=1) / lay.scale
    weights = np.full(lay.scenarios, program.scenario_weight if lay.scenarios else 0.0)
    is_equal = program.lower == program.upper
    above = np.where(np.isinf(program.upper), 0.0, np.inf)
    below = np.where(np.isinf(program.lower) | is_equal, 0.0, np.inf)
    lower = np.zeros(lay.columns)
    lower[lay.prices : lay.prices + lay.rows] = np.where(is_equal, -np.inf, 0.0)
    return lower, np.concatenate([weights, above, below, steps.ravel()])


def _sides(program: TailProgram, lay: _Layout) -> tuple[FloatArray, FloatArray]:
    first = program.slopes[:, 0] / lay.scale
    low = [-np.inf if program.is_floored else 1.0] * lay.tail
    return np.concatenate([first, low]), np.concatenate([first, [1.0] * lay.tail])


def _sparse_columns(
    matrix: FloatArray,
) -> tuple[NDArray[np.int32], NDArray[np.int32], FloatArray]:
    columns, rows = np.nonzero(matrix.T)
    starts = np.concatenate([[0], np.cumsum(np.bincount(columns, minlength=matrix.shape[1]))])
    return starts.astype(np.int32), rows.astype(np.int32), matrix[rows, columns]


def _start(basis: highspy.HighsBasis) -> Start:
    return Start(columns=bytes(map(int, basis.col_status)), rows=bytes(map(int, basis.row_status)))


def _basis(start: Start) -> highspy.HighsBasis:
    import highspy

    statuses = sorted(highspy.HighsBasisStatus.__members__.values(), key=int)
    basis = highspy.HighsBasis()
    basis.col_status = [statuses[code] for code in start.columns]
    basis.row_status = [statuses[code] for code in start.rows]
    basis.valid, basis.alien = True, False
    return basis
