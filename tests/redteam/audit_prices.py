"""Prices of one executed batch: known, fresh, agreed upon, on the peg; and the floor under an exit's swaps."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from domain.market import Catalog, Token, Venue
from domain.policy import Policy
from tests.redteam.audit_books import Book, worth
from tests.redteam.audit_calls import swaps_in
from tests.redteam.audit_chain import TRANSFER
from tests.redteam.audit_deals import BPS, SLACK, TRANSFER_TOPICS, Deal
from tests.redteam.findings import Rule, Violation

ROUNDING_USD = 1
"""Vaults round down, and so does the reading of what they hold."""


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


def broken_floors(deal: Deal, catalog: Catalog, policy: Policy) -> list[Violation]:
    """What an exit's swaps had to bring, by the feeds where these can be rested on, else by what the pool really paid.

    Held against it is only what both the prices that the run saw and those right before the batch say.
    """
    seen, before = (_breaches(deal, book, catalog, policy) for book in (deal.seen, deal.before))
    return (seen and before) if seen else []


def _breaches(deal: Deal, book: Book, catalog: Catalog, policy: Policy) -> list[Violation]:
    """Of each swap by the feeds, of the whole book by the feeds, and of each pool whose feeds are not healthy."""
    kept = Fraction(BPS - policy.slippage.emergency_floor_bps, BPS) * (1 - SLACK)
    feeds = {token.id: _healthy_feed(book, token, policy) for token in catalog.tokens}
    found, unhealthy, sold_usd = [], [], Fraction(0)
    for step in swaps_in(deal.steps):
        if step.venue is None or step.token_out is None:
            continue
        sold = worth(step.amount, feeds[step.token.id], step.token)
        promised = worth(step.minimum_out, feeds[step.token_out.id], step.token_out)
        if sold is None or promised is None:
            unhealthy.append((step.venue, step.token_out))
            continue
        sold_usd += sold
        if promised < sold * kept:
            found.append(_short(deal, f"minimum out worth {float(promised):.2f} USD", float(sold * kept)))
    if sold_usd and not unhealthy:
        found += _lost(deal, feeds, catalog, most=sold_usd * (1 - kept))
    return found + [row for venue, bought in dict.fromkeys(unhealthy) for row in _unpaid(deal, venue, bought, policy)]


def _healthy_feed(book: Book, token: Token, policy: Policy) -> Fraction | None:
    """Fresh, and on the peg that the policy lets a stable token leave before it is an event."""
    quote = book.quotes[token.id]
    oldest = token.feed_heartbeat_seconds + policy.freshness.max_price_age_over_heartbeat_seconds
    if quote.feed is None or book.time - quote.updated_at > oldest:
        return None
    off_bps = abs(quote.feed - 1) * BPS
    return None if token.is_stable and off_bps > policy.mitigation.max_peg_deviation_bps else quote.feed


def _lost(deal: Deal, feeds: dict[str, Fraction | None], catalog: Catalog, *, most: Fraction) -> Iterator[Violation]:
    """What the book as a whole lost by the feeds; a token whose feed is not healthy may not be part of the batch."""
    lost = Fraction(0)
    for line in deal.before.lines.keys() | deal.after.lines.keys():
        gone = deal.before.lines.get(line, 0) - deal.after.lines.get(line, 0)
        lost += worth(gone, feeds[line[0]], catalog.token(line[0])) or 0
    if lost > most + ROUNDING_USD:
        yield _short(deal, f"lost {float(lost):.2f} USD by the feeds", float(most))


def _unpaid(deal: Deal, venue: Venue, bought: Token, policy: Policy) -> Iterator[Violation]:
    """All minimum outs of one pool against what it really paid."""
    allowed_bps = policy.slippage.emergency_floor_bps + policy.simulation.max_delta_tolerance_bps
    minimums = sum(step.minimum_out for step in swaps_in(deal.steps) if step.venue == venue)
    floor = _paid(deal, pool=venue.pool, token=bought.address) * (BPS - allowed_bps) // BPS
    if minimums * (1 + SLACK) < floor:
        yield _short(deal, f"minimum out {minimums}", floor)


def _short(deal: Deal, observed: str, limit: float) -> Violation:
    return Violation(Rule.EMERGENCY_FLOOR, deal.sent.hash, observed, f"{limit:.6g}")


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
