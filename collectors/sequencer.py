"""Whether a rollup's sequencer is up and since when, from Chainlink's uptime feed; unreadable is unknown, never up."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Final

from collectors.answers import Question, ask
from domain import abi
from domain.market import Catalog, SequencerReading
from domain.ports import BlockHeader, ChainReads

UP: Final = 0
DOWN: Final = 1
"""Answers of the feed; https://docs.chain.link/data-feeds/l2-sequencer-feeds."""

logger = logging.getLogger(__name__)


def read_sequencer(reads: ChainReads, catalog: Catalog, header: BlockHeader) -> SequencerReading | None:
    """None where the catalog names no feed, or the feed has no round that makes sense. Raises ChainUnavailable."""
    feed = catalog.contracts.sequencer_feed
    if feed is None:
        return None
    question = Question(feed, abi.LATEST_ROUND_DATA)
    latest = ask(reads, [question], header).integers(question)
    reading = _parse(latest, header) if latest is not None else None
    if reading is None:
        logger.warning("sequencer_unreadable feed=%s block=%s answer=%s", feed, header.number, latest)
    return reading


def _parse(latest: tuple[int, ...], header: BlockHeader) -> SequencerReading | None:
    """`startedAt` is when the state last changed; 0 before the feed was first written, as on Arbitrum."""
    _, answer, started_at, _, _ = latest
    is_dated = 0 < started_at <= header.time.timestamp()
    if answer not in (UP, DOWN) or not is_dated:
        return None
    return SequencerReading(is_up=answer == UP, since=datetime.fromtimestamp(started_at, tz=UTC))
