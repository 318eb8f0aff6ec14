"""Which readings may enter a snapshot. Pure: what is impossible is rejected with its reason, nothing is repaired."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final, NamedTuple

from domain.errors import StaleOrDisputed
from domain.market import MarketSnapshot, PriceObservation, RateObservation

MIN_APR: Final = -1.0
MAX_APR: Final = 10.0
MIN_PRICE_USD: Final = Decimal("0.000000001")
MAX_PRICE_USD: Final = Decimal(10_000_000)
MAX_SHARE_PRICE: Final = Decimal(1_000_000)
MAX_CLOCK_LEAD_SECONDS: Final = 900


class Rejection(NamedTuple):
    """One reading that was left out, and why."""

    subject: str
    source: str
    reason: str


class Sifted(NamedTuple):
    snapshot: MarketSnapshot
    rejections: tuple[Rejection, ...]


def sift(snapshot: MarketSnapshot) -> Sifted:
    """The snapshot without impossible readings. Raises StaleOrDisputed when too little or nothing is left of it."""
    lead_seconds = (snapshot.block_time - snapshot.taken_at).total_seconds()
    if lead_seconds > MAX_CLOCK_LEAD_SECONDS:
        raise StaleOrDisputed(
            f"block {snapshot.block_number} is {lead_seconds:.0f} s ahead of our clock, "
            f"limit {MAX_CLOCK_LEAD_SECONDS} s"
        )
    rejections = (*_reject_prices(snapshot), *_reject_rates(snapshot))
    refused = {(rejection.subject, rejection.source) for rejection in rejections}
    prices = tuple(price for price in snapshot.prices if (price.token, price.source) not in refused)
    rates = tuple(rate for rate in snapshot.rates if (rate.strategy, rate.source) not in refused)
    if not prices or not rates:
        raise StaleOrDisputed(
            f"block {snapshot.block_number} left {len(prices)} usable prices and {len(rates)} usable rates"
        )
    # not model_copy: it would keep the lookups cached by price_usd() and rate()
    kept = MarketSnapshot.model_validate({**dict(snapshot), "prices": prices, "rates": rates})
    return Sifted(kept, rejections)


def _reject_prices(snapshot: MarketSnapshot) -> Iterable[Rejection]:
    for price in snapshot.prices:
        reason = _price_fault(price, snapshot)
        if reason:
            yield Rejection(price.token, price.source, reason)


def _reject_rates(snapshot: MarketSnapshot) -> Iterable[Rejection]:
    for rate in snapshot.rates:
        reason = _rate_fault(rate, snapshot)
        if reason:
            yield Rejection(rate.strategy, rate.source, reason)


def _price_fault(price: PriceObservation, snapshot: MarketSnapshot) -> str | None:
    if not MIN_PRICE_USD <= price.price_usd <= MAX_PRICE_USD:
        return f"price {price.price_usd} USD is outside {MIN_PRICE_USD}..{MAX_PRICE_USD}"
    if price.observed_at > snapshot.block_time:
        return f"observed at {price.observed_at.isoformat()}, after its block at {snapshot.block_time.isoformat()}"
    return None


def _rate_fault(rate: RateObservation, snapshot: MarketSnapshot) -> str | None:
    if rate.chain_id != snapshot.chain_id or rate.block_number != snapshot.block_number:
        return f"read on chain {rate.chain_id} at block {rate.block_number}, the snapshot is of {snapshot.block_number}"
    if not MIN_APR <= rate.supply_apr <= MAX_APR:
        return f"supply APR {rate.supply_apr} is outside {MIN_APR}..{MAX_APR}"
    if rate.share_price > MAX_SHARE_PRICE:
        return f"share price {rate.share_price} is above {MAX_SHARE_PRICE}"
    if rate.observed_at > snapshot.block_time:
        return f"observed at {rate.observed_at.isoformat()}, after its block at {snapshot.block_time.isoformat()}"
    return None
