"""The least that a swap may pay: from the oracle, and from the quote for exits whose oracle cannot be rested on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta
from fractions import Fraction

from domain.errors import Infeasible, InvariantBroken, StaleOrDisputed
from domain.market import Catalog, MarketSnapshot, PriceObservation
from domain.oracle import ORACLE, healthy_oracle_price
from domain.plan import Move
from domain.policy import FreshnessLimits, Policy
from domain.units import BPS_PER_ONE


def minimum_out(move: Move, quote: int | None, *, snapshot: MarketSnapshot, catalog: Catalog, policy: Policy) -> int:
    """Base units of token_out that a trade must bring at least, above 0: the oracle's floor.

    Infeasible when the quote is below it, StaleOrDisputed without an oracle that every source agrees with.
    """
    quoted = _known(move, quote)
    floor = oracle_floor(move, snapshot=snapshot, catalog=catalog, policy=policy)
    if floor is None:
        raise StaleOrDisputed(f"oracle of {move.token_in} or {move.token_out} cannot set a floor for {move.venue}")
    if quoted < max(floor, 1):
        limit = policy.slippage.max_trade_slippage_bps
        raise Infeasible(
            f"venue {move.venue} quotes {quoted} {move.token_out}, below the floor {floor} of {limit} bps slippage"
        )
    return floor


def exit_minimum_out(
    move: Move, quote: int | None, *, snapshot: MarketSnapshot, catalog: Catalog, policy: Policy
) -> int | None:
    """The same for a way out; None where the pool pays nothing, or too little beside two healthy oracles.

    Of the quote less the emergency floor and of the oracle's floors that the quote reaches, the highest.
    """
    quoted = _known(move, quote)
    reached = [_kept(Fraction(quoted), policy.slippage.emergency_floor_bps)]
    if _has_healthy_oracles(move, snapshot, catalog, policy):
        fair = _fair(move, snapshot, catalog)
        limits = (policy.slippage.emergency_floor_bps, policy.slippage.max_trade_slippage_bps)
        floors = [_kept(fair, limit) for limit in limits]
        if quoted < floors[0]:
            return None
        reached += [floor for floor in floors if floor <= quoted]
    return max(reached) or None


def _known(move: Move, quote: int | None) -> int:
    if quote is None:
        raise InvariantBroken(f"swap of {move.amount_in} {move.token_in} on venue {move.venue} has no quote")
    return quote


def _kept(amount: Fraction, bps: int) -> int:
    """Less so many basis points, rounded up."""
    return math.ceil(amount * (BPS_PER_ONE - bps) / BPS_PER_ONE)


def _has_healthy_oracles(move: Move, snapshot: MarketSnapshot, catalog: Catalog, policy: Policy) -> bool:
    tokens = (catalog.token(token) for token in (move.token_in, move.token_out))
    prices = (healthy_oracle_price(token, snapshot, policy, now=snapshot.block_time) for token in tokens)
    return all(price is not None for price in prices)


def oracle_floor(move: Move, *, snapshot: MarketSnapshot, catalog: Catalog, policy: Policy) -> int | None:
    """fair_floor, or None where a price is missing, stale or disputed and so may not set a minimum."""
    tokens = (move.token_in, move.token_out)
    if not all(_is_healthy(token, snapshot, catalog, policy.freshness) for token in tokens):
        return None
    return fair_floor(move, snapshot=snapshot, catalog=catalog, policy=policy)


def fair_floor(move: Move, *, snapshot: MarketSnapshot, catalog: Catalog, policy: Policy) -> int:
    """Oracle value of what is sold less the allowed slippage, in base units of token_out, rounded up."""
    return _kept(_fair(move, snapshot, catalog), policy.slippage.max_trade_slippage_bps)


def _fair(move: Move, snapshot: MarketSnapshot, catalog: Catalog) -> Fraction:
    return fair_amount(
        move.amount_in, token_in=move.token_in, token_out=move.token_out, snapshot=snapshot, catalog=catalog
    )


def fair_amount(
    amount_in: int, *, token_in: str, token_out: str, snapshot: MarketSnapshot, catalog: Catalog
) -> Fraction:
    """Exact base units of token_out worth amount_in at oracle prices. Raises StaleOrDisputed without a price."""
    scale = catalog.token(token_out).decimals - catalog.token(token_in).decimals
    ratio = oracle_price(token_in, snapshot) / oracle_price(token_out, snapshot)
    return amount_in * ratio * Fraction(10) ** scale


def oracle_price(token: str, snapshot: MarketSnapshot) -> Fraction:
    prices = snapshot.prices_of(token)
    if not prices:
        raise StaleOrDisputed(f"token {token} has no price at block {snapshot.block_number}")
    return Fraction(next((price.price_usd for price in prices if price.source == ORACLE), prices[0].price_usd))


def _is_healthy(token: str, snapshot: MarketSnapshot, catalog: Catalog, limits: FreshnessLimits) -> bool:
    """Priced by the oracle and by enough sources, fresh, and agreeing within the policy's disagreement."""
    prices = snapshot.prices_of(token)
    if len(prices) < limits.min_price_sources_count or all(price.source != ORACLE for price in prices):
        return False
    heartbeat = catalog.token(token).feed_heartbeat_seconds
    oldest = timedelta(seconds=heartbeat + limits.max_price_age_over_heartbeat_seconds)
    return _agree(prices, limits) and all(snapshot.block_time - price.observed_at <= oldest for price in prices)


def _agree(prices: Sequence[PriceObservation], limits: FreshnessLimits) -> bool:
    low, high = (select(Fraction(price.price_usd) for price in prices) for select in (min, max))
    return (high - low) * BPS_PER_ONE <= limits.max_price_disagreement_bps * low
