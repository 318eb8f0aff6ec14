"""From domain values to the optimizer's problem: who may be entered, how far each line may go, which caps hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Final

import numpy as np

from domain.market import Catalog, Forecast, MarketHistory, MarketSnapshot, Strategy
from domain.policy import ExposureLimits, Policy
from domain.portfolio import Holding, Portfolio, value_holdings
from domain.units import BPS_PER_ONE
from tools.access import cheapest_venue, is_off_peg, leavable
from tools.costs import swap_cost_fraction
from tools.history import FloatArray, ReturnMatrix, daily_returns
from tools.optimizer import AllocationProblem, Cap, CashLine, StrategyLine
from tools.plan_draft import CAP_MARGIN
from tools.protocol_risk import score_protocols
from tools.rate_impact import EarningCurve, earning_curve
from tools.stress import DEPEG_FALLS

MARGIN: Final = float(CAP_MARGIN)
MIN_SCENARIOS: Final = 20


@dataclass(frozen=True, slots=True)
class Profile:
    """How boldly one candidate uses the policy's limits."""

    risk_aversion: float
    turnover_scale: float = 1.0
    cap_scale: float = 1.0


@dataclass(frozen=True)
class Market:
    """All that candidates are computed from, with the derived facts that every one of them needs."""

    portfolio: Portfolio
    snapshot: MarketSnapshot
    history: MarketHistory
    forecasts: tuple[Forecast, ...]
    catalog: Catalog
    policy: Policy
    excluded: frozenset[str]

    @cached_property
    def shares(self) -> Mapping[tuple[str, str | None], float]:
        """Share of net asset value by (token, strategy); None is cash."""
        shares: dict[tuple[str, str | None], float] = {}
        for holding in _holdings(self, self.portfolio):
            key = (holding.token, holding.strategy)
            shares[key] = shares.get(key, 0.0) + float(holding.value_usd) / self.net_value_usd
        return shares

    @cached_property
    def net_value_usd(self) -> float:
        return float(sum(holding.value_usd for holding in _holdings(self, self.portfolio)))

    @cached_property
    def forecast_by_strategy(self) -> Mapping[str, Forecast]:
        return {forecast.strategy: forecast for forecast in self.forecasts}

    @cached_property
    def returns(self) -> ReturnMatrix:
        """Strategies, then tokens, in catalog order."""
        return daily_returns(
            self.history,
            self.catalog,
            strategy_ids=[strategy.id for strategy in self.catalog.strategies],
            tokens=[token.id for token in self.catalog.tokens],
        )

    @cached_property
    def distrusted(self) -> frozenset[str]:
        """Protocols whose score is below the policy's minimum."""
        scores = score_protocols(self.catalog, self.snapshot, self.history, incidents=frozenset())
        return frozenset(s.protocol for s in scores if s.score < self.policy.protocol.min_score_points)

    def share_of(self, strategy: Strategy) -> float:
        return self.shares.get((strategy.token, strategy.id), 0.0)

    def cash_share(self, token: str) -> float:
        return self.shares.get((token, None), 0.0)

    def units_per_share(self, token: str) -> float:
        """Base units of the token worth one whole net asset value; 0 when unpriced."""
        price = self.snapshot.price_usd(token)
        return self.net_value_usd / float(price) * 10.0 ** self.catalog.token(token).decimals if price else 0.0

    def may_enter(self, strategy: Strategy) -> bool:
        """Forecast, read, open, on its peg, trusted, not excluded and observed long enough to be judged."""
        rate = self.snapshot.rate(strategy.id)
        if rate is None or rate.is_paused or strategy.id not in self.forecast_by_strategy:
            return False
        if strategy.id in self.excluded or strategy.protocol in self.distrusted or not self.may_buy(strategy.token):
            return False
        return self.returns.known_days(strategy.id) >= self.policy.risk.min_sample_days_count

    def may_buy(self, token: str) -> bool:
        limit = self.policy.freshness.max_stable_deviation_bps
        is_priced = self.snapshot.price_usd(token) is not None
        return is_priced and not is_off_peg(token, self.snapshot, self.catalog, max_deviation_bps=limit)


