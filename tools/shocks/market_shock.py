"""A market shock as a vector: what each role of token loses, what gas costs, who is blocked, what protocols lose.

Historical episodes, parametric scenarios and the directions of a reverse stress are all values of this one type.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from domain.errors import StaleOrDisputed
from domain.market import Catalog, MarketSnapshot, PriceObservation, RateObservation, Strategy
from domain.portfolio import Portfolio, Position
from domain.risk_facts import STABLE_ROLES, RiskFacts, TokenRole
from domain.units import EXACT
from tools.stress import Line

NOTHING: Final[Mapping[str, float]] = MappingProxyType({})
LOWEST_PRICE_USD: Final = Decimal("1e-30")
"""A token that lost everything still needs a price, so that it counts as known and not as unpriced."""


@dataclass(frozen=True, slots=True)
class MarketShock:
    """Falls and losses are shares of one, 0 to 1; `gas_factor` multiplies the fee. Raises StaleOrDisputed otherwise.

    A role without a fall does not move. `lost_in` is by protocol: the share of every deposit there that is gone.
    """

    falls: Mapping[TokenRole, float]
    gas_factor: float = 1.0
    blocked: frozenset[TokenRole] = frozenset()
    """Roles whose lending pools are lent out to the last: nobody gets out."""
    lost_in: Mapping[str, float] = field(default_factory=lambda: NOTHING)

    def __post_init__(self) -> None:
        for name, share in (*self.falls.items(), *self.lost_in.items()):
            if not 0.0 <= share <= 1.0:
                raise StaleOrDisputed(f"shock of {name} must be a share of 0 to 1, got {share}")
        if not (math.isfinite(self.gas_factor) and self.gas_factor >= 0.0):
            raise StaleOrDisputed(f"gas factor of a shock must be finite and at least 0, got {self.gas_factor}")

    def scaled(self, size: float) -> MarketShock:
        """The same direction at `size` times the strength: 0 is today, 1 the shock itself; nothing falls below zero.

        Who is blocked is blocked at any strength above 0. Raises StaleOrDisputed for a negative or unknown size.
        """
        if not (math.isfinite(size) and size >= 0.0):
            raise StaleOrDisputed(f"size of a shock must be finite and at least 0, got {size}")
        return MarketShock(
            falls={role: min(fall * size, 1.0) for role, fall in self.falls.items()},
            gas_factor=max(1.0 + (self.gas_factor - 1.0) * size, 0.0),
            blocked=self.blocked if size > 0.0 else frozenset(),
            lost_in={protocol: min(lost * size, 1.0) for protocol, lost in self.lost_in.items()},
        )

    def fall_of(self, token: str, facts: RiskFacts, *, is_stable: bool) -> float:
        """Fall of one token. One without a role falls like the worst role of its kind, against ourselves."""
        role = facts.role_of(token)
        if role is not None:
            return self.falls.get(role, 0.0)
        return max((fall for known, fall in self.falls.items() if (known in STABLE_ROLES) == is_stable), default=0.0)

    def blocks(self, token: str, facts: RiskFacts, *, is_stable: bool) -> bool:
        """Whether a lending pool of this token lets nobody out; without a role, if any role of its kind is blocked."""
        role = facts.role_of(token)
        if role is not None:
            return role in self.blocked
        return any((known in STABLE_ROLES) == is_stable for known in self.blocked)


def loss_rate(line: Line, shock: MarketShock, facts: RiskFacts) -> float:
    """Share of its value that one line loses: what is left of the deposit at what is left of the price, 0 to 1."""
    fall = shock.fall_of(line.token, facts, is_stable=line.is_stable)
    return 1.0 - (1.0 - fall) * (1.0 - _lost_by(line.strategy, shock))


def shocked_snapshot(
    snapshot: MarketSnapshot, catalog: Catalog, facts: RiskFacts, shock: MarketShock
) -> MarketSnapshot:
    """The same block after the shock: every source's price, both fees, and blocked pools at full utilization.

    For guards, breakers and anything else that judges a snapshot. Prices stay above zero; times do not move.
    """
    changed: dict[str, object] = {
        "prices": tuple(_shocked_price(price, catalog, facts, shock) for price in snapshot.prices),
        "rates": tuple(_shocked_rate(rate, catalog, facts, shock) for rate in snapshot.rates),
        "base_fee_wei": math.ceil(snapshot.base_fee_wei * shock.gas_factor),
        "priority_fee_wei": math.ceil(snapshot.priority_fee_wei * shock.gas_factor),
    }
    return MarketSnapshot.model_validate({**dict(snapshot), **changed})  # a copy would keep the old prices' index


def shocked_portfolio(portfolio: Portfolio, catalog: Catalog, shock: MarketShock) -> Portfolio:
    """The same holdings after what protocols lost, rounded down."""
    if not shock.lost_in:
        return portfolio
    positions = tuple(
        Position(
            strategy=position.strategy,
            shares=position.shares,
            amount=_kept(position.amount, 1.0 - _lost_by(catalog.strategy(position.strategy), shock)),
        )
        for position in portfolio.positions
    )
    return portfolio.model_copy(update={"positions": positions})


def _kept(amount: int, share: float) -> int:
    return math.floor(EXACT.multiply(Decimal(amount), Decimal(share)))


def _lost_by(strategy: Strategy | None, shock: MarketShock) -> float:
    """A strategy loses with its own protocol and with every one that it names as a shared factor; cash with none."""
    names = (strategy.protocol, *strategy.factors) if strategy else ()
    return max((shock.lost_in.get(name, 0.0) for name in names), default=0.0)


def _shocked_price(price: PriceObservation, catalog: Catalog, facts: RiskFacts, shock: MarketShock) -> PriceObservation:
    fall = shock.fall_of(price.token, facts, is_stable=catalog.token(price.token).is_stable)
    left = max(price.price_usd * Decimal(repr(1.0 - fall)), LOWEST_PRICE_USD)
    return price.model_copy(update={"price_usd": left})


def _shocked_rate(rate: RateObservation, catalog: Catalog, facts: RiskFacts, shock: MarketShock) -> RateObservation:
    token = catalog.token(catalog.strategy(rate.strategy).token)
    if rate.borrowed is None or not shock.blocks(token.id, facts, is_stable=token.is_stable):
        return rate
    return rate.model_copy(update={"borrowed": rate.supplied, "withdrawable": 0})
