"""The sequencer of a rollup: up, and for long enough; unread counts as down; exits do not wait for it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domain.market import Catalog, SequencerReading
from guards import check
from tests.builders import CONTRACTS, NOW, address, make_catalog, make_snapshot
from tests.builders_evidence import exit_moves, make_evidence, rows_of


def on_rollup(seen, moves=None):
    """Evidence of a chain whose catalog names a sequencer feed."""
    contracts = CONTRACTS.model_copy(update={"sequencer_feed": address(0x5EC)})
    catalog = Catalog.model_validate({**dict(make_catalog()), "contracts": contracts})
    return make_evidence(moves, catalog=catalog, snapshot=make_snapshot(catalog, sequencer=seen))


def reading(*, is_up=True, seconds):
    return SequencerReading(is_up=is_up, since=NOW - timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("seen", "failing"),
    [
        (reading(seconds=3_600), []),
        (reading(seconds=3_599), ["uptime"]),
        (reading(seconds=-16), ["uptime"]),
        (reading(is_up=False, seconds=10**6), ["sequencer", "uptime"]),
        (None, ["sequencer", "uptime"]),
    ],
)
def test_where_there_is_a_sequencer_it_must_be_up_and_have_been_for_an_hour(seen, failing):
    rows = [row for row in rows_of("freshness", on_rollup(seen)) if not row.passed]

    assert [(row.code, row.subject) for row in rows] == [("sequencer_down", subject) for subject in failing]


@pytest.mark.parametrize(
    ("seen", "state", "uptime"),
    [
        (reading(seconds=7_200), "up", "7200"),
        (reading(is_up=False, seconds=7_200), "down", "unknown"),
        (None, "unread", "unknown"),
    ],
)
def test_the_sequencer_s_rows_say_what_was_seen(seen, state, uptime):
    first, second = (row for row in rows_of("freshness", on_rollup(seen)) if row.code == "sequencer_down")

    assert (first.subject, first.observed, first.limit) == ("sequencer", state, "up")
    assert (second.subject, second.observed, second.limit, second.unit) == ("uptime", uptime, "3600", "seconds")


def test_an_uptime_within_the_clock_s_skew_is_no_uptime():
    rows = {row.subject: row for row in rows_of("freshness", on_rollup(reading(seconds=-15))) if not row.passed}

    assert rows["uptime"].observed == "0"


def test_a_chain_without_a_sequencer_has_no_such_row():
    rows = rows_of("freshness", make_evidence())

    assert "sequencer_down" not in {row.code for row in rows}


def test_an_exit_does_not_wait_for_the_sequencer():
    verdict = check(on_rollup(None, exit_moves()))

    assert verdict.is_pass
    assert {row.subject for row in verdict.findings if row.waived} >= {"sequencer", "uptime"}
