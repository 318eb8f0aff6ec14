"""An allocation as a tail program: sizes, sales and swaps as columns, definitions and limits as rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from tools.allocation_lines import AllocationProblem, StrategyLine
from tools.history import DAYS_PER_YEAR, FloatArray
from tools.solvers.tail_program import TailProgram

CHURN_COST: Final = 0.00005
"""Half a basis point per unit moved, so that equal choices stay where they are."""
LEAST_WIDTH: Final = 1e-9
"""Of a segment: the slope over a narrower one would be rounding."""


@dataclass(frozen=True, slots=True)
class Places:
    """Which column of the program means what; strategies and cash lines each count from zero."""

    strategies: int
    tokens: int

    def size(self, line: int) -> int:
        return line

    def cash(self, line: int) -> int:
        return self.strategies + line

    def sell(self, line: int) -> int:
        return self.strategies + self.tokens + line

    def fall(self, line: int) -> int:
        return 2 * self.strategies + self.tokens + line

    def swap_in(self, line: int) -> int:
        return 2 * self.strategies + 2 * self.tokens + line

    def swap_out(self, line: int) -> int:
        return 2 * self.strategies + 3 * self.tokens + line

    @property
    def columns(self) -> int:
        return 2 * self.strategies + 4 * self.tokens


class _Rows:
    """Collects lower <= coefficients . x <= upper."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.coefficients: list[FloatArray] = []
        self.sides: list[tuple[str, float, float]] = []

    def add(
        self, factors: Mapping[int, float], *, name: str = "", lower: float = -np.inf, upper: float = np.inf
    ) -> None:
        row = np.zeros(self.columns)
        row[list(factors)] = list(factors.values())
        self.coefficients.append(row)
        self.sides.append((name, lower, upper))


def build_program(problem: AllocationProblem) -> TailProgram:
    """Columns as Places has them; every row that a policy set has a name."""
    places = Places(len(problem.strategies), len(problem.cash))
    rows = _Rows(places.columns)
    _define_trades(rows, problem, places)
    _balance_tokens(rows, problem, places)
    _limit(rows, problem, places)
    breakpoints, slopes, offsets = _gains(problem, places)
    held = places.strategies + places.tokens
    scenarios = np.zeros((problem.scenarios.shape[0], places.columns))
    scenarios[:, :held] = problem.scenarios
    return TailProgram(
        breakpoints=breakpoints,
        slopes=slopes,
        offsets=offsets,
        matrix=np.array(rows.coefficients),
        lower=np.array([lower for _, lower, _ in rows.sides]),
        upper=np.array([upper for _, _, upper in rows.sides]),
        names=tuple(name for name, _, _ in rows.sides),
        scenarios=scenarios,
        risk_aversion=problem.risk_aversion,
        level=problem.cvar_level,
        is_floored=True,  # a sure gain is no negative risk
    )


