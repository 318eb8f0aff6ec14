"""The chain against the books: what they do not know halts trading until somebody has looked."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta

import pytest

from app.chain_books import ChainBooks, unused
from app.stores import make_stores
from domain.chain_use import BEHIND, trips_behind
from domain.errors import ChainUnavailable
from domain.verdict import TradingState
from memory.chain_base import BASE_KIND
from memory.database import open_database
from tests.builders import NOW, make_catalog
from tests.fakes_chain import FixedClock
from tests.test_execution_journal import make_intent, make_receipt, make_signed

CATALOG = make_catalog()
NOTHING = unused(CATALOG)
FIRST, SECOND = "a" * 64, "b" * 64


class Watched:
    """Books beside a chain whose counts the test sets."""

    def __init__(self, folder, *, mode="paper"):
        self.database = open_database(f"sqlite:///{folder / 'autofi.db'}")
        self.stores = make_stores(self.database)
        self.seen = NOTHING
        self.books = ChainBooks(self.stores, lambda: self.seen, FixedClock(), mode)
        self.stores.trading_state.start(TradingState.ACTIVE, by="init", reason="first start", at=NOW)

    def record_base(self, **counts):
        return self.stores.chain_bases.record(used(**counts), by="init", reason="first start", at=NOW)

    def sign(self, digest, *, nonce):
        journal = self.stores.execution
        journal.plan(make_intent(digest))
        journal.assign_nonce(digest, nonce=nonce)
        journal.store_signed(digest, make_signed(digest[:2]))

    def settle(self, digest, *, succeeded=True):
        transaction_hash = make_signed(digest[:2]).transaction_hash
        receipt = make_receipt(digest, transaction_hash=transaction_hash, succeeded=succeeded)
        self.stores.execution.store_receipt(receipt)

    def known(self):
        found = self.stores.chain_bases.known(NOTHING)
        return found.operator_count, found.safe_count

    def state(self):
        self.books.halt_if_behind()
        return self.stores.trading_state.read()


def used(*, operator=0, safe=0):
    return NOTHING.model_copy(update={"operator_count": operator, "safe_count": safe})


@pytest.fixture
def watched(tmp_path):
    watched = Watched(tmp_path)
    with closing(watched.database):
        yield watched


@pytest.mark.parametrize(("operator", "safe"), [(3, 2), (2, 2), (3, 1), (0, 0)])
def test_a_chain_that_shows_no_more_than_the_books_know_trips_nothing(operator, safe):
    assert trips_behind(used(operator=operator, safe=safe), used(operator=3, safe=2)) == ()


@pytest.mark.parametrize(
    ("seen", "subject", "observed", "limit"),
    [
        (used(operator=4, safe=2), f"operator {CATALOG.operator}", "4", "3"),
        (used(operator=3, safe=3), f"Safe {CATALOG.account}", "3", "2"),
    ],
)
def test_a_chain_ahead_by_one_names_both_numbers(seen, subject, observed, limit):
    (trip,) = trips_behind(seen, used(operator=3, safe=2))

    assert (trip.code, trip.state) == (BEHIND, TradingState.HALTED)
    assert (trip.subject, trip.observed, trip.limit) == (subject, observed, limit)


@pytest.mark.parametrize(("seen", "known"), [(9, None), (None, 0)])
def test_a_safe_that_nobody_counted_is_not_compared(seen, known):
    assert trips_behind(used(safe=seen), used(safe=known)) == ()


def test_books_without_a_base_know_what_they_sent_and_nothing_of_the_safe(watched):
    assert watched.known() == (0, None)

    watched.sign(FIRST, nonce=6)

    assert watched.known() == (7, None)


def test_a_base_counts_until_more_was_sent(watched):
    watched.record_base(operator=5, safe=2)
    assert watched.known() == (5, 2)

    watched.sign(FIRST, nonce=5)
    in_flight = watched.known()
    watched.settle(FIRST)

    assert in_flight == watched.known() == (6, 3)


def test_a_transaction_that_failed_did_not_count_at_the_safe(watched):
    watched.record_base(operator=5, safe=2)
    watched.sign(FIRST, nonce=5)

    watched.settle(FIRST, succeeded=False)

    assert watched.known() == (6, 2)


def test_what_was_settled_before_the_base_is_in_it(watched):
    watched.sign(FIRST, nonce=0)
    watched.settle(FIRST)
    watched.record_base(operator=1, safe=1)
    watched.sign(SECOND, nonce=1)

    assert watched.known() == (2, 2)


def test_the_newest_base_of_the_same_account_counts(watched):
    watched.record_base(operator=5, safe=2)
    watched.record_base(operator=8, safe=4)
    other = NOTHING.model_copy(update={"operator": "0x" + "99" * 20, "operator_count": 99})
    watched.stores.chain_bases.record(other, by="init", reason="another operator", at=NOW)

    assert watched.known() == (8, 4)


def test_a_chain_ahead_of_its_books_halts_and_says_so(watched):
    watched.record_base(operator=1, safe=1)
    assert watched.state() is TradingState.ACTIVE
    watched.seen = used(operator=3, safe=2)

    state = watched.state()

    (change,) = watched.stores.trading_state.history()[1:]
    assert state is change.state is TradingState.HALTED
    assert {trip.code for trip in change.trips} == {BEHIND}
    assert "books_behind_chain of operator" in change.reason
    assert "3 transactions, limit 1" in change.reason
    assert "the chain shows 2 transactions of Safe" in watched.books.problem()


def test_a_resume_does_not_outlive_books_that_are_behind(watched):
    watched.seen = used(operator=1)
    watched.state()

    watched.stores.trading_state.write(TradingState.ACTIVE, by="alice", reason="go on", at=NOW + timedelta(hours=1))

    assert watched.state() is TradingState.HALTED


def test_accepting_is_journaled_keeps_the_halt_and_lets_a_resume_last(watched):
    watched.seen = used(operator=3, safe=2)
    watched.state()

    watched.books.accept(by="alice", reason="restored from a backup")

    after_acceptance = watched.state()
    watched.stores.trading_state.write(TradingState.ACTIVE, by="alice", reason="looked", at=NOW + timedelta(hours=1))
    (entry,) = watched.stores.journal.entries(kind=BASE_KIND)
    assert after_acceptance is TradingState.HALTED
    assert watched.state() is TradingState.ACTIVE
    assert b"restored from a backup" in watched.stores.journal.body(entry.sequence)
    assert watched.books.problem() is None
    assert watched.stores.journal.verify().is_verified


def test_mode_shadow_sends_nothing_and_does_not_look(tmp_path):
    shadow = Watched(tmp_path, mode="shadow")
    shadow.seen = used(operator=9, safe=9)

    assert shadow.state() is TradingState.ACTIVE
    assert shadow.books.problem() is None
    shadow.database.close()


def test_a_chain_that_does_not_answer_halts_nothing(watched):
    def look():
        raise ChainUnavailable("nobody there")

    ChainBooks(watched.stores, look, FixedClock(), "live").halt_if_behind()

    assert watched.stores.trading_state.read() is TradingState.ACTIVE
