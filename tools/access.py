"""What the market lets us do now: how much can leave, whether a token is on its peg, where a pair trades."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from domain.market import Catalog, MarketSnapshot, Venue
from domain.oracle import ORACLE, distance_from_peg_bps, fresh_oracle_price
from domain.oracle import is_off_peg as is_price_off_peg
from domain.policy import Policy
from domain.portfolio import Portfolio
from domain.units import BPS_PER_ONE

PIPS_PER_BPS: Final = 100


def leavable(strategy_id: str, portfolio: Portfolio, snapshot: MarketSnapshot) -> int:
    """Base units of our position that the pool could pay now; an unread pool is tried in full, a paused one not."""
    rate, held = snapshot.rate(strategy_id), portfolio.position_of(strategy_id)
    if rate is None:
        return held
    return 0 if rate.is_paused else min(held, rate.withdrawable)


def is_off_peg(token_id: str, snapshot: MarketSnapshot, catalog: Catalog, *, max_deviation_bps: int) -> bool:
    """Whether a stable token's lowest price is further from one dollar than lets it be bought; False when unpriced."""
    price = snapshot.price_usd(token_id)
    if price is None or not catalog.token(token_id).is_stable:
        return False
    return distance_from_peg_bps(price) > max_deviation_bps


def broken_peg(token_id: str, snapshot: MarketSnapshot, catalog: Catalog, policy: Policy) -> Decimal | None:
    """The price that says that a stable token's peg is broken; None while it holds, or nobody can say.

    The oracle decides while it is fresh, the lowest other source only where it is not: anybody moves a pool.
    """
    token = catalog.token(token_id)
    price = fresh_oracle_price(token, snapshot, policy, now=snapshot.block_time)
    if price is None:
        others = (other.price_usd for other in snapshot.prices_of(token_id) if other.source != ORACLE)
        price = min(others, default=None)
    return price if price is not None and is_price_off_peg(token, price, policy) else None


def cheapest_venue(token_a: str, token_b: str, catalog: Catalog, *, max_fee_bps: int = BPS_PER_ONE) -> Venue | None:
    """The pair's venue with the lowest fee; None when even that exceeds max_fee_bps and so could not meet a floor."""
    usable = (v for v in catalog.venues_between(token_a, token_b) if v.fee_pips <= max_fee_bps * PIPS_PER_BPS)
    return min(usable, key=lambda venue: (venue.fee_pips, venue.id), default=None)
