"""Prices of one executed batch: known, fresh, agreed upon, on the peg; and the floor under an exit's swaps."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from domain.market import Catalog
from domain.policy import Policy
from tests.redteam.audit_calls import swaps_in
from tests.redteam.audit_chain import TRANSFER
from tests.redteam.audit_deals import BPS, SLACK, Deal
from tests.redteam.findings import Rule, Violation

TRANSFER_TOPICS = 3  # signature, from, to


def unusable_prices(deal: Deal, catalog: Catalog, policy: Policy) -> Iterator[Violation]:
    """Missing and disputed ones of every token held, traded or paying for gas; broken pegs of what was bought."""
    limits, subject = policy.freshness, deal.sent.hash
    apart = Fraction(limits.max_price_disagreement_bps, BPS) * (1 + SLACK)
    for token in sorted(_touched(deal, catalog)):
        quotes = [book.quotes[token] for book in (deal.seen, deal.before)]
        if all(quote.feed is None for quote in quotes):
            yield Violation(Rule.PRICE_MISSING, subject, f"{token} has no feed answer", "a price above 0")
        elif all(_apart(quote.prices()) > apart for quote in quotes):
            limit = f"{limits.max_price_disagreement_bps} bps"
            yield Violation(Rule.PRICE_DISPUTED, subject, f"feed and pool of {token} differ", limit)
    for token in sorted({token for token, _ in deal.grown(policy) if catalog.token(token).is_stable}):
        off_bps = min(_off_the_peg(book.quotes[token].prices()) for book in (deal.seen, deal.before))
        if off_bps > limits.max_stable_deviation_bps * (1 + SLACK):
            limit = f"{limits.max_stable_deviation_bps} bps"
            yield Violation(Rule.STABLE_DEVIATION, subject, f"{token} is {float(off_bps):.1f} bps off", limit)


def stale_prices(deal: Deal, catalog: Catalog, policy: Policy) -> Iterator[Violation]:
    """By the newest answer before the batch: the product may have decided on an older one, never on a younger."""
    for token in sorted(_touched(deal, catalog)):
        allowed = catalog.token(token).feed_heartbeat_seconds + policy.freshness.max_price_age_over_heartbeat_seconds
        age = deal.before.time - deal.before.quotes[token].updated_at
        if age > allowed:
            yield Violation(Rule.PRICE_STALE, deal.sent.hash, f"feed of {token} is {age} s old", f"{allowed} s")


def broken_floors(deal: Deal, policy: Policy) -> list[Violation]:
    """An exit's minimum outs, per pool together, against what the pool really paid; the oracle does not count."""
    allowed_bps = policy.slippage.emergency_floor_bps + policy.simulation.max_delta_tolerance_bps
    found = []
    for venue, token_out in dict.fromkeys((step.venue, step.token_out) for step in swaps_in(deal.steps)):
        if venue is None or token_out is None:
            continue
        minimums = sum(step.minimum_out for step in swaps_in(deal.steps) if step.venue == venue)
        floor = _paid(deal, pool=venue.pool, token=token_out.address) * (BPS - allowed_bps) // BPS
        if minimums * (1 + SLACK) < floor:
            found.append(Violation(Rule.EMERGENCY_FLOOR, deal.sent.hash, f"minimum out {minimums}", f"{floor}"))
    return found


def _paid(deal: Deal, *, pool: str, token: str) -> int:
    logs = (log for log in deal.sent.logs if log.address == token and len(log.topics) == TRANSFER_TOPICS)
    return sum(log.amount for log in logs if log.topics[0] == TRANSFER and log.party(1) == pool)


def _touched(deal: Deal, catalog: Catalog) -> set[str]:
    held = {token for book in (deal.before, deal.after) for (token, _), amount in book.lines.items() if amount}
    return held | {step.token.id for step in deal.steps} | {catalog.native_token}


def _apart(prices: list[Fraction]) -> Fraction:
    return max(prices) / min(prices) - 1 if prices else Fraction(0)


def _off_the_peg(prices: list[Fraction]) -> Fraction:
    return max((abs(price - 1) * BPS for price in prices), default=Fraction(BPS))