def build_problem(
    market: Market, profile: Profile, *, targets: Mapping[str, EarningCurve] | None = None
) -> AllocationProblem:
    """`targets` replaces what strategies earn, for candidates that follow sizes instead of yields."""
    exposure = market.policy.exposure
    turnover = min(_number(exposure.max_run_turnover_share), _most_moved(market)) * profile.turnover_scale
    strategies = tuple(_strategy_line(market, strategy, targets or {}) for strategy in market.catalog.strategies)
    cash = tuple(_cash_line(market, token.id) for token in market.catalog.tokens)
    return AllocationProblem(
        strategies=strategies,
        cash=cash,
        reserve_token=market.catalog.reserve_token,
        min_reserve=_number(exposure.min_reserve_share, unlimited=0.0) / MARGIN,
        caps=tuple(_caps(market, profile)),
        max_turnover=turnover * MARGIN,
        max_swaps=_most_swapped(market) * MARGIN,
        horizon_days=market.policy.economics.horizon_days,
        risk_aversion=profile.risk_aversion,
        scenarios=_scenarios(market, strategies, cash),
        max_cvar=_number(market.policy.risk.max_cvar_95_share) * MARGIN,
    )


def exceeded_caps(market: Market, after: Portfolio) -> tuple[str, ...]:
    """Names of the policy's shares that a portfolio breaks, measured on its own value as the guards do."""
    shares = {(key.token, key.strategy): float(key.value_usd) for key in _holdings(market, after)}
    total = sum(shares.values())
    names = []
    for cap in _caps(market, Profile(risk_aversion=0.0)):
        members = {key for key in shares if (key[1] or "") in cap.strategies or (not key[1] and key[0] in cap.tokens)}
        if sum(shares[key] for key in members) > cap.limit / MARGIN * total:
            names.append(cap.name)
    least = _number(market.policy.exposure.min_reserve_share, unlimited=0.0)
    is_short = shares.get((market.catalog.reserve_token, None), 0.0) < least * total
    return (*names, "reserve") if is_short else tuple(names)


def _holdings(market: Market, portfolio: Portfolio) -> tuple[Holding, ...]:
    return value_holdings(portfolio, market.snapshot, market.catalog)


def _number(limit: Decimal | str, *, unlimited: float = np.inf) -> float:
    return float(limit) if isinstance(limit, Decimal) else unlimited


def _most_moved(market: Market) -> float:
    return _number(market.policy.budgets.max_transaction_value_usd) / market.net_value_usd


def _most_swapped(market: Market) -> float:
    """Every swap may lose the whole slippage allowance, which the day's budget must hold."""
    slippage = market.policy.slippage
    budget = _number(slippage.max_day_slippage_usd) / market.net_value_usd
    return budget * BPS_PER_ONE / slippage.max_trade_slippage_bps if slippage.max_trade_slippage_bps else np.inf


def _strategy_line(market: Market, strategy: Strategy, targets: Mapping[str, EarningCurve]) -> StrategyLine:
    current, units = market.share_of(strategy), market.units_per_share(strategy.token)
    forecast, rate = market.forecast_by_strategy.get(strategy.id), market.snapshot.rate(strategy.id)
    if forecast is None or rate is None or units <= 0:
        frozen = EarningCurve(sizes=np.array([0.0, current + 1.0]), earnings=np.zeros(2))
        return StrategyLine(strategy.id, strategy.token, current, max_buy=0.0, max_sell=0.0, earnings=frozen)
    room = _pool_room(market, strategy, rate_supplied=rate.supplied, rate_withdrawable=rate.withdrawable)
    max_buy = max(room - current, 0.0) if market.may_enter(strategy) else 0.0
    curve = targets.get(strategy.id) or earning_curve(
        rate, forecast.expected_apr, current=current, upper=current + max_buy, units_per_share=units
    )
    max_sell = min(leavable(strategy.id, market.portfolio, market.snapshot) / units, current)
    return StrategyLine(strategy.id, strategy.token, current, max_buy=max_buy, max_sell=max_sell, earnings=curve)


