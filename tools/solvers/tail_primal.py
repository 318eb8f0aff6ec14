"""A tail program as one linear program with a row per scenario: slower than the dual, but the tail may be limited."""

from __future__ import annotations

from typing import Final

import numpy as np

from tools.history import FloatArray
from tools.solvers.linear_program import LinearAnswer, LinearProgram
from tools.solvers.tail_program import TailProgram

CVAR: Final = "cvar-95"


def solve_primal(program: TailProgram, *, max_cvar: float = np.inf) -> tuple[FloatArray, LinearAnswer]:
    """Sizes of shape (n,) and the answer behind them, whose objective lacks the program's offsets.

    Raises Infeasible naming the rows, the tail's limit among them, that no sizes can satisfy together.
    """
    linear = LinearProgram()
    sizes = _add_sizes(linear, program)
    for row, name in enumerate(program.names):
        factors = {sizes[column]: float(program.matrix[row, column]) for column in np.flatnonzero(program.matrix[row])}
        linear.add_row(factors, name=name, lower=float(program.lower[row]), upper=float(program.upper[row]))
    if program.scenarios.shape[0] and (program.has_tail or max_cvar < np.inf):
        _add_tail(linear, program, sizes, max_cvar)
    answer = linear.solve()
    return answer.values[sizes], answer


def _add_sizes(linear: LinearProgram, program: TailProgram) -> list[int]:
    """A size is its least value and the filled part of each segment; falling slopes fill them in order."""
    sizes = []
    for points, slopes in zip(program.breakpoints, program.slopes, strict=True):
        size = linear.add_column(lower=float(points[0]), upper=float(points[-1]))
        widths = np.diff(points)
        segments = [
            linear.add_column(gain=float(slope), upper=float(width))
            for slope, width in zip(slopes, widths, strict=True)
            if width > 0
        ]
        linear.add_row({size: 1.0, **dict.fromkeys(segments, -1.0)}, lower=float(points[0]), upper=float(points[0]))
        sizes.append(size)
    return sizes


def _add_tail(linear: LinearProgram, program: TailProgram, sizes: list[int], max_cvar: float) -> None:
    """CVaR = alpha + mean excess / (1 - level). No loss exceeds `worst`: with it every column has an upper bound."""
    reach = np.max(np.abs(program.breakpoints), axis=1)
    worst = float(np.max(np.abs(program.scenarios) @ reach))
    weight = program.scenario_weight
    alpha = linear.add_column(gain=-program.risk_aversion, lower=0.0 if program.is_floored else -worst, upper=worst)
    tail = {alpha: 1.0}
    for scenario in program.scenarios:
        excess = linear.add_column(gain=-program.risk_aversion * weight, upper=2.0 * worst)
        tail[excess] = weight
        row = {size: float(value) for size, value in zip(sizes, scenario, strict=True) if value}
        linear.add_row({excess: 1.0, alpha: 1.0, **row}, lower=0.0)
    linear.add_row(tail, name=CVAR, upper=max_cvar)
