"""The trading state: what cannot be trusted is HALTED."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from domain.breakers import Trip
from domain.errors import StoreUnavailable
from domain.safeguards import TradingStateStore
from domain.verdict import TradingState
from memory.database import open_database
from memory.journal import SqlJournal
from memory.trading_state import SqlTradingStateStore, TradingStateChange
from tests.builders import NOW

FILE = "autofi.db"
LADDER = [TradingState.ACTIVE, TradingState.REDUCING, TradingState.HALTED]


@pytest.fixture
def database(tmp_path):
    opened = open_database(f"sqlite:///{tmp_path / FILE}")
    yield opened
    opened.close()


@pytest.fixture
def store(database):
    return SqlTradingStateStore(database)


def write(store, state, *, minutes: int = 0) -> None:
    store.write(state, by="alice", reason="a test", at=NOW + timedelta(minutes=minutes))


def test_a_state_that_was_never_written_is_halted(store):
    assert store.read() is TradingState.HALTED
    assert store.problem() is None


def test_the_newest_state_counts_and_survives_a_restart(store, tmp_path):
    write(store, TradingState.ACTIVE)
    write(store, TradingState.REDUCING, minutes=1)

    again = open_database(f"sqlite:///{tmp_path / FILE}")

    assert SqlTradingStateStore(again).read() is TradingState.REDUCING
    again.close()


def test_the_first_state_is_not_set_again(store):
    store.start(TradingState.ACTIVE, by="init", reason="paper mode", at=NOW)
    write(store, TradingState.HALTED, minutes=1)
    store.start(TradingState.ACTIVE, by="init", reason="paper mode", at=NOW)

    assert store.read() is TradingState.HALTED


def test_every_change_is_kept_with_who_why_and_when(store):
    write(store, TradingState.ACTIVE)
    write(store, TradingState.HALTED, minutes=1)

    assert store.history() == (
        TradingStateChange(state=TradingState.ACTIVE, by="alice", reason="a test", at=NOW),
        TradingStateChange(state=TradingState.HALTED, by="alice", reason="a test", at=NOW + timedelta(minutes=1)),
    )


def test_every_change_is_in_the_journal_too(database, store):
    store.start(TradingState.ACTIVE, by="init", reason="paper mode", at=NOW)
    write(store, TradingState.HALTED, minutes=1)

    journal = SqlJournal(database)

    assert [(entry.kind, entry.subject) for entry in journal.entries()] == [
        ("trading_state", "active"),
        ("trading_state", "halted"),
    ]
    assert json.loads(journal.body(2)) == {"by": "alice", "reason": "a test"}
    assert journal.verify().is_verified


def test_a_journal_that_takes_no_entry_takes_no_resume_but_never_stops_a_halt(store, tmp_path):
    write(store, TradingState.ACTIVE)
    write_directly(tmp_path, "DELETE FROM book_heads WHERE book = 'journal'")

    write(store, TradingState.HALTED, minutes=1)
    with pytest.raises(StoreUnavailable, match="book journal has no head row"):
        write(store, TradingState.ACTIVE, minutes=2)

    assert [change.state for change in store.history()] == [TradingState.ACTIVE, TradingState.HALTED]


def make_trip(state: TradingState = TradingState.REDUCING, **changes: object) -> Trip:
    fields = {"code": "day_drawdown", "subject": "24 hours", "limit": "0.03", "observed": "0.04", "unit": "of value"}
    return Trip.model_validate({"state": state, **fields, **changes})


def test_the_port_of_a_run_has_no_way_up():
    """A model that talked a node into anything could still only lower the state."""
    offered = {name for name in vars(TradingStateStore) if not name.startswith("_")}

    assert offered == {"read", "tighten"}


@pytest.mark.parametrize(
    ("current", "asked", "expected"),
    [(current, asked, max(current, asked, key=LADDER.index)) for current in LADDER for asked in LADDER],
)
def test_a_breaker_only_lowers_the_state(store, current, asked, expected):
    write(store, current)

    answered = store.tighten([make_trip(asked)], at=NOW)

    assert (answered, store.read()) == (expected, expected)
    assert len(store.history()) == (1 if expected is current else 2)


def test_several_trips_go_to_the_tightest_state_in_one_change_that_names_them_all(store):
    write(store, TradingState.ACTIVE)
    trips = (make_trip(), make_trip(TradingState.HALTED, code="peak_drawdown", subject="last resume"))

    store.tighten(trips, at=NOW)

    change = store.history()[-1]
    assert (change.state, change.by, change.trips) == (TradingState.HALTED, "system", trips)
    assert change.reason == (
        "day_drawdown of 24 hours: 0.04 of value, limit 0.03; peak_drawdown of last resume: 0.04 of value, limit 0.03"
    )


def test_without_a_trip_nothing_changes(store):
    write(store, TradingState.REDUCING)

    assert store.tighten([], at=NOW) is TradingState.REDUCING
    assert len(store.history()) == 1


def test_a_change_that_nobody_asked_for_is_in_the_journal_under_its_own_kind(database, store):
    write(store, TradingState.ACTIVE)
    store.tighten([make_trip()], at=NOW)

    journal = SqlJournal(database)

    assert [(entry.kind, entry.subject) for entry in journal.entries()] == [
        ("trading_state", "active"),
        ("breaker", "reducing"),
    ]
    assert json.loads(journal.body(2))["trips"] == [make_trip().model_dump(mode="json")]


def test_a_breaker_never_loosens_an_operators_halt_that_came_in_between(database, store):
    """The breaker's process read ACTIVE; the halt was written before the breaker could write."""
    write(store, TradingState.ACTIVE)
    late = HaltedInBetween(database)

    answered = late.tighten([make_trip()], at=NOW)

    assert (answered, store.read()) == (TradingState.HALTED, TradingState.HALTED)
    assert [change.state for change in store.history()] == [TradingState.ACTIVE, TradingState.HALTED]


