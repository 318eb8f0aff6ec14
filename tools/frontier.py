"""The efficient frontier: what the best allocation earns at each appetite for tail risk, all limits and costs kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from domain.errors import InvariantBroken
from tools.allocation_lines import AllocationProblem
from tools.optimizer import Solution, optimize

RISK_AVERSIONS: Final = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
LEAST_STEP: Final = 1e-9


@dataclass(frozen=True, slots=True)
class FrontierPoint:
    """One efficient allocation. `gain` over the problem's horizon after costs, `cvar` per day, both fractions."""

    risk_aversion: float
    gain: float
    cvar: float
    solution: Solution


def efficient_frontier(
    problem: AllocationProblem, risk_aversions: Sequence[float] = RISK_AVERSIONS
) -> tuple[FrontierPoint, ...]:
    """From the boldest to the most cautious; each point earns and risks less than the one before it.

    Aversions that choose the same allocation give one point. Each point carries its own certificate. Raises Infeasible
    when no allocation satisfies the limits, InvariantBroken when aversions are negative, not finite or do not rise.
    """
    are_numbers = len(risk_aversions) > 0 and all(0 <= aversion < math.inf for aversion in risk_aversions)
    if not are_numbers or list(risk_aversions) != sorted(set(risk_aversions)):
        raise InvariantBroken(
            f"risk aversions must be finite and rise from 0 or more, they are {tuple(risk_aversions)}"
        )
    points: list[FrontierPoint] = []
    for aversion in risk_aversions:
        solution = optimize(replace(problem, risk_aversion=aversion))
        if not points or points[-1].cvar - solution.cvar > LEAST_STEP:
            points.append(FrontierPoint(aversion, solution.gain, solution.cvar, solution))
    return tuple(points)
