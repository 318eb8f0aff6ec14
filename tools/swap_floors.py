"""The least that a swap may pay: from the oracle in normal times, from the quote for exits that cannot wait."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta
from fractions import Fraction
from typing import Final

from domain.errors import Infeasible, InvariantBroken, StaleOrDisputed
from domain.market import Catalog, MarketSnapshot, PriceObservation
from domain.plan import Move
from domain.policy import FreshnessLimits, Policy
from domain.units import BPS_PER_ONE

ORACLE: Final = "oracle"


def minimum_out(
    move: Move, quote: int | None, *, snapshot: MarketSnapshot, catalog: Catalog, policy: Policy, is_exit: bool
) -> int:
    """Base units of token_out that the swap must pay at least, above 0.

    Normally the oracle's floor: Infeasible when the quote is below it, StaleOrDisputed without a healthy oracle.
    An exit takes the better of that and the emergency floor below the quote, or the latter alone.
    """
    if quote is None:
        raise InvariantBroken(f"swap of {move.amount_in} {move.token_in} on venue {move.venue} has no quote")
    floor = oracle_floor(move, snapshot=snapshot, catalog=catalog, policy=policy)
    least = _exit_minimum(quote, floor, policy) if is_exit else _normal_minimum(move, quote, floor, policy)
    if least <= 0:
        raise Infeasible(f"venue {move.venue} quotes {quote} {move.token_out} for {move.amount_in} {move.token_in}")
    return least


def oracle_floor(move: Move, *, snapshot: MarketSnapshot, catalog: Catalog, policy: Policy) -> int | None:
    """fair_floor, or None where a price is missing, stale or disputed and so may not set a minimum."""
    tokens = (move.token_in, move.token_out)
    if not all(_is_healthy(token, snapshot, catalog, policy.freshness) for token in tokens):
        return None
    return fair_floor(move, snapshot=snapshot, catalog=catalog, policy=policy)


def fair_floor(move: Move, *, snapshot: MarketSnapshot, catalog: Catalog, policy: Policy) -> int:
    """Oracle value of what is sold less the allowed slippage, in base units of token_out, rounded up."""
    fair = fair_amount(
        move.amount_in, token_in=move.token_in, token_out=move.token_out, snapshot=snapshot, catalog=catalog
    )
    return math.ceil(fair * (BPS_PER_ONE - policy.slippage.max_trade_slippage_bps) / BPS_PER_ONE)


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


def _normal_minimum(move: Move, quote: int, floor: int | None, policy: Policy) -> int:
    if floor is None:
        raise StaleOrDisputed(f"oracle of {move.token_in} or {move.token_out} cannot set a floor for {move.venue}")
    if quote < floor:
        limit = policy.slippage.max_trade_slippage_bps
        raise Infeasible(
            f"venue {move.venue} quotes {quote} {move.token_out}, below the floor {floor} of {limit} bps slippage"
        )
    return floor


def _exit_minimum(quote: int, floor: int | None, policy: Policy) -> int:
    emergency = -(-quote * (BPS_PER_ONE - policy.slippage.emergency_floor_bps) // BPS_PER_ONE)
    return max(floor, emergency) if floor is not None and quote >= floor else emergency
