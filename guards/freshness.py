"""Freshness: prices, rates and the snapshot are recent, from enough sources, and the sources agree."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Final

from domain.market import PriceObservation
from domain.units import BPS_PER_ONE, EXACT, divide
from domain.verdict import Evidence, Finding
from guards.actions import read_actions
from guards.finding import Ruler
from guards.measures import changes, entered_strategies, has_grown

RULER = Ruler("freshness")
MAX_CLOCK_SKEW_SECONDS: Final = 15
"""Block times may run slightly ahead of our clock; anything dated later is wrong, not fresh."""


def check_freshness(evidence: Evidence) -> tuple[Finding, ...]:
    tokens = used_tokens(evidence)
    return (
        *_check_snapshot(evidence),
        *(row for token in tokens for row in _check_prices(token, evidence)),
        *_check_stable_entries(evidence),
        *(row for strategy in entered_strategies(evidence) for row in _check_rate(strategy, evidence)),
    )


def used_tokens(evidence: Evidence) -> tuple[str, ...]:
    """Tokens held before or after, traded, or paying for gas, in catalog order."""
    used = {change.token for change in changes(evidence) if change.before or change.after}
    for action in read_actions(evidence.batch, evidence.catalog):
        used |= {action.token.id} | ({action.token_out.id} if action.token_out else set())
    used.add(evidence.catalog.native_token)
    return tuple(token.id for token in evidence.catalog.tokens if token.id in used)


def _check_snapshot(evidence: Evidence) -> Iterator[Finding]:
    limits, snapshot = evidence.policy.freshness, evidence.snapshot
    age = age_seconds(snapshot.taken_at, evidence)
    yield RULER.at_most("snapshot_old", "snapshot", observed=age, limit=limits.max_snapshot_age_seconds, unit="seconds")
    lag = evidence.head_block_number - snapshot.block_number
    observed = lag if lag >= 0 else None  # a snapshot ahead of the head is from another chain or a dropped block
    yield RULER.at_most("block_lag", "snapshot", observed=observed, limit=limits.max_block_lag_blocks, unit="blocks")


def age_seconds(moment: datetime, evidence: Evidence) -> Decimal | None:
    """None (unknown) for a moment that lies in the future by more than clocks differ."""
    age = Decimal(str((evidence.now - moment).total_seconds()))
    return None if age < -MAX_CLOCK_SKEW_SECONDS else max(age, Decimal(0))


def _check_prices(token: str, evidence: Evidence) -> Iterator[Finding]:
    limits, prices = evidence.policy.freshness, evidence.snapshot.prices_of(token)
    if not prices:
        yield RULER.fact("price_missing", token, passed=False, limit="a price", observed="none")
        return
    max_age = evidence.catalog.token(token).feed_heartbeat_seconds + limits.max_price_age_over_heartbeat_seconds
    for price in prices:
        subject = f"{token} {price.source}"
        age = age_seconds(price.observed_at, evidence)
        yield RULER.at_most("price_stale", subject, observed=age, limit=max_age, unit="seconds")
    sources = len({price.source for price in prices})
    yield RULER.at_least(
        "price_sources_too_few", token, observed=sources, limit=limits.min_price_sources_count, unit="sources"
    )
    spread = _spread_bps(prices)
    yield RULER.at_most("price_disputed", token, observed=spread, limit=limits.max_price_disagreement_bps, unit="bps")


def _spread_bps(prices: tuple[PriceObservation, ...]) -> Decimal:
    """Highest over lowest source."""
    low, high = min(price.price_usd for price in prices), max(price.price_usd for price in prices)
    return EXACT.multiply(divide(EXACT.subtract(high, low), low), Decimal(BPS_PER_ONE))


def _check_stable_entries(evidence: Evidence) -> Iterator[Finding]:
    """Each source by itself: one broken price is enough to stay out."""
    grown = {change.token for change in changes(evidence) if has_grown(change, evidence)}
    stable = [token.id for token in evidence.catalog.tokens if token.is_stable and token.id in grown]
    for token in stable:
        prices = evidence.snapshot.prices_of(token)
        off = [abs(EXACT.subtract(price.price_usd, Decimal(1))) * BPS_PER_ONE for price in prices]
        yield RULER.at_most(
            "stable_deviation",
            token,
            observed=max(off, default=None),
            limit=evidence.policy.freshness.max_stable_deviation_bps,
            unit="bps",
        )


def _check_rate(strategy: str, evidence: Evidence) -> Iterator[Finding]:
    rate = evidence.snapshot.rate(strategy)
    age = age_seconds(rate.observed_at, evidence) if rate else None
    limit = evidence.policy.freshness.max_rate_age_seconds
    yield RULER.at_most("rate_stale", strategy, observed=age, limit=limit, unit="seconds")
    state = "unknown" if rate is None else "paused" if rate.is_paused else "open"
    yield RULER.fact("strategy_paused", strategy, passed=state == "open", limit="open", observed=state)
