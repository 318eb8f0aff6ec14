"""What a long-only choice of weights may do: how much in each, in groups of them, and what moving costs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from domain.errors import InvariantBroken
from tools.history import FloatArray
from tools.solvers.conditioning import require_finite, require_shape


@dataclass(frozen=True, slots=True, eq=False)
class TradingLimits:
    """`upper` and `cost` are (n,): the largest weight and the fraction lost per unit moved; weights add up to `budget`.

    Row k of `groups`, (k, n), weighed with the weights stays at or below `group_limits[k]`, which `names[k]` names.
    """

    upper: FloatArray
    cost: FloatArray
    groups: FloatArray
    group_limits: FloatArray
    names: tuple[str, ...]
    budget: float = 1.0

    def __post_init__(self) -> None:
        """Raises StaleOrDisputed on a limit that is no number, InvariantBroken on a negative one and on no weights."""
        if not self.upper.size:
            raise InvariantBroken("upper has 0 entries, at least 1 weight is required")
        require_shape("cost", self.cost, self.upper.shape)
        require_shape("groups", self.groups, (len(self.names), self.upper.size))
        require_shape("group limits", self.group_limits, (len(self.names),))
        for name in ("upper", "cost", "groups", "group_limits"):
            require_finite(name.replace("_", " "), getattr(self, name))
        if np.any(self.upper < 0) or np.any(self.cost < 0):
            raise InvariantBroken("a largest weight or a cost is negative, the least is 0")

    def explain(self) -> str:
        """Why no weights exist."""
        room = float(self.upper.sum())
        if room < self.budget:
            return f"weights may add up to {room:.4f} at most, the budget is {self.budget:.4f}"
        return f"no weights that add up to {self.budget:.4f} satisfy {', '.join(self.names)} together"


def long_only(upper: FloatArray, cost: FloatArray, *, budget: float = 1.0) -> TradingLimits:
    """Limits without groups."""
    return TradingLimits(upper, cost, np.empty((0, upper.size)), np.empty(0), (), budget)


def limit_rows(limits: TradingLimits) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Coefficients, lower and upper sides: the budget first, then the groups."""
    matrix = np.vstack([np.ones(limits.upper.size), limits.groups])
    lower = np.concatenate([[limits.budget], np.full(len(limits.names), -np.inf)])
    return matrix, lower, np.concatenate([[limits.budget], limits.group_limits])
