"""A linear program with named rows, solved by HiGHS; the answer is proven here and infeasibility is explained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from domain.errors import Infeasible
from domain.plan import Certificate
from tools.history import FloatArray
from tools.solvers.certificates import certify

if TYPE_CHECKING:
    import highspy

SOLVER: Final = "highs-primal"
TOLERANCE: Final = 1e-7
SOLVER_TOLERANCE: Final = 1e-10
"""The least that HiGHS accepts; gains are scaled to one."""
PRICE_TOLERANCE: Final = 1e-9
OPTIONS: Final = (
    ("output_flag", False),
    ("threads", 1),
    ("parallel", "off"),
    ("solver", "simplex"),
    ("primal_feasibility_tolerance", SOLVER_TOLERANCE),
    ("dual_feasibility_tolerance", SOLVER_TOLERANCE),
    ("simplex_iteration_limit", 100_000),
)
"""Simplex, one thread, no clock: the same program gives the same vertex in every process."""


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    coefficients: Mapping[int, float]
    lower: float
    upper: float


@dataclass(frozen=True, slots=True, eq=False)
class LinearAnswer:
    """Column values, the maximum, the shadow price of each named row at a limit, largest first, and the proof."""

    values: FloatArray
    objective: float
    prices: tuple[tuple[str, float], ...]
    certificate: Certificate


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
        values, prices = np.asarray(solution.col_value), np.asarray(solution.row_dual) * _scale(self)
        certificate = self.certify(values, prices)
        return LinearAnswer(
            values=values,
            objective=certificate.objective,
            prices=_shadow_prices(self, prices),
            certificate=certificate,
        )

    def certify(self, values: FloatArray, prices: FloatArray) -> Certificate:
        """The solver's word is not enough: every bound, row and the duality gap are recomputed.

        Raises InvariantBroken when values miss a limit or prices do not prove them the best.
        """
        parts = np.asarray(self.gains) * values
        return certify(
            SOLVER,
            objective=float(parts.sum()),
            bound=_bound(self, prices),
            violation=_violation(self, values),
            size=float(max(parts[parts > 0].sum(), -parts[parts < 0].sum())),
        )


def _violation(program: LinearProgram, values: FloatArray) -> float:
    below = np.max(np.asarray(program.lowers) - values, initial=0.0)
    above = np.max(values - np.asarray(program.uppers), initial=0.0)
    totals = [sum(factor * values[column] for column, factor in row.coefficients.items()) for row in program.rows]
    misses = [max(row.lower - total, total - row.upper) for row, total in zip(program.rows, totals, strict=True)]
    return float(np.max([below, above, *misses]))


def _bound(program: LinearProgram, prices: FloatArray) -> float:
    """What no values exceed, by weak duality: a price's sign says which side of its row it pays for.

    A column without the bound that its reduced gain pulls to would make this infinite; rounding is forgiven there.
    """
    reduced = np.asarray(program.gains, dtype=np.float64)
    total = 0.0
    for row, price in zip(program.rows, prices, strict=True):
        side = row.upper if price > 0 else row.lower
        if price and np.isfinite(side):
            total += float(price) * side
            for column, factor in row.coefficients.items():
                reduced[column] -= factor * price
    sides = np.where(reduced > 0, program.uppers, program.lowers)
    is_rounding = np.isinf(sides) & (np.abs(reduced) <= SOLVER_TOLERANCE * _scale(program))
    return total + float(np.sum(np.where(is_rounding, 0.0, reduced) * np.where(is_rounding, 0.0, sides)))


def _scale(program: LinearProgram) -> float:
    return float(np.max(np.abs(program.gains), initial=0.0)) or 1.0


def _run(program: LinearProgram) -> highspy.Highs:
    import highspy

    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = len(program.gains), len(program.rows)
    model.sense_ = highspy.ObjSense.kMaximize
    model.col_cost_ = np.asarray(program.gains, dtype=np.float64) / _scale(program)
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
    for option, value in OPTIONS:
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
