"""From domain values to the optimizer's problem: who may be entered and how far each line may go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from domain.market import Strategy
from domain.units import BPS_PER_ONE, value_usd
from tools.access import cheapest_venue, leavable
from tools.allocation_lines import AllocationProblem, CashLine, StrategyLine
from tools.caps import MARGIN, policy_caps
from tools.costs import GAS_UNITS, NATIVE_DECIMALS, swap_cost_fraction
from tools.history import FloatArray
from tools.market import Market, number
from tools.optimizer import Solution
from tools.plan_draft import DUST_NAV_FRACTION, DUST_USD
from tools.rate_impact import EarningCurve, earning_curve

MIN_SCENARIOS: Final = 20


@dataclass(frozen=True, slots=True)
class Profile:
    """How boldly one candidate uses the policy's limits."""

    risk_aversion: float
    turnover_scale: float = 1.0
    cap_scale: float = 1.0


def build_problem(
    market: Market, profile: Profile, *, targets: Mapping[str, EarningCurve] | None = None
) -> AllocationProblem:
    """`targets` replaces what strategies earn, for candidates that follow sizes instead of yields.

    What grows is promised its forecast's lower bound and what shrinks is missed at the expected rate, as guards judge.
    """
    exposure = market.policy.exposure
    turnover = min(number(exposure.max_run_turnover_share), _most_moved(market)) * profile.turnover_scale
    strategies = tuple(
        _strategy_line(market, strategy, (targets or {}).get(strategy.id)) for strategy in market.catalog.strategies
    )
    dust = max(float(DUST_NAV_FRACTION), float(DUST_USD) / market.net_value_usd)
    cash = tuple(_cash_line(market, token.id) for token in market.catalog.tokens)
    return AllocationProblem(
        strategies=strategies,
        cash=cash,
        reserve_token=market.catalog.reserve_token,
        min_reserve=number(exposure.min_reserve_share, unlimited=0.0) / MARGIN,
        caps=policy_caps(market, scale=profile.cap_scale),
        max_turnover=turnover * MARGIN,
        max_swaps=_most_swapped(market) * MARGIN,
        horizon_days=market.policy.economics.horizon_days,
        risk_aversion=profile.risk_aversion,
        scenarios=_scenarios(market, strategies, cash),
        max_cvar=number(market.policy.risk.max_cvar_95_share) * MARGIN,
        trade_cost=0.0 if targets else _trade_gas(market),
        least_trade=dust,
        min_position=dust,
    )


def with_tighter_tail(problem: AllocationProblem, solution: Solution, excess: float) -> AllocationProblem:
    """The same problem with so much less tail as the solution's upper estimates exceed their limits."""
    if not problem.scenarios.shape[0]:
        return problem
    return replace(problem, max_cvar=min(solution.cvar, problem.max_cvar) / excess * MARGIN)


def _trade_gas(market: Market) -> float:
    """Of entering or leaving one strategy, by the dearest way; unknown while the native token has no price."""
    price = market.snapshot.price_usd(market.catalog.native_token)
    if price is None:
        return 0.0
    wei = max(GAS_UNITS.values()) * (market.snapshot.base_fee_wei + market.snapshot.priority_fee_wei)
    return float(value_usd(wei, decimals=NATIVE_DECIMALS, price_usd=price)) / market.net_value_usd


def _most_moved(market: Market) -> float:
    return number(market.policy.budgets.max_transaction_value_usd) / market.net_value_usd


def _most_swapped(market: Market) -> float:
    """Every swap may lose the whole slippage allowance, which the day's budget must hold."""
    slippage = market.policy.slippage
    budget = number(slippage.max_day_slippage_usd) / market.net_value_usd
    return budget * BPS_PER_ONE / slippage.max_trade_slippage_bps if slippage.max_trade_slippage_bps else np.inf


def _strategy_line(market: Market, strategy: Strategy, target: EarningCurve | None) -> StrategyLine:
    current, units = market.share_of(strategy), market.units_per_share(strategy.token)
    forecast, rate = market.forecast_by_strategy.get(strategy.id), market.snapshot.rate(strategy.id)
    if forecast is None or rate is None or units <= 0:
        frozen = EarningCurve(sizes=np.array([0.0, current + 1.0]), earnings=np.zeros(2))
        return StrategyLine(strategy.id, strategy.token, current, max_buy=0.0, max_sell=0.0, earnings=frozen)
    room = _pool_room(market, strategy, rate_supplied=rate.supplied, rate_withdrawable=rate.withdrawable)
    max_buy = max(room - current, 0.0) if market.may_enter(strategy) else 0.0
    curve = target or earning_curve(
        rate,
        forecast.expected_apr,
        current=current,
        upper=current + max_buy,
        units_per_share=units,
        growth_apr=min(forecast.lower_apr, forecast.expected_apr),
    )
    max_sell = min(leavable(strategy.id, market.portfolio, market.snapshot) / units, current)
    return StrategyLine(strategy.id, strategy.token, current, max_buy=max_buy, max_sell=max_sell, earnings=curve)


def _pool_room(market: Market, strategy: Strategy, *, rate_supplied: int, rate_withdrawable: int) -> float:
    """Largest share of our value that the pool's size and liquidity allow; at most everything."""
    exposure, units = market.policy.exposure, market.units_per_share(strategy.token)
    supplied = number(exposure.max_pool_supplied_share) * rate_supplied / units
    withdrawable = number(exposure.max_pool_withdrawable_share) * rate_withdrawable / units
    return min(supplied * MARGIN, withdrawable * MARGIN, 1.0)


def _cash_line(market: Market, token_id: str) -> CashLine:
    """Stable tokens are exchanged freely; others are sold only above their cap: price risk is the owner's choice."""
    current = market.cash_share(token_id)
    max_fee_bps = market.policy.slippage.max_trade_slippage_bps
    venue = cheapest_venue(token_id, market.catalog.reserve_token, market.catalog, max_fee_bps=max_fee_bps)
    if venue is None or market.snapshot.price_usd(token_id) is None:
        return CashLine(token_id, current, max_buy=0.0, max_sell=0.0, cost=0.0)
    is_stable = market.catalog.token(token_id).is_stable
    held = current + sum(market.share_of(s) for s in market.catalog.strategies if s.token == token_id)
    above_cap = max(held - number(market.policy.exposure.max_token_share) * MARGIN, 0.0)
    return CashLine(
        token_id,
        current,
        max_buy=1.0 if is_stable and market.may_buy(token_id) else 0.0,
        max_sell=1.0 if is_stable else above_cap,
        cost=swap_cost_fraction(venue.fee_pips),
    )


def _scenarios(market: Market, strategies: Sequence[StrategyLine], cash: Sequence[CashLine]) -> FloatArray:
    """Days on which every line that is or may be held is known; none when too few to speak of a tail."""
    returns = market.returns.values
    used = [line.current > 0 or line.max_buy > 0 for line in strategies]
    used += [line.current > 0 or line.max_buy > 0 for line in cash]
    complete = returns[~np.isnan(returns[:, used]).any(axis=1)]
    if complete.shape[0] < MIN_SCENARIOS:
        return np.empty((0, returns.shape[1]))
    return np.asarray(np.nan_to_num(complete))
