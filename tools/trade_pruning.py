"""Trades that should not be made: too small to plan, leaving too little behind, or earning less than their gas.

Which of them to leave out is a choice among many; they are tried from the smallest on, each by solving again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tools.allocation_lines import AllocationProblem
from tools.history import FloatArray
from tools.solvers.kept_dual import KeptDual, TailAnswer
from tools.solvers.tail_program import TailProgram, pinned

UNMOVED: Final = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Pruned:
    """The program whose answer this is, and the strategies that a trade was taken from."""

    program: TailProgram
    answer: TailAnswer
    left_alone: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Pin:
    """A strategy's index, the size to hold it at and whether that must be, whatever it costs."""

    line: int
    size: float
    is_forced: bool


def without_small_trades(
    problem: AllocationProblem, program: TailProgram, kept: KeptDual, answer: TailAnswer
) -> Pruned:
    """The answer after every pin that is forced and possible, and every other that costs less than its trade.

    Each attempt starts from the basis before it, so that the order, which the sizes set, decides the path.
    """
    best = Pruned(program, answer)
    tried: set[int] = set()
    while (pin := next(_pins(problem, best.answer.sizes, tried), None)) is not None:
        tried.add(pin.line)
        attempt = pinned(best.program, pin.line, pin.size)
        found = kept.solve(attempt, best.answer.start)
        if found is None or found.cvar > problem.max_cvar:
            continue
        lost = best.answer.certificate.objective - found.certificate.objective
        if pin.is_forced or lost < problem.trade_cost:
            name = problem.strategies[pin.line].id
            best = Pruned(attempt, found, (*best.left_alone, name))
    return best


def _pins(problem: AllocationProblem, sizes: FloatArray, tried: set[int]) -> Iterator[_Pin]:
    """Forced ones first, then by the size of the trade; nothing that was tried before."""
    changes = {index: abs(float(sizes[index]) - line.current) for index, line in enumerate(problem.strategies)}
    open_trades = [index for index, change in changes.items() if change > UNMOVED and index not in tried]
    by_size = sorted(open_trades, key=lambda index: (changes[index], index))
    for index in by_size:
        line = problem.strategies[index]
        if changes[index] < problem.least_trade:
            yield _Pin(index, line.current, is_forced=True)
        elif UNMOVED < sizes[index] < problem.min_position:
            can_leave = line.max_sell >= line.current
            yield _Pin(index, 0.0 if can_leave else line.current, is_forced=True)
    if problem.trade_cost > 0:
        for index in by_size:
            yield _Pin(index, problem.strategies[index].current, is_forced=False)
