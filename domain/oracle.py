"""The oracle: the price that no trade of anybody's moves, and when a way out may rest on it."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final

from domain.market import MarketSnapshot, PriceObservation, Token
from domain.policy import Policy
from domain.units import BPS_PER_ONE, EXACT

ORACLE: Final = "oracle"
MAX_CLOCK_SKEW_SECONDS: Final = 15
"""Block times may run slightly ahead of our clock; anything dated later is wrong, not fresh."""


def oracle_reading(token_id: str, snapshot: MarketSnapshot) -> PriceObservation | None:
    """The first reading of the source named `oracle`."""
    return next((price for price in snapshot.prices_of(token_id) if price.source == ORACLE), None)


def fresh_oracle_price(token: Token, snapshot: MarketSnapshot, policy: Policy, *, now: datetime) -> Decimal | None:
    """By the same age as any price; None where it is missing, older, or from the future."""
    reading = oracle_reading(token.id, snapshot)
    if reading is None:
        return None
    oldest = token.feed_heartbeat_seconds + policy.freshness.max_price_age_over_heartbeat_seconds
    age = (now - reading.observed_at).total_seconds()
    return reading.price_usd if -MAX_CLOCK_SKEW_SECONDS <= age <= oldest else None


def healthy_oracle_price(token: Token, snapshot: MarketSnapshot, policy: Policy, *, now: datetime) -> Decimal | None:
    """Fresh and, for a stable token, on its peg. What another source says does not count: a pool can be moved."""
    price = fresh_oracle_price(token, snapshot, policy, now=now)
    return None if price is None or is_off_peg(token, price, policy) else price


def is_off_peg(token: Token, price_usd: Decimal, policy: Policy) -> bool:
    """Whether a stable token at this price is further from one dollar than lets a holding stay."""
    return token.is_stable and distance_from_peg_bps(price_usd) > policy.mitigation.max_peg_deviation_bps


def distance_from_peg_bps(price_usd: Decimal) -> Decimal:
    return EXACT.multiply(EXACT.subtract(price_usd, Decimal(1)).copy_abs(), Decimal(BPS_PER_ONE))
