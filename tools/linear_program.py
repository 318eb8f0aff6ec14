"""A linear program with named rows, solved by HiGHS; the answer is checked here and infeasibility is explained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from domain.errors import Infeasible, InvariantBroken
from tools.history import FloatArray

if TYPE_CHECKING:
    import highspy

TOLERANCE: Final = 1e-7
PRICE_TOLERANCE: Final = 1e-9


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    coefficients: Mapping[int, float]
    lower: float
    upper: float


@dataclass(frozen=True, slots=True, eq=False)
class LinearAnswer:
    """Column values, the maximum, and the shadow price of each named row at a limit, largest first."""

    values: FloatArray
    objective: float
    prices: tuple[tuple[str, float], ...]


@dataclass(slots=True)
class LinearProgram:
    """Maximize gain . x within bounds and rows. Rows with an empty name define variables and are never relaxed."""

    gains: list[float] = field(default_factory=list)
    lowers: list[float] = field(default_factory=list)
    uppers: list[float] = field(default_factory=list)
    rows: list[_Row] = field(default_factory=list)

    def add_column(self, *, gain: float = 0.0, lower: float = 0.0, upper: float = np.inf) -> int:
        self.gains.append(gain)
        self.lowers.append(lower)
        self.uppers.append(upper)
        return len(self.gains) - 1

    def add_row(
        self, coefficients: Mapping[int, float], *, name: str = "", lower: float = -np.inf, upper: float = np.inf
    ) -> None:
        self.rows.append(_Row(name=name, coefficients=coefficients, lower=lower, upper=upper))

    def solve(self) -> LinearAnswer:
        """Raises Infeasible naming the rows that would have to give way, InvariantBroken on a wrong answer."""
        import highspy  # costs 0.1 s to import

        solver = _run(self)
        if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            raise Infeasible(_explain(self))
        solution = solver.getSolution()
        values = np.asarray(solution.col_value, dtype=np.float64)
        self._check(values)
        return LinearAnswer(
            values=values,
            objective=float(np.dot(self.gains, values)),
            prices=_shadow_prices(self, np.asarray(solution.row_dual)),
        )

    def _check(self, values: FloatArray) -> None:
        """The solver's word is not enough: every bound and row is recomputed."""
        below = np.max(np.asarray(self.lowers) - values, initial=0.0)
        above = np.max(values - np.asarray(self.uppers), initial=0.0)
        rows = [(row, sum(factor * values[column] for column, factor in row.coefficients.items())) for row in self.rows]
        misses = [max(row.lower - total, total - row.upper) for row, total in rows]
        worst = max(float(below), float(above), *misses, 0.0)
        if not worst <= TOLERANCE:  # also catches NaN
            raise InvariantBroken(f"solver's answer violates a constraint by {worst:.3g}, limit {TOLERANCE:.0e}")


def _run(program: LinearProgram) -> highspy.Highs:
    import highspy

    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = len(program.gains), len(program.rows)
    model.sense_ = highspy.ObjSense.kMaximize
    model.col_cost_ = np.asarray(program.gains, dtype=np.float64)
    model.col_lower_ = np.asarray(program.lowers, dtype=np.float64)
    model.col_upper_ = np.asarray(program.uppers, dtype=np.float64)
    model.row_lower_ = np.asarray([row.lower for row in program.rows], dtype=np.float64)
    model.row_upper_ = np.asarray([row.upper for row in program.rows], dtype=np.float64)
    matrix = model.a_matrix_
    matrix.format_ = highspy.MatrixFormat.kRowwise
    matrix.start_ = np.cumsum([0, *(len(row.coefficients) for row in program.rows)], dtype=np.int32)
    matrix.index_ = np.asarray([column for row in program.rows for column in row.coefficients], dtype=np.int32)
    matrix.value_ = np.asarray([value for row in program.rows for value in row.coefficients.values()])
    solver = highspy.Highs()
    for option, value in (("output_flag", False), ("threads", 1), ("parallel", "off"), ("solver", "simplex")):
        solver.setOptionValue(option, value)
    solver.passModel(model)
    solver.run()
    return solver


def _shadow_prices(program: LinearProgram, duals: FloatArray) -> tuple[tuple[str, float], ...]:
    named = [(row.name, abs(float(dual))) for row, dual in zip(program.rows, duals, strict=True) if row.name]
    return tuple(sorted((item for item in named if item[1] > PRICE_TOLERANCE), key=lambda item: (-item[1], item[0])))


def _explain(program: LinearProgram) -> str:
    """Solve again with a paid-for slack on every named row; what is paid for is what cannot hold."""
    relaxed = LinearProgram(lowers=list(program.lowers), uppers=list(program.uppers), gains=[0.0] * len(program.gains))
    slacks: list[tuple[str, int]] = []
    for row in program.rows:
        coefficients = dict(row.coefficients)
        if row.name:
            over, under = relaxed.add_column(gain=-1.0), relaxed.add_column(gain=-1.0)
            coefficients |= {over: -1.0, under: 1.0}
            slacks += [(row.name, over), (row.name, under)]
        relaxed.add_row(coefficients, name=row.name, lower=row.lower, upper=row.upper)
    values = _run(relaxed).getSolution().col_value
    broken = [f"{name} by {values[column]:.4f}" for name, column in slacks if values[column] > TOLERANCE]
    return f"no allocation satisfies every limit; it would have to break {', '.join(broken) or 'its own definitions'}"
