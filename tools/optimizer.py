"""The convex core: which sizes earn most within every limit, costs, own rate impact and tail risk included.

Mean against CVaR over piecewise-linear concave earnings. All sizes are shares of net asset value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from domain.plan import Certificate
from tools.allocation_lines import AllocationProblem
from tools.allocation_program import build_program
from tools.history import FloatArray
from tools.solvers.kept_dual import KeptDual
from tools.solvers.tail_primal import solve_primal
from tools.solvers.tail_program import TailProgram, cvar_of, gains_of
from tools.trade_pruning import without_small_trades

PRICE_TOLERANCE: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Solution:
    """`binding` names the limits at which the optimum stands with their shadow prices, largest first.

    `gain` is the objective without its tail term, `cvar` that of the problem's scenarios. The certificate proves the
    sizes best among those that leave `left_alone` where they are: trades that were too small or not worth their gas.
    """

    weights: Mapping[str, float]
    cash: Mapping[str, float]
    turnover: float
    gain: float
    cvar: float
    binding: tuple[tuple[str, float], ...]
    certificate: Certificate
    left_alone: tuple[str, ...] = ()

    @property
    def objective(self) -> float:
        return self.certificate.objective


def optimize(problem: AllocationProblem) -> Solution:
    """The best sizes with the proof that they are; deterministic.

    Solved through the dual unless the tail's own limit binds; trades too small for their gas are then taken back.
    Raises Infeasible naming the limits that no allocation can satisfy, StaleOrDisputed on input that is no number.
    """

    program = build_program(problem)
    kept = KeptDual(program)
    answer = kept.solve()
    if answer is not None and answer.cvar <= problem.max_cvar:
        pruned = without_small_trades(problem, program, kept, answer)
        final, prices = pruned.answer, np.abs(pruned.answer.multipliers.rows)
        named = [(name, float(price)) for name, price in zip(program.names, prices, strict=True)]
        return _solution(problem, pruned.program, final.sizes, named, final.certificate, pruned.left_alone)
    sizes, slower = solve_primal(program, max_cvar=problem.max_cvar)
    return _solution(problem, program, sizes, slower.prices, slower.certificate, ())


def _solution(
    problem: AllocationProblem,
    program: TailProgram,
    sizes: FloatArray,
    prices: Sequence[tuple[str, float]],
    certificate: Certificate,
    left_alone: tuple[str, ...],
) -> Solution:
    lines, cash = problem.strategies, problem.cash
    current = np.array([line.current for line in lines] + [line.current for line in cash])
    left = current - sizes[: current.size]
    named = [(name, price) for name, price in prices if name and price > PRICE_TOLERANCE]
    return Solution(
        weights={line.id: max(float(size), 0.0) for line, size in zip(lines, sizes, strict=False)},
        cash={line.token: max(float(size), 0.0) for line, size in zip(cash, sizes[len(lines) :], strict=False)},
        turnover=float(np.maximum(left, 0.0).sum()),
        gain=gains_of(program, sizes),
        cvar=cvar_of(program, sizes),
        binding=tuple(sorted(named, key=lambda item: (-item[1], item[0]))),
        certificate=certificate,
        left_alone=left_alone,
    )
