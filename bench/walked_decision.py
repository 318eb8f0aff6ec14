"""One weekly decision of our optimizer on recorded markets, under the demo policy's own limits.

Expected is last week's mean rate; its lower bound is what such means fell short of before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Final

import numpy as np

from bench.stable_markets import WEEK, Markets, known_rates
from domain.errors import Infeasible
from domain.plan import CandidateKind
from domain.policy import Policy
from domain.units import BPS_PER_ONE
from tests.builders import make_policy
from tools.allocation_lines import AllocationProblem, Cap, CashLine, StrategyLine
from tools.candidates import PROFILES
from tools.history import FloatArray
from tools.market import number
from tools.optimizer import optimize
from tools.rate_impact import EarningCurve, concave_envelope

VALUE_USD: Final = 1_000_000.0
GAS_PER_LEG: Final = 450_000
SWAP_COST: Final = 0.0004
RESERVE: Final = "USDC"
HISTORY_DAYS: Final = 250
ERROR_DAYS: Final = 180
MIN_SCENARIOS: Final = 20
LOWER_QUANTILE: Final = 0.9
OFF_PEG: Final = -1.0
"""A yearly rate for what must be left: no optimizer keeps it while the exit is open."""
DUST: Final = 0.001
LARGEST: Final = 2.0


@cache
def demo_policy() -> Policy:
    return make_policy()


def decide(markets: Markets, today: int, held: FloatArray) -> FloatArray:
    """Shares wanted, (markets,), from rows before today; where no allocation satisfies the limits, what is held."""
    try:
        solution = optimize(weekly_problem(markets, today, held))
    except Infeasible:
        return held
    return np.array([solution.weights[name] for name in markets.names])


def weekly_problem(markets: Markets, today: int, held: FloatArray) -> AllocationProblem:
    policy, exposure = demo_policy(), demo_policy().exposure
    returns = _returns(markets, today)
    lines = _lines(markets, today, held, returns)
    assets = sorted({RESERVE, *markets.assets})
    idle = max(1.0 - sum(line.current for line in lines), 0.0)
    scenarios = _scenarios(lines, returns)
    return AllocationProblem(
        strategies=lines,
        cash=tuple(_cash(asset, idle) for asset in assets),
        reserve_token=RESERVE,
        min_reserve=min(number(exposure.min_reserve_share, unlimited=0.0), idle),
        caps=tuple(_caps(markets, lines)),
        max_turnover=number(exposure.max_run_turnover_share),
        max_swaps=1.0,
        horizon_days=policy.economics.horizon_days,
        risk_aversion=PROFILES[CandidateKind.OPTIMAL].risk_aversion,
        scenarios=np.column_stack([scenarios, np.zeros((scenarios.shape[0], len(assets)))]),
        max_cvar=number(policy.risk.max_cvar_95_share),
        trade_cost=float(GAS_PER_LEG * markets.gas_unit_usd[today - 1]) / VALUE_USD,
        least_trade=DUST,
        min_position=DUST,
    )


def _returns(markets: Markets, today: int) -> FloatArray:
    """Daily total returns of the last HISTORY_DAYS, NaN where the rate was unknown."""
    rows = slice(max(today - HISTORY_DAYS, 0), today)
    return np.asarray(np.where(np.isfinite(markets.apr[rows]), markets.growth[rows] - 1.0, np.nan))


def _lines(markets: Markets, today: int, held: FloatArray, returns: FloatArray) -> tuple[StrategyLine, ...]:
    """What the product asks before it enters: rate and peg known, seen long enough, room within the pool."""
    policy, yesterday = demo_policy(), today - 1
    max_deviation = policy.freshness.max_stable_deviation_bps / BPS_PER_ONE
    is_off_peg = ~(np.abs(markets.price[yesterday] - 1.0) <= max_deviation)
    rates = known_rates(markets, today)
    lower = rates - _shortfall(markets, today)
    seen = np.isfinite(returns).sum(axis=0)
    may_enter = np.isfinite(lower) & (seen >= policy.risk.min_sample_days_count) & ~is_off_peg
    liquid = np.nan_to_num(markets.liquid_usd[yesterday]) / VALUE_USD
    supplied = np.nan_to_num(markets.supplied_usd[yesterday]) / VALUE_USD
    room = np.minimum(
        number(policy.exposure.max_pool_withdrawable_share) * liquid,
        number(policy.exposure.max_pool_supplied_share) * supplied,
    )
    kept = np.where(is_off_peg, OFF_PEG, np.nan_to_num(rates))
    return tuple(
        StrategyLine(
            name,
            markets.assets[index],
            float(held[index]),
            max_buy=max(float(room[index] - held[index]), 0.0) if may_enter[index] else 0.0,
            max_sell=float(min(held[index], liquid[index])),
            earnings=_earnings(float(held[index]), float(kept[index]), float(np.nan_to_num(lower[index]))),
        )
        for index, name in enumerate(markets.names)
    )


def _shortfall(markets: Markets, today: int) -> FloatArray:
    """By how much a week's mean overstated the next one's, at LOWER_QUANTILE of the last days; shape (markets,)."""
    rates = markets.apr[max(today - ERROR_DAYS, 0) : today]
    sums = np.cumsum(np.vstack([np.zeros(rates.shape[1]), np.nan_to_num(rates)]), axis=0)
    means = (sums[WEEK:] - sums[:-WEEK]) / WEEK
    return np.maximum(np.quantile(means[:-WEEK] - means[WEEK:], LOWER_QUANTILE, axis=0), 0.0)


def _earnings(current: float, kept: float, lower: float) -> EarningCurve:
    """What is held earns the expected rate, what it grows by the lower bound."""
    sizes = np.unique([0.0, current, LARGEST])
    earned = np.where(sizes <= current, kept * sizes, kept * current + min(lower, kept) * (sizes - current))
    return concave_envelope(sizes, earned)


def _scenarios(lines: Sequence[StrategyLine], returns: FloatArray) -> FloatArray:
    """Days on which every line that is or may be held is known; none when too few to speak of a tail."""
    used = np.array([line.current > 0 or line.max_buy > 0 for line in lines])
    complete = returns[np.isfinite(returns[:, used]).all(axis=1)]
    return np.nan_to_num(complete) if complete.shape[0] >= MIN_SCENARIOS else returns[:0]


def _caps(markets: Markets, lines: Sequence[StrategyLine]) -> Iterator[Cap]:
    """What drifted above a cap may stay, it may not grow."""
    exposure = demo_policy().exposure
    for line in lines:
        yield _cap(f"strategy:{line.id}", [line], [], number(exposure.max_strategy_share))
    for protocol in sorted({name.partition(":")[0] for name in markets.names}):
        own = [line for line in lines if line.id.startswith(f"{protocol}:")]
        yield _cap(f"protocol:{protocol}", own, [], number(exposure.max_protocol_share))
    for asset in sorted(set(markets.assets) - {RESERVE}):
        own = [line for line in lines if line.token == asset]
        yield _cap(f"token:{asset}", own, [asset], number(exposure.max_token_share))


def _cap(name: str, lines: Sequence[StrategyLine], tokens: Sequence[str], limit: float) -> Cap:
    held = sum(line.current for line in lines)
    return Cap(name, {line.id: 1.0 for line in lines}, dict.fromkeys(tokens, 1.0), max(limit, held))


def _cash(asset: str, idle: float) -> CashLine:
    """All idle money is in the reserve coin, against which every other is exchanged."""
    if asset == RESERVE:
        return CashLine(asset, idle, max_buy=0.0, max_sell=0.0, cost=0.0)
    return CashLine(asset, 0.0, max_buy=1.0, max_sell=1.0, cost=SWAP_COST)