def _pool_room(market: Market, strategy: Strategy, *, rate_supplied: int, rate_withdrawable: int) -> float:
    """Largest share of our value that the pool's size and liquidity allow; at most everything."""
    exposure, units = market.policy.exposure, market.units_per_share(strategy.token)
    supplied = _number(exposure.max_pool_supplied_share) * rate_supplied / units
    withdrawable = _number(exposure.max_pool_withdrawable_share) * rate_withdrawable / units
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
    above_cap = max(held - _number(market.policy.exposure.max_token_share) * MARGIN, 0.0)
    return CashLine(
        token_id,
        current,
        max_buy=1.0 if is_stable and market.may_buy(token_id) else 0.0,
        max_sell=1.0 if is_stable else above_cap,
        cost=swap_cost_fraction(venue.fee_pips),
    )


def _caps(market: Market, profile: Profile) -> Iterator[Cap]:
    exposure, stress = market.policy.exposure, market.policy.stress
    strategies, tokens = market.catalog.strategies, market.catalog.tokens
    for strategy in strategies:
        yield _cap(market, profile, f"strategy:{strategy.id}", [strategy], [], _number(exposure.max_strategy_share))
    for protocol in sorted({strategy.protocol for strategy in strategies}):
        own = [s for s in strategies if s.protocol == protocol]
        resting = [s for s in strategies if s.protocol == protocol or protocol in s.factors]
        yield _cap(market, profile, f"protocol:{protocol}", own, [], _number(exposure.max_protocol_share))
        yield _cap(market, profile, f"stress:exploit-{protocol}", resting, [], _number(stress.max_exploit_loss_share))
    for kind, limit in _shared_factor_limits(exposure):
        for factor in sorted({factor for strategy in strategies for factor in getattr(strategy, kind)}):
            sharing = [s for s in strategies if factor in getattr(s, kind)]
            yield _cap(market, profile, f"{kind}:{factor}", sharing, [], limit)
    yield _cap(market, profile, f"chain:{market.catalog.chain_id}", strategies, [], _number(exposure.max_chain_share))
    for token in tokens:
        invested = [s for s in strategies if s.token == token.id]
        if token.id != market.catalog.reserve_token:
            limit = _number(exposure.max_token_share)
            yield _cap(market, profile, f"token:{token.id}", invested, [token.id], limit)
        if token.is_stable:
            limit = min(
                _number(getattr(stress, f"max_{family}_loss_share")) / fall for family, fall in DEPEG_FALLS.items()
            )
            yield _cap(market, profile, f"stress:depeg-{token.id}", invested, [token.id], limit)
    for issuer in sorted({token.issuer for token in tokens}):
        issued = [token.id for token in tokens if token.issuer == issuer]
        invested = [s for s in strategies if s.token in issued]
        yield _cap(market, profile, f"issuer:{issuer}", invested, issued, _number(exposure.max_issuer_share))


def _shared_factor_limits(exposure: ExposureLimits) -> tuple[tuple[str, float], ...]:
    """Fields of a strategy that name shared risks, each with the most of them together."""
    return (
        ("oracles", _number(exposure.max_oracle_share)),
        ("collateral", _number(exposure.max_collateral_share)),
        ("factors", _number(exposure.max_factor_share)),
    )


def _cap(
    market: Market, profile: Profile, name: str, strategies: Sequence[Strategy], tokens: Sequence[str], limit: float
) -> Cap:
    """A profile that scales caps down never forces a sale of what the policy itself allows."""
    current = sum(market.share_of(s) for s in strategies) + sum(market.cash_share(token) for token in tokens)
    allowed = limit * MARGIN
    return Cap(
        name=name,
        strategies=frozenset(strategy.id for strategy in strategies),
        tokens=frozenset(tokens),
        limit=max(allowed * profile.cap_scale, min(current, allowed)),
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
