"""Freshness: prices, rates and the snapshot are recent, from enough sources, and the sources agree."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from domain.market import PriceObservation
from domain.oracle import MAX_CLOCK_SKEW_SECONDS, distance_from_peg_bps
from domain.units import BPS_PER_ONE, EXACT, divide_up
from guards.case import Case
from guards.finding import Row, Ruler
from guards.measures import actions, changes, entered_strategies, grown, swaps

RULER = Ruler("freshness")


def check_freshness(case: Case) -> tuple[Row, ...]:
    tokens = used_tokens(case)
    return (
        *_check_snapshot(case),
        *_check_sequencer(case),
        *(row for token in tokens for row in _check_prices(token, case)),
        *_check_stable_entries(case),
        *(row for strategy in entered_strategies(case) for row in _check_rate(strategy, case)),
    )


def used_tokens(case: Case) -> tuple[str, ...]:
    """Tokens held before or after, traded, or paying for gas, in catalog order."""
    catalog = case.evidence.catalog
    used = {change.token for change in changes(case) if change.before or change.after}
    used |= {action.token.id for action in actions(case)} | {swap.bought.id for swap in swaps(case)}
    used.add(catalog.native_token)
    return tuple(token.id for token in catalog.tokens if token.id in used)


def _check_snapshot(case: Case) -> Iterator[Row]:
    limits, snapshot = case.evidence.policy.freshness, case.evidence.snapshot
    older, newer = sorted((snapshot.taken_at, snapshot.block_time))  # a block may be old that was read just now
    age = None if age_seconds(newer, case) is None else age_seconds(older, case)
    yield RULER.at_most("snapshot_old", "snapshot", observed=age, limit=limits.max_snapshot_age_seconds, unit="seconds")
    lag = case.evidence.head_block_number - snapshot.block_number
    observed = lag if lag >= 0 else None  # a snapshot ahead of the head is from another chain or a dropped block
    yield RULER.at_most("block_lag", "snapshot", observed=observed, limit=limits.max_block_lag_blocks, unit="blocks")


def _check_sequencer(case: Case) -> Iterator[Row]:
    """Where a chain has one: after it was down, prices lag and others act first. A feed that was not read is down."""
    if case.evidence.catalog.contracts.sequencer_feed is None:
        return
    reading = case.evidence.snapshot.sequencer
    state = "unread" if reading is None else "up" if reading.is_up else "down"
    yield RULER.fact("sequencer_down", "sequencer", passed=state == "up", limit="up", observed=state)
    uptime = age_seconds(reading.since, case) if reading is not None and reading.is_up else None
    limit = case.evidence.policy.freshness.min_sequencer_uptime_seconds
    yield RULER.at_least("sequencer_down", "uptime", observed=uptime, limit=limit, unit="seconds")


def age_seconds(moment: datetime, case: Case) -> Decimal | None:
    """None (unknown) for a moment that lies in the future by more than clocks differ."""
    age = Decimal(str((case.evidence.now - moment).total_seconds()))
    return None if age < -MAX_CLOCK_SKEW_SECONDS else max(age, Decimal(0))


def _check_prices(token: str, case: Case) -> Iterator[Row]:
    limits, prices = case.evidence.policy.freshness, case.evidence.snapshot.prices_of(token)
    if not prices:
        yield RULER.fact("price_missing", token, passed=False, limit="a price", observed="none")
        return
    max_age = case.evidence.catalog.token(token).feed_heartbeat_seconds + limits.max_price_age_over_heartbeat_seconds
    for price in prices:
        subject = f"{token} {price.source}"
        age = age_seconds(price.observed_at, case)
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
    return divide_up(EXACT.multiply(EXACT.subtract(high, low), Decimal(BPS_PER_ONE)), low)


def _check_stable_entries(case: Case) -> Iterator[Row]:
    """Each source by itself: one broken price is enough to stay out."""
    entered = {change.token for change in grown(case)}
    stable = [token.id for token in case.evidence.catalog.tokens if token.is_stable and token.id in entered]
    limit = case.evidence.policy.freshness.max_stable_deviation_bps
    for token in stable:
        prices = case.evidence.snapshot.prices_of(token)
        off = [distance_from_peg_bps(price.price_usd) for price in prices]
        yield RULER.at_most("stable_deviation", token, observed=max(off, default=None), limit=limit, unit="bps")


def _check_rate(strategy: str, case: Case) -> Iterator[Row]:
    rate = case.evidence.snapshot.rate(strategy)
    age = age_seconds(rate.observed_at, case) if rate else None
    limit = case.evidence.policy.freshness.max_rate_age_seconds
    yield RULER.at_most("rate_stale", strategy, observed=age, limit=limit, unit="seconds")
    state = "unknown" if rate is None else "paused" if rate.is_paused else "open"
    yield RULER.fact("strategy_paused", strategy, passed=state == "open", limit="open", observed=state)