class HaltedInBetween(SqlTradingStateStore):
    def read(self) -> TradingState:
        state = super().read()
        write(self, TradingState.HALTED, minutes=1)
        return state


def test_a_journal_that_takes_no_entry_stops_a_reducing_breaker_loudly_and_never_a_halting_one(store, tmp_path):
    write(store, TradingState.ACTIVE)
    write_directly(tmp_path, "DELETE FROM book_heads WHERE book = 'journal'")

    with pytest.raises(StoreUnavailable, match="book journal has no head row"):
        store.tighten([make_trip()], at=NOW)
    store.tighten([make_trip(TradingState.HALTED)], at=NOW)

    assert [change.state for change in store.history()] == [TradingState.ACTIVE, TradingState.HALTED]


def test_a_breaker_in_a_book_that_cannot_be_read_finds_it_halted_already(store, tmp_path):
    write(store, TradingState.ACTIVE)
    write_directly(tmp_path, "DELETE FROM book_heads WHERE book = 'trading'")

    assert store.tighten([make_trip()], at=NOW) is TradingState.HALTED


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM book_entries WHERE book = 'trading' AND sequence = 2",
        "DELETE FROM book_entries WHERE book = 'trading'",
        "UPDATE book_entries SET subject = 'active' WHERE book = 'trading' AND sequence = 2",
        "UPDATE book_entries SET subject = 'nonsense' WHERE book = 'trading' AND sequence = 2",
        "DELETE FROM book_heads WHERE book = 'trading'",
        "DROP TABLE book_entries",
    ],
)
def test_a_tampered_state_is_halted_and_says_why(store, tmp_path, statement):
    write(store, TradingState.ACTIVE)
    write(store, TradingState.REDUCING, minutes=1)
    write_directly(tmp_path, statement)

    assert store.read() is TradingState.HALTED
    assert store.problem() is not None


def write_directly(folder, statement: str) -> None:
    with closing(sqlite3.connect(folder / FILE, isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER book_entries_no_update")
        connection.execute("DROP TRIGGER book_entries_no_delete")
        connection.execute(statement)


def test_a_database_rolled_back_to_before_the_halt_is_halted(tmp_path):
    url = f"sqlite:///{tmp_path / FILE}"
    database = open_database(url)
    write(SqlTradingStateStore(database), TradingState.ACTIVE)
    database.close()
    shutil.copy(tmp_path / FILE, tmp_path / "copy")
    database = open_database(url)
    write(SqlTradingStateStore(database), TradingState.HALTED, minutes=1)
    database.close()
    shutil.copy(tmp_path / "copy", tmp_path / FILE)

    database = open_database(url)
    store = SqlTradingStateStore(database)
    state, problem = store.read(), store.problem()
    database.close()

    assert state is TradingState.HALTED
    assert problem == "entries 2 to 2, noted by the anchor, are gone"


def test_a_file_that_is_no_longer_a_database_is_halted(database, store, tmp_path):
    write(store, TradingState.ACTIVE)
    database.close()
    (tmp_path / FILE).write_bytes(b"garbage" * 1000)
    (tmp_path / f"{FILE}-wal").unlink(missing_ok=True)

    assert store.read() is TradingState.HALTED
