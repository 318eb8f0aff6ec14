"""Sizes that share risk equally among stable strategies: a target that needs no forecast."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from domain.errors import StaleOrDisputed
from domain.market import Strategy
from tools.history import DAYS_PER_YEAR, FloatArray
from tools.market import Market, number
from tools.rate_impact import EarningCurve, tent
from tools.solvers.conditioning import covariance_of
from tools.solvers.risk_parity import hierarchical_risk_parity, risk_parity, with_least_deviation

MIN_DEVIATION: Final = 0.005 / DAYS_PER_YEAR**0.5
"""Half a percent a year: below it weights would follow noise."""
MIN_COMMON_DAYS: Final = 60


def balanced_targets(market: Market) -> dict[str, EarningCurve]:
    """Over stable strategies that may be entered; everything else stays as it is."""
    stable = [s for s in market.catalog.strategies if market.catalog.token(s.token).is_stable and market.may_enter(s)]
    shares = dict(zip((s.id for s in stable), map(float, _risk_shares(market, stable)), strict=True))
    staying = sum(market.share_of(s) for s in market.catalog.strategies if s.id not in shares)
    reserve = number(market.policy.exposure.min_reserve_share, unlimited=0.0)
    idle = sum(market.cash_share(token.id) for token in market.catalog.tokens if not token.is_stable)
    free = max(1.0 - staying - idle - reserve, 0.0)
    targets = {s.id: market.share_of(s) for s in market.catalog.strategies}
    targets |= {name: free * share for name, share in shares.items()}
    return {name: tent(target, 1.0) for name, target in targets.items()}


def _risk_shares(market: Market, stable: Sequence[Strategy]) -> FloatArray:
    """Equal contributions to the variance; by hierarchy where strategies offset each other to nothing."""
    if not stable:
        return np.empty(0)
    returns = np.column_stack([market.returns.column(s.id) for s in stable])
    covariance = with_least_deviation(_covariance(returns), MIN_DEVIATION)
    try:
        return risk_parity(covariance)
    except StaleOrDisputed:
        return hierarchical_risk_parity(covariance)


def _covariance(returns: FloatArray) -> FloatArray:
    """Of the days on which all are known; with too few of them each counts by itself, which is inverse volatility."""
    common = returns[~np.isnan(returns).any(axis=1)]
    if common.shape[0] >= MIN_COMMON_DAYS:
        return covariance_of(common)
    return np.diag(np.nanvar(returns, axis=0, ddof=1))
