"""What candidates are computed from: one market, one treasury, one policy, and the facts derived from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

import numpy as np

from domain.market import Catalog, Forecast, MarketHistory, MarketSnapshot, Strategy
from domain.policy import Policy
from domain.portfolio import Holding, Portfolio, value_holdings
from tools.access import is_off_peg
from tools.history import ReturnMatrix, daily_returns
from tools.protocol_risk import score_protocols


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
    def holdings(self) -> tuple[Holding, ...]:
        """Raises StaleOrDisputed when a held token has no price."""
        return value_holdings(self.portfolio, self.snapshot, self.catalog)

    @cached_property
    def shares(self) -> Mapping[tuple[str, str | None], float]:
        """Share of net asset value by (token, strategy); None is cash."""
        shares: dict[tuple[str, str | None], float] = {}
        for holding in self.holdings:
            key = (holding.token, holding.strategy)
            shares[key] = shares.get(key, 0.0) + float(holding.value_usd) / self.net_value_usd
        return shares

    @cached_property
    def net_value_usd(self) -> float:
        return float(sum(holding.value_usd for holding in self.holdings))

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


def number(limit: Decimal | str, *, unlimited: float = np.inf) -> float:
    """A limit as a float; the word `unlimited` as the bound that never binds."""
    return float(limit) if isinstance(limit, Decimal) else unlimited
