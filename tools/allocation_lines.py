"""What sizes are chosen from: positions and cash with how far each may go, caps on their sums. Shares of net value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tools.history import FloatArray
from tools.rate_impact import EarningCurve


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
