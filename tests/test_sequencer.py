"""What an uptime feed's answer means: up or down since when, and unknown for everything else."""

from __future__ import annotations

from datetime import timedelta

import pytest

from collectors.answers import Question
from collectors.quality import sift
from collectors.sequencer import read_sequencer
from domain import abi
from domain.market import Catalog, SequencerReading
from tests.builders import CONTRACTS, NOW, address, make_catalog, make_snapshot
from tests.fakes_chain import FakeReads
from tests.test_collectors import make_reads, reader

FEED = address(0x5EC)
QUESTION = Question(FEED, abi.LATEST_ROUND_DATA)
ROLLUP = Catalog.model_validate(
    {**dict(make_catalog()), "contracts": CONTRACTS.model_copy(update={"sequencer_feed": FEED})}
)


def answering(answer: int, *, age_seconds: int = 7_200, updated_seconds_ago: int = 60) -> FakeReads:
    reads, now = FakeReads(), int(NOW.timestamp())
    reads.set(QUESTION, 1, answer, now - age_seconds, now - updated_seconds_ago, 1)
    return reads


def read(reads: FakeReads, catalog: Catalog = ROLLUP) -> SequencerReading | None:
    return read_sequencer(reads, catalog, reads.head)


@pytest.mark.parametrize(("answer", "is_up"), [(0, True), (1, False)])
def test_the_feed_says_up_or_down_since_its_round_started(answer: int, is_up: bool) -> None:
    reading = read(answering(answer))

    assert reading == SequencerReading(is_up=is_up, since=NOW - timedelta(hours=2))


@pytest.mark.parametrize("answer", [-1, 2, 350_000_000_000])
def test_any_other_answer_is_unknown(answer: int) -> None:
    assert read(answering(answer)) is None


@pytest.mark.parametrize(("age_seconds", "is_known"), [(0, True), (-1, False), (int(NOW.timestamp()), False)])
def test_a_round_of_the_future_or_one_never_started_is_unknown(age_seconds: int, is_known: bool) -> None:
    reading = read(answering(0, age_seconds=age_seconds))

    assert (reading is not None) == is_known


def test_a_feed_that_does_not_answer_is_unknown() -> None:
    assert read(FakeReads()) is None


def test_a_chain_without_a_feed_is_asked_nothing() -> None:
    assert read(answering(1), make_catalog()) is None


def test_the_reading_stands_in_the_snapshot_and_survives_sifting() -> None:
    down = SequencerReading(is_up=False, since=NOW)

    assert sift(make_snapshot(sequencer=down)).snapshot.sequencer == down
    assert reader(make_reads()).snapshot().sequencer is None


def test_a_snapshot_s_digest_covers_the_sequencer() -> None:
    up, down = (make_snapshot(sequencer=SequencerReading(is_up=is_up, since=NOW)) for is_up in (True, False))

    assert up.digest() != down.digest()
