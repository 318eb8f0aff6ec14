"""How far each kind of token may fall before a breaker trips: a reverse stress judged by the breakers themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from domain.breakers import BreakerReadings
from domain.errors import StaleOrDisputed
from domain.market import Catalog, MarketSnapshot
from domain.policy import Policy
from domain.portfolio import Portfolio, net_asset_value_usd
from domain.risk_facts import RiskFacts
from guards.breakers import judge_breakers
from tools.shocks.market_shock import MarketShock, shocked_portfolio, shocked_snapshot
from tools.shocks.reverse_stress import TOTAL_LOSSES, Breaking, smallest_breaking

DRAWDOWN: Final = "_drawdown"
"""Ends the codes of the breakers that look at value."""
HEIGHTS: Final = ("day_high_usd", "week_high_usd", "peak_usd")
STEPS: Final = 20
TOLERANCE: Final = 1e-4


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands now: the book, the market it is valued at, and the heights that breakers measure falls from."""

    portfolio: Portfolio
    snapshot: MarketSnapshot
    catalog: Catalog
    facts: RiskFacts
    policy: Policy
    readings: BreakerReadings

    def value_usd(self, shock: MarketShock) -> Decimal:
        """Raises StaleOrDisputed when a held token has no price."""
        portfolio = shocked_portfolio(self.portfolio, self.catalog, shock)
        snapshot = shocked_snapshot(self.snapshot, self.catalog, self.facts, shock)
        return net_asset_value_usd(portfolio, snapshot, self.catalog)

    def measure(self) -> Callable[[MarketShock], frozenset[str]]:
        """Codes of the drawdown breakers that would trip, had a shock come now. Raises StaleOrDisputed like value_usd,
        and where the valuation cannot be read."""
        seen = self.readings.valuation
        if seen is None:
            raise StaleOrDisputed("the valuation cannot be read: nobody knows what a fall would be measured from")
        today = self.value_usd(MarketShock({}))
        heights = {name: max(getattr(seen, name), today) for name in HEIGHTS}  # today's value may not be observed yet

        def trips(shock: MarketShock) -> frozenset[str]:
            valuation = seen.model_copy(update={"net_asset_value_usd": self.value_usd(shock), **heights})
            found = judge_breakers(self.readings.model_copy(update={"valuation": valuation}), self.policy)
            return frozenset(trip.code for trip in found if trip.code.endswith(DRAWDOWN))

        return trips


def find_what_breaks(standing: Standing) -> dict[str, Breaking[str]]:
    """The smallest fall per direction of TOTAL_LOSSES that trips a drawdown breaker; untouched directions left out.

    To 0.01 percentage points: value falls with every fall, so that what is tripped stays tripped. Empty for a book
    without value. Raises StaleOrDisputed when a held token has no price, or the valuation cannot be read.
    """
    trips, today = standing.measure(), standing.value_usd(MarketShock({}))
    return {
        name: _smallest(direction, trips)
        for name, direction in TOTAL_LOSSES.items()
        if standing.value_usd(direction) < today
    }


def _smallest(direction: MarketShock, trips: Callable[[MarketShock], frozenset[str]]) -> Breaking[str]:
    return smallest_breaking(lambda size: trips(direction.scaled(size)), steps=STEPS, tolerance=TOLERANCE)
