"""The policy in force in a real database: two processes, a rolled-back file, edited rows, another version's keys."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from domain.change_history import ChangeEvent, Step
from domain.documents import POLICY
from domain.errors import ApprovalRefused, ConfigurationInvalid, StoreUnavailable
from memory import books
from memory.database import open_database
from memory.hash_chain import Book
from memory.journal import SqlJournal
from memory.policies import SqlPolicyStore
from memory.trading_state import SqlTradingStateStore
from tests.builders import NOW
from tests.policy_samples import BASE, with_limits

FILE = "autofi.db"
LOOSE = with_limits(BASE, {"budgets.max_week_value_usd": "9000000"})
TIGHT = with_limits(BASE, {"budgets.max_transaction_value_usd": "1000"})
LATER = NOW + timedelta(seconds=BASE.changes.loosening_delay_seconds)


@pytest.fixture
def database(tmp_path):
    opened = open_database(f"sqlite:///{tmp_path / FILE}")
    yield opened
    opened.close()


@pytest.fixture
def store(database):
    return SqlPolicyStore(database)


def reopened(folder, source):
    """On a copy of these files, as another process would find them."""
    shutil.copytree(source, folder)
    return open_database(f"sqlite:///{folder / FILE}")


def test_nothing_is_in_force_before_the_first_start(store):
    assert store.standing().in_force is None
    assert store.history() == ()


def test_a_policy_goes_its_whole_way_and_survives_a_restart(store, tmp_path):
    store.follow(BASE, by="bob", at=NOW)
    store.follow(LOOSE, by="bob", at=NOW)
    store.approve(LOOSE.digest(), by="alice", at=NOW)
    store.follow(LOOSE, by="bob", at=LATER)

    again = open_database(f"sqlite:///{tmp_path / FILE}")

    assert SqlPolicyStore(again).standing().in_force == LOOSE
    assert [event.step for event in SqlPolicyStore(again).history()] == [
        Step.ADOPTED,
        Step.PROPOSED,
        Step.APPROVED,
        Step.ADOPTED,
    ]
    again.close()


def test_every_event_is_in_the_journal_with_both_digests(database, store):
    store.follow(BASE, by="bob", at=NOW)
    store.follow(TIGHT, by="bob", at=NOW)
    store.follow(LOOSE, by="bob", at=NOW)
    store.refuse(LOOSE.digest(), by="alice", at=NOW, reason="too much")

    journal = SqlJournal(database)
    entries = journal.entries()
    bodies = [json.loads(journal.body(entry.sequence)) for entry in entries]

    assert [(entry.kind, entry.subject) for entry in entries] == [
        ("policy_adopted", BASE.digest()),
        ("policy_tightened", TIGHT.digest()),
        ("policy_proposed", LOOSE.digest()),
        ("policy_refused", LOOSE.digest()),
    ]
    assert [body["in_force"] for body in bodies] == [None, BASE.digest(), TIGHT.digest(), TIGHT.digest()]
    assert (bodies[-1]["by"], bodies[-1]["reason"]) == ("alice", "too much")
    assert journal.verify().is_verified


def test_following_a_file_that_is_in_force_writes_nothing(database, store):
    store.follow(BASE, by="bob", at=NOW)
    before = SqlJournal(database).verify().entries

    assert store.follow(BASE, by="bob", at=LATER) == ()
    assert SqlJournal(database).verify().entries == before


def test_two_processes_that_see_the_same_edit_write_it_once(database, store):
    other = SqlPolicyStore(database)
    store.follow(BASE, by="bob", at=NOW)

    first, second = store.follow(TIGHT, by="bob", at=NOW), other.follow(TIGHT, by="carol", at=NOW)

    assert [event.step for event in first] == [Step.TIGHTENED]
    assert second == ()


class SlowReader(SqlPolicyStore):
    """Has looked before somebody else wrote."""

    def __init__(self, database, seen):
        super().__init__(database)
        self.seen = seen

    def _ask(self, decide):
        return decide(POLICY, self.seen)


def test_who_was_slower_finds_what_was_done(database, store):
    store.follow(BASE, by="bob", at=NOW)
    slow = SlowReader(database, store.standing())

    store.follow(TIGHT, by="bob", at=NOW)

    assert slow.follow(TIGHT, by="carol", at=NOW) == ()
    assert len(store.history()) == 2


def test_the_state_and_the_policy_share_a_book_and_not_a_meaning(database, store):
    trading = SqlTradingStateStore(database)
    trading.start("active", by="init", reason="first start", at=NOW)
    store.follow(BASE, by="bob", at=NOW)

    assert trading.read() == "active"
    assert len(trading.history()) == 1
    assert store.standing().in_force == BASE


def test_a_database_that_was_rolled_back_is_seen(store, tmp_path):
    store.follow(BASE, by="bob", at=NOW)
    backup = shutil.copytree(tmp_path, tmp_path.with_name("backup"))
    store.follow(TIGHT, by="bob", at=NOW)

    shutil.copy(tmp_path / f"{FILE}.anchor", backup / f"{FILE}.anchor")
    old = reopened(tmp_path.with_name("restored"), backup)

    with pytest.raises(StoreUnavailable, match="not intact: entries 2 to 2, noted by the anchor, are gone"):
        SqlPolicyStore(old).standing()
    assert SqlTradingStateStore(old).read() == "halted"
    old.close()


def edit(folder, statement, *values):
    with closing(sqlite3.connect(folder / FILE, isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER book_entries_no_update")
        connection.execute("DROP TRIGGER book_entries_no_delete")
        connection.execute(statement, values)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE book_entries SET body = replace(body, '1500000', '9500000') WHERE book = 'trading'",
        "UPDATE book_entries SET subject = 'x' WHERE book = 'trading'",
        "DELETE FROM book_entries WHERE book = 'trading' AND sequence = 1",
        "DELETE FROM book_entries WHERE book = 'trading'",
        "DELETE FROM book_heads WHERE book = 'trading'",
    ],
)
def test_an_edited_or_deleted_entry_is_seen_by_every_question(store, tmp_path, statement):
    store.follow(BASE, by="bob", at=NOW)
    store.follow(TIGHT, by="bob", at=NOW)

    edit(tmp_path, statement)

    for ask in (
        store.standing,
        store.history,
        lambda: store.follow(BASE, by="bob", at=NOW),
        lambda: store.approve("0" * 64, by="alice", at=NOW),
        lambda: store.restart(BASE, by="bob", at=NOW, reason="why"),
    ):
        with pytest.raises(StoreUnavailable):
            ask()


def test_an_answer_to_nothing_writes_nothing(database, store):
    store.follow(BASE, by="bob", at=NOW)

    with pytest.raises(ApprovalRefused):
        store.approve(LOOSE.digest(), by="alice", at=NOW)

    assert SqlJournal(database).verify().entries == 1


def of_another_version(database, store):
    """In force is a policy with a key that this version does not know."""
    store.follow(BASE, by="bob", at=NOW)
    event = store.history()[0]
    foreign = event.model_copy(update={"text": {**event.text, "moon_phase": "full"}})
    with database.writing() as connection:
        books.append(
            connection,
            Book.TRADING,
            kind=event.kind,
            subject=event.digest,
            body=foreign.model_dump_json().encode(),
            at=NOW,
        )


def test_books_from_before_the_catalog_had_a_history_are_read(database, store):
    """They say `policy` where `text` is said now."""
    event = ChangeEvent(kind="policy_adopted", at=NOW, by="bob", digest=BASE.digest(), in_force=None)
    old = {**event.model_dump(mode="json", exclude={"text"}), "policy": BASE.model_dump(mode="json")}
    with database.writing() as connection:
        books.append(
            connection, Book.TRADING, kind=event.kind, subject=event.digest, body=json.dumps(old).encode(), at=NOW
        )

    assert store.standing().in_force == BASE


def test_a_policy_of_another_version_is_unreadable_and_says_what_to_do(database, store):
    of_another_version(database, store)

    with pytest.raises(StoreUnavailable, match=r"none in this version .*`autofi policy adopt --reason WHY --yes`"):
        store.standing()
    assert len(store.history()) == 2


def test_only_an_unreadable_policy_is_replaced_without_a_delay(database, store):
    store.follow(BASE, by="bob", at=NOW)
    with pytest.raises(ConfigurationInvalid, match="in force and readable; edit the file instead"):
        store.restart(LOOSE, by="bob", at=NOW, reason="in a hurry")
    of_another_version(database, store)

    event = store.restart(LOOSE, by="bob", at=NOW, reason="updated the program")

    assert (event.step, event.reason) == (Step.ADOPTED, "updated the program")
    assert store.standing().in_force == LOOSE
