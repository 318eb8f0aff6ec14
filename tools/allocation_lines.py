"""What sizes are chosen from: positions and cash with how far each may go, caps on their sums. Shares of net value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from domain.errors import InvariantBroken
from tools.history import FloatArray
from tools.rate_impact import EarningCurve
from tools.solvers.conditioning import require_shape

AMOUNTS: Final = ("risk_aversion", "trade_cost", "least_trade", "min_position")
"""Fields of a problem that are finite and never negative."""


@dataclass(frozen=True, slots=True)
class StrategyLine:
    """A position and how far it may grow and shrink."""

    id: str
    token: str
    current: float
    max_buy: float
    max_sell: float
    earnings: EarningCurve


@dataclass(frozen=True, slots=True)
class CashLine:
    """Idle money in one token; buying and selling are against the reserve token, `cost` is the fraction lost."""

    token: str
    current: float
    max_buy: float
    max_sell: float
    cost: float


@dataclass(frozen=True, slots=True)
class Cap:
    """The weighted sum of these strategies and of idle cash in these tokens stays at or below the limit."""

    name: str
    strategies: Mapping[str, float]
    tokens: Mapping[str, float]
    limit: float


@dataclass(frozen=True, slots=True, eq=False)
class AllocationProblem:
    """`scenarios` is (n, strategies + cash): daily returns in the order of the two tuples; zero rows: no tail term.

    A position changes by at least `least_trade` or not at all, and is empty or at least `min_position`; each change
    costs `trade_cost` whatever its size (gas).
    """

    strategies: tuple[StrategyLine, ...]
    cash: tuple[CashLine, ...]
    reserve_token: str
    min_reserve: float
    caps: tuple[Cap, ...]
    max_turnover: float
    max_swaps: float
    horizon_days: int
    risk_aversion: float
    scenarios: FloatArray
    cvar_level: float = 0.95
    max_cvar: float = np.inf
    trade_cost: float = 0.0
    least_trade: float = 0.0
    min_position: float = 0.0

    def __post_init__(self) -> None:
        """Raises InvariantBroken on lines or numbers that mean nothing, StaleOrDisputed on scenarios of other lines.

        What lines, caps and scenarios hold is checked with the program that is made of them.
        """
        for field in AMOUNTS:
            value = getattr(self, field)
            if not 0 <= value < np.inf:  # also catches NaN, as the next two do
                raise InvariantBroken(f"{field} of an allocation must be finite and at least 0, it is {value}")
        if not self.max_cvar >= 0:
            raise InvariantBroken(f"max_cvar of an allocation must be at least 0, it is {self.max_cvar}")
        if not 0 < self.cvar_level < 1:
            raise InvariantBroken(f"cvar_level of an allocation must be within (0, 1), it is {self.cvar_level}")
        names = {"strategies": [line.id for line in self.strategies], "cash": [line.token for line in self.cash]}
        for field, listed in names.items():
            name, count = max(Counter(listed).items(), key=lambda item: item[1], default=("", 0))
            if count > 1:
                raise InvariantBroken(f"{field} of an allocation must name {name} once, it stands there {count} times")
        if self.reserve_token not in names["cash"]:
            raise InvariantBroken(f"cash of an allocation must list the reserve token {self.reserve_token}")
        for cap in self.caps:
            strange = sorted({*cap.strategies} - {*names["strategies"]} | {*cap.tokens} - {*names["cash"]})
            if strange:
                raise InvariantBroken(f"cap {cap.name} of an allocation names {strange[0]}, which is no line of it")
        lines = len(self.strategies) + len(self.cash)
        require_shape("scenarios", self.scenarios, (len(self.scenarios), lines))
