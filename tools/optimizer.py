"""The convex core: which sizes earn most within every limit, costs, own rate impact and tail risk included.

One linear program: piecewise-linear concave earnings, mean-CVaR in the form of Rockafellar and Uryasev (2000).
All sizes are shares of net asset value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from tools.history import DAYS_PER_YEAR, FloatArray
from tools.linear_program import LinearProgram
from tools.rate_impact import EarningCurve

CHURN_COST: Final = 0.00005
"""Half a basis point per unit moved, so that equal choices stay where they are."""


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
    """`scenarios` is (n, strategies + cash): daily returns in the order of the two tuples; zero rows: no tail term."""

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


@dataclass(frozen=True, slots=True)
class Solution:
    """`binding` names the limits at which the optimum stands with their shadow prices, largest first."""

    weights: Mapping[str, float]
    cash: Mapping[str, float]
    turnover: float
    objective: float
    binding: tuple[tuple[str, float], ...]


@dataclass(slots=True)
class _Columns:
    buy: dict[str, int]
    sell: dict[str, int]
    size: dict[str, int]
    cash: dict[str, int]
    swap_in: dict[str, int]
    swap_out: dict[str, int]
    fall: dict[str, int]


def optimize(problem: AllocationProblem) -> Solution:
    """The best sizes; deterministic. Raises Infeasible naming the limits that no allocation can satisfy."""
    program = LinearProgram()
    columns = _add_columns(program, problem)
    _link_sizes(program, problem, columns)
    _balance_tokens(program, problem, columns)
    _limit(program, problem, columns)
    _add_tail(program, problem, columns)
    answer = program.solve()
    weights = {line.id: max(float(answer.values[columns.size[line.id]]), 0.0) for line in problem.strategies}
    cash = {line.token: max(float(answer.values[columns.cash[line.token]]), 0.0) for line in problem.cash}
    left = sum(max(line.current - weights[line.id], 0.0) for line in problem.strategies)
    return Solution(
        weights=weights,
        cash=cash,
        turnover=left + sum(max(line.current - cash[line.token], 0.0) for line in problem.cash),
        objective=answer.objective,
        binding=answer.prices,
    )


def _add_columns(program: LinearProgram, problem: AllocationProblem) -> _Columns:
    add = program.add_column
    lines, cash = problem.strategies, problem.cash
    return _Columns(
        buy={line.id: add(gain=-CHURN_COST, upper=line.max_buy) for line in lines},
        sell={line.id: add(gain=-CHURN_COST, upper=line.max_sell) for line in lines},
        size={line.id: add() for line in lines},
        cash={line.token: add() for line in cash},
        swap_in={line.token: add(gain=-line.cost, upper=line.max_buy) for line in cash},
        swap_out={line.token: add(gain=-line.cost, upper=line.max_sell) for line in cash},
        fall={line.token: add() for line in cash},
    )


def _link_sizes(program: LinearProgram, problem: AllocationProblem, columns: _Columns) -> None:
    """size = current + buy - sell, and size = the sum of its earning segments."""
    years = problem.horizon_days / DAYS_PER_YEAR
    for line in problem.strategies:
        size = columns.size[line.id]
        program.add_row(
            {size: 1.0, columns.buy[line.id]: -1.0, columns.sell[line.id]: 1.0}, lower=line.current, upper=line.current
        )
        segments = [program.add_column(gain=slope * years, upper=width) for width, slope in line.earnings.segments()]
        program.add_row({size: 1.0, **dict.fromkeys(segments, -1.0)}, lower=0.0, upper=0.0)


def _balance_tokens(program: LinearProgram, problem: AllocationProblem, columns: _Columns) -> None:
    """A token's cash and positions change only by swaps; the reserve token pays for all of them and their costs.

    Tokens are bought for positions only: idle cash belongs in the reserve.
    """
    others = [line for line in problem.cash if line.token != problem.reserve_token]
    for line in problem.cash:
        held = [strategy for strategy in problem.strategies if strategy.token == line.token]
        total = line.current + sum(strategy.current for strategy in held)
        row = {columns.cash[line.token]: 1.0, **{columns.size[strategy.id]: 1.0 for strategy in held}}
        if line.token == problem.reserve_token:
            row |= {columns.swap_in[other.token]: 1.0 + other.cost for other in others}
            row |= {columns.swap_out[other.token]: other.cost - 1.0 for other in others}
        else:
            row |= {columns.swap_in[line.token]: -1.0, columns.swap_out[line.token]: 1.0}
            buys = {columns.buy[strategy.id]: -1.0 for strategy in held}
            program.add_row({columns.swap_in[line.token]: 1.0, **buys}, upper=0.0)
        program.add_row(row, lower=total, upper=total)
        program.add_row({columns.cash[line.token]: 1.0, columns.fall[line.token]: 1.0}, lower=line.current)


def _limit(program: LinearProgram, problem: AllocationProblem, columns: _Columns) -> None:
    for cap in problem.caps:
        row = {columns.size[strategy]: weight for strategy, weight in cap.strategies.items()}
        row |= {columns.cash[token]: weight for token, weight in cap.tokens.items()}
        program.add_row(row, name=cap.name, upper=cap.limit)
    program.add_row({columns.cash[problem.reserve_token]: 1.0}, name="reserve", lower=problem.min_reserve)
    program.add_row(dict.fromkeys(_decreases(columns), 1.0), name="turnover", upper=problem.max_turnover)
    swaps = [*columns.swap_in.values(), *columns.swap_out.values()]
    program.add_row(dict.fromkeys(swaps, 1.0), name="swaps", upper=problem.max_swaps)


def _decreases(columns: _Columns) -> list[int]:
    """Turnover counts what leaves a position or a cash line, as the guard does."""
    return [*columns.sell.values(), *columns.fall.values()]


def _add_tail(program: LinearProgram, problem: AllocationProblem, columns: _Columns) -> None:
    """CVaR = alpha + mean excess / (1 - level), alpha >= 0 because a sure gain is no negative risk."""
    count = problem.scenarios.shape[0]
    if not count:
        return
    sizes = [columns.size[line.id] for line in problem.strategies] + [columns.cash[line.token] for line in problem.cash]
    weight = 1.0 / ((1.0 - problem.cvar_level) * count)
    alpha = program.add_column(gain=-problem.risk_aversion)
    tail = {alpha: 1.0}
    for scenario in problem.scenarios:
        excess = program.add_column(gain=-problem.risk_aversion * weight)
        tail[excess] = weight
        row = {size: float(value) for size, value in zip(sizes, scenario, strict=True) if value}
        program.add_row({excess: 1.0, alpha: 1.0, **row}, lower=0.0)
    program.add_row(tail, name="cvar-95", upper=problem.max_cvar)
