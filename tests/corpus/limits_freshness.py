"""Freshness: prices, rates, snapshot and sequencer exactly as old as allowed, and a little older, or not known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from domain.market import MarketSnapshot, PriceObservation, SequencerReading
from domain.verdict import Evidence
from tests.builders import NOW
from tests.corpus.limits_judgement import ENTRY, judged_pair
from tests.corpus.samples import SUPPLY
from tests.corpus.scene import CATALOG, SNAPSHOT, make_evidence
from tests.corpus.specimen import Specimen, forbidden

FEED: Final = "0x" + "5e" * 20
UNVALUED: Final = (
    *("strategy_share", "protocol_share", "chain_share", "token_share", "issuer_share", "oracle_share"),
    *("collateral_share", "reserve_share", "run_turnover", "day_turnover", "day_loss", "week_loss"),
)
"""Of a book whose value is unknown, because one of its tokens has no price."""
UNMOVED: Final = ("stable_deviation", "transaction_value", "day_value", "week_value", "approval_threshold")
"""Of a batch whose own token has none."""


def _priced(token: str, **sources: tuple[str, int]) -> MarketSnapshot:
    """The snapshot with other prices of one token: price and age by source."""
    prices = tuple(
        PriceObservation(token=token, source=source, price_usd=Decimal(price), observed_at=NOW - timedelta(seconds=age))
        for source, (price, age) in sources.items()
    )
    others = tuple(price for price in SNAPSHOT.prices if price.token != token)
    return SNAPSHOT.model_copy(update={"prices": others + prices})


def _rated(**changes: object) -> dict[str, Any]:
    rates = tuple(r.model_copy(update=changes if r.strategy == "aave-usdc" else {}) for r in SNAPSHOT.rates)
    return {"snapshot": SNAPSHOT.model_copy(update={"rates": rates})}


def _ages() -> Iterator[Specimen]:
    fresh = {"uniswap": ("1", 60)}
    for name, words, at, over in (
        (
            "price_stale",
            "a price as old as its heartbeat and ten minutes allow",
            {"oracle": ("1", 87_000), **fresh},
            {"oracle": ("1", 87_001), **fresh},
        ),
        ("price_sources_too_few", "two price sources", {"oracle": ("1", 60), **fresh}, {"oracle": ("1", 60)}),
        (
            "price_disputed",
            "sources one percent apart",
            {"oracle": ("1", 60), "uniswap": ("0.990099009900990100", 60)},
            {"oracle": ("1", 60), "uniswap": ("0.990099009900990098", 60)},
        ),
        (
            "stable_deviation",
            "a stable token one percent off",
            {"oracle": ("0.99", 60), "uniswap": ("0.99", 60)},
            {"oracle": ("0.989999", 60), "uniswap": ("0.99", 60)},
        ),
        (
            "price_future",
            "a price fifteen seconds ahead of our clock",
            {"oracle": ("1", -15), **fresh},
            {"oracle": ("1", -16), **fresh},
        ),
    ):
        code = "price_stale" if name == "price_future" else name
        yield from judged_pair(
            "freshness",
            code,
            words,
            {"snapshot": _priced("usdc", **at)},
            {"snapshot": _priced("usdc", **over)},
            name=name,
        )
    seconds = timedelta(seconds=1)
    for code, words, early, late in (
        (
            "rate_stale",
            "a rate of fifteen minutes",
            _rated(observed_at=NOW - 900 * seconds),
            _rated(observed_at=NOW - 901 * seconds),
        ),
        ("snapshot_old", "a snapshot of fifteen minutes", _taken(NOW - 900 * seconds), _taken(NOW - 901 * seconds)),
    ):
        yield from judged_pair("freshness", code, words, early, late)


def _taken(moment: datetime) -> dict[str, object]:
    return {"snapshot": SNAPSHOT.model_copy(update={"taken_at": moment})}


def _heads() -> Iterator[Specimen]:
    """The simulation is made again at the head, so that only the snapshot lags."""

    def lagging(head: int) -> Evidence:
        evidence = make_evidence(ENTRY, head_block_number=head)
        report = evidence.simulation.model_copy(update={"block_number": head})
        return evidence.model_copy(update={"simulation": report})

    sentence = "Supplies 50,000 USDC thirty blocks after the snapshot"
    sample = replace(SUPPLY, id="judged-block-lag", sentence=sentence, family="freshness", evidence=lagging(130))
    yield sample
    for name, difference, head in (
        ("later", "one block later", 131),
        ("ahead", "the snapshot is ahead of the head", 99),
    ):
        yield forbidden(sample, name, difference, "block_lag", evidence=lagging(head), differs_in="evidence")


def _sequencer() -> Iterator[Specimen]:
    contracts = CATALOG.contracts.model_copy(update={"sequencer_feed": FEED})
    catalog = CATALOG.model_copy(update={"contracts": contracts})

    def read(reading: SequencerReading | None) -> dict[str, object]:
        return {"catalog": catalog, "snapshot": SNAPSHOT.model_copy(update={"sequencer": reading})}

    def up(seconds: int, *, is_up: bool = True) -> SequencerReading:
        return SequencerReading(is_up=is_up, since=NOW - timedelta(seconds=seconds))

    words = "a sequencer that has been up for an hour"
    yield from judged_pair(
        "freshness", "sequencer_down", words, read(up(3_600)), read(up(3_599)), name="sequencer_uptime"
    )
    words = "a sequencer that is up"
    down = read(up(9_000, is_up=False))
    yield from judged_pair("freshness", "sequencer_down", words, read(up(9_000)), down, name="sequencer_up")
    words = "a sequencer feed that was read"
    yield from judged_pair("freshness", "sequencer_down", words, read(up(9_001)), read(None), name="sequencer_read")


def _unknown() -> Iterator[Specimen]:
    """What needs no edge: a reserve that is paused, a token without a price."""
    paused = make_evidence(ENTRY, **_rated(is_paused=True))
    difference = "the reserve is paused"
    yield forbidden(
        SUPPLY, "paused", difference, "strategy_paused", evidence=paused, differs_in="evidence", family="freshness"
    )
    for token, more in (("usdc", UNMOVED), ("dai", ()), ("usdx", ()), ("weth", ("gas_cost", "day_gas"))):
        unknown = make_evidence(ENTRY, snapshot=_priced(token))
        codes = ("price_missing", "risk_missing", *UNVALUED, *more)
        difference = f"{token} has no price"
        name = f"{token}-unpriced"
        yield forbidden(SUPPLY, name, difference, *codes, evidence=unknown, differs_in="evidence", family="freshness")


def specimens() -> tuple[Specimen, ...]:
    return (*_ages(), *_heads(), *_sequencer(), *_unknown())