def _gains(problem: AllocationProblem, places: Places) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Breakpoints, slopes and offsets of every column, padded to the longest curve by segments of no width."""
    total = sum(line.current for line in problem.strategies) + sum(line.current for line in problem.cash)
    years = problem.horizon_days / DAYS_PER_YEAR
    curves: list[tuple[FloatArray, FloatArray]] = [_size_curve(line, years) for line in problem.strategies]
    curves += [_line(0.0, total)] * places.tokens
    curves += [_line(-2.0 * CHURN_COST, line.max_sell) for line in problem.strategies]
    curves += [_line(0.0, total)] * places.tokens
    curves += [_line(-line.cost, min(line.max_buy, total)) for line in problem.cash]
    curves += [_line(-line.cost, min(line.max_sell, total)) for line in problem.cash]
    longest = max(points.size for points, _ in curves)
    points = np.array([np.pad(points, (0, longest - points.size), mode="edge") for points, _ in curves])
    values = np.array([np.pad(values, (0, longest - values.size), mode="edge") for _, values in curves])
    return points, _slopes(points, values), values[:, 0]


def _line(slope: float, upper: float) -> tuple[FloatArray, FloatArray]:
    sizes = np.array([0.0, max(upper, 0.0)])
    return sizes, slope * sizes


def _size_curve(line: StrategyLine, years: float) -> tuple[FloatArray, FloatArray]:
    """Earnings over the horizon less what buying costs, on the sizes that can be reached; a sale's cost is its own.

    Buying is counted from the current size and sold amounts are added back, so that both directions cost the same.
    """
    curve = line.earnings
    last = float(curve.sizes[-1])
    least = min(max(line.current - line.max_sell, 0.0), last)
    most = max(min(line.current + line.max_buy, last), least)
    inner = curve.sizes[(curve.sizes > least + LEAST_WIDTH) & (curve.sizes < most - LEAST_WIDTH)]
    sizes = np.concatenate([[least], inner, [most]])
    return sizes, np.interp(sizes, curve.sizes, curve.earnings) * years - CHURN_COST * (sizes - line.current)


def _slopes(points: FloatArray, values: FloatArray) -> FloatArray:
    """Of each segment, never rising; one of no width takes the slope before it."""
    widths = np.diff(points, axis=1)
    is_wide = widths > 0
    slopes = np.where(is_wide, np.diff(values, axis=1) / np.where(is_wide, widths, 1.0), np.inf)
    slopes[:, 0] = np.where(is_wide[:, 0], slopes[:, 0], 0.0)
    return np.asarray(np.minimum.accumulate(slopes, axis=1))


def _define_trades(rows: _Rows, problem: AllocationProblem, places: Places) -> None:
    """What is sold and by how much a cash line falls; bought is what the size grew by and what was sold."""
    for index, line in enumerate(problem.strategies):
        rows.add(
            {places.size(index): 1.0, places.sell(index): 1.0}, lower=line.current, upper=line.current + line.max_buy
        )
    for index, cash in enumerate(problem.cash):
        rows.add({places.cash(index): 1.0, places.fall(index): 1.0}, lower=cash.current)


def _balance_tokens(rows: _Rows, problem: AllocationProblem, places: Places) -> None:
    """A token's cash and positions change only by swaps; the reserve token pays for all of them and their costs.

    Tokens are bought for positions only: idle cash belongs in the reserve.
    """
    others = [(index, line) for index, line in enumerate(problem.cash) if line.token != problem.reserve_token]
    for index, line in enumerate(problem.cash):
        held = [number for number, strategy in enumerate(problem.strategies) if strategy.token == line.token]
        invested = sum(problem.strategies[number].current for number in held)
        row = {places.cash(index): 1.0, **{places.size(number): 1.0 for number in held}}
        if line.token == problem.reserve_token:
            row |= {places.swap_in(other): 1.0 + swapped.cost for other, swapped in others}
            row |= {places.swap_out(other): swapped.cost - 1.0 for other, swapped in others}
        else:
            row |= {places.swap_in(index): -1.0, places.swap_out(index): 1.0}
            bought = {places.size(number): -1.0 for number in held} | {places.sell(number): -1.0 for number in held}
            rows.add({places.swap_in(index): 1.0, **bought}, upper=-invested)
        rows.add(row, lower=line.current + invested, upper=line.current + invested)


def _limit(rows: _Rows, problem: AllocationProblem, places: Places) -> None:
    size = {line.id: places.size(index) for index, line in enumerate(problem.strategies)}
    cash = {line.token: places.cash(index) for index, line in enumerate(problem.cash)}
    for cap in problem.caps:
        row = {size[strategy]: weight for strategy, weight in cap.strategies.items()}
        row |= {cash[token]: weight for token, weight in cap.tokens.items()}
        rows.add(row, name=cap.name, upper=cap.limit)
    rows.add({cash[problem.reserve_token]: 1.0}, name="reserve", lower=problem.min_reserve)
    tokens, strategies = range(places.tokens), range(places.strategies)
    decreases = [*map(places.sell, strategies), *map(places.fall, tokens)]  # what leaves a line, as the guard counts
    rows.add(dict.fromkeys(decreases, 1.0), name="turnover", upper=problem.max_turnover)
    swaps = [*map(places.swap_in, tokens), *map(places.swap_out, tokens)]
    rows.add(dict.fromkeys(swaps, 1.0), name="swaps", upper=problem.max_swaps)
