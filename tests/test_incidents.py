"""Incidents: an operator's word that closes a protocol, kept with the trading state, believed when in doubt."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from app.settings import DATABASE_FILE, Settings
from app.stores import open_stores
from domain.breakers import Incident
from domain.errors import StoreUnavailable, UnknownSubject
from domain.run import RunStatus
from domain.verdict import TradingState
from memory.database import open_database
from memory.incidents import SqlIncidentStore
from memory.journal import SqlJournal
from memory.trading_state import SqlTradingStateStore
from tests.builders import NOW
from tests.builders_evidence import make_limits
from tests.fakes import Treasury
from tests.processes import autofi
from tests.test_breakers_at_work import newest_change, resume, state_of
from tests.test_trading_state import FILE, write, write_directly

AAVE, VAULT = "aave-v3", "limited-vault"


@pytest.fixture
def database(tmp_path):
    opened = open_database(f"sqlite:///{tmp_path / FILE}")
    yield opened
    opened.close()


@pytest.fixture
def incidents(database):
    return SqlIncidentStore(database)


@pytest.fixture
def treasury(tmp_path):
    treasury = Treasury(tmp_path)
    yield treasury
    treasury.close()


def open_one(incidents, protocol: str = AAVE, *, by: str = "alice", minutes: int = 0) -> Incident:
    return incidents.open(protocol, by=by, reason="exploit rumoured", at=NOW + timedelta(minutes=minutes))


def close_one(incidents, protocol: str = AAVE) -> Incident:
    return incidents.close(protocol, by="carol", reason="rumour denied", at=NOW + timedelta(hours=1))


def test_an_opened_incident_is_listed_with_who_why_and_when(incidents):
    opened = open_one(incidents)

    assert opened == Incident(protocol=AAVE, opened_by="alice", reason="exploit rumoured", opened_at=NOW)
    assert incidents.listed() == (opened,)
    assert incidents.open_among(frozenset({AAVE, VAULT})) == {AAVE}


def test_opening_twice_keeps_the_first(incidents):
    first = open_one(incidents)

    again = open_one(incidents, by="bob", minutes=5)

    assert again == first
    assert incidents.listed() == (first,)


def test_a_closed_incident_may_be_opened_again(incidents):
    open_one(incidents)
    closed = close_one(incidents)
    nothing = incidents.listed()

    reopened = open_one(incidents, minutes=90)

    assert (closed.protocol, nothing) == (AAVE, ())
    assert incidents.listed() == (reopened,)


def test_closing_what_is_not_open_names_what_is(incidents):
    open_one(incidents, VAULT)

    with pytest.raises(UnknownSubject, match="'aave-v3' has no open incident; open are limited-vault"):
        close_one(incidents)


def test_incidents_are_in_the_journal_and_leave_the_trading_state_alone(database, incidents):
    store = SqlTradingStateStore(database)
    write(store, TradingState.ACTIVE)
    open_one(incidents)
    close_one(incidents)

    journal = SqlJournal(database)

    assert store.read() is TradingState.ACTIVE
    assert [change.state for change in store.history()] == [TradingState.ACTIVE]
    entries = journal.entries()[1:]
    assert [(entry.kind, entry.subject) for entry in entries] == [("incident_opened", AAVE), ("incident_closed", AAVE)]
    assert json.loads(journal.body(3)) == {"by": "carol", "reason": "rumour denied"}


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM book_entries WHERE kind = 'incident_opened'",
        "DELETE FROM book_entries WHERE book = 'trading'",
        "UPDATE book_entries SET subject = 'limited-vault' WHERE kind = 'incident_opened'",
        "DROP TABLE book_entries",
    ],
)
def test_where_nobody_can_tell_every_protocol_is_in_trouble(incidents, tmp_path, statement):
    open_one(incidents)
    write_directly(tmp_path, statement)

    assert incidents.open_among(frozenset({AAVE, VAULT})) == {AAVE, VAULT}
    with pytest.raises(StoreUnavailable):
        incidents.listed()
    with pytest.raises(StoreUnavailable):
        close_one(incidents)


def test_a_lost_anchor_closes_every_protocol(incidents, tmp_path):
    (tmp_path / f"{FILE}.anchor").unlink()

    assert incidents.open_among(frozenset({AAVE})) == {AAVE}


def test_an_incident_of_a_held_protocol_reduces_until_it_is_closed(treasury):
    incidents, now = treasury.dependencies.incidents, treasury.market.now()
    incidents.open("aave-v3", by="alice", reason="exploit rumoured", at=now)
    treasury.run("run-1")
    tripped = newest_change(treasury)
    resume(treasury)
    treasury.run("run-2")
    again = state_of(treasury)

    incidents.close("aave-v3", by="alice", reason="rumour denied", at=now)
    resume(treasury)
    treasury.run("run-3")

    assert [(trip.code, trip.subject) for trip in tripped.trips] == [("open_incident", "aave-v3")]
    assert (again, state_of(treasury)) == (TradingState.REDUCING, TradingState.ACTIVE)


def test_an_incident_elsewhere_closes_that_protocol_and_leaves_trading_active(treasury):
    now = treasury.market.now()
    treasury.dependencies.incidents.open("limited-vault", by="alice", reason="paused upstream", at=now)

    record = treasury.run()

    assert state_of(treasury) is TradingState.ACTIVE
    assert record.status is RunStatus.EXECUTED
    assert all(move.strategy != "vault-limited-dai" for move in record.plan.moves)


def test_an_incident_opened_while_a_batch_waits_denies_it(tmp_path):
    treasury = Treasury(tmp_path, policy=make_limits(approval={"min_value_without_approval_usd": 1}))
    treasury.run()
    (asked,) = treasury.dependencies.approvals.pending()
    now = treasury.market.now()
    treasury.dependencies.approvals.answer(
        asked.batch_digest, approved=True, answered_by="alice", role="approver", at=now
    )

    for protocol in ("aave-v3", "limited-vault"):
        treasury.dependencies.incidents.open(protocol, by="carol", reason="exploit", at=now)
    status = treasury.conductor.resume("run-1")

    denials = {denial.code for denial in treasury.runs.record("run-1").verdict.denials}
    assert status is RunStatus.DENIED
    assert {"open_incident", "trading_state_reducing"} <= denials
    assert not treasury.market.receipts
    treasury.close()


@pytest.fixture
def home(tmp_path):
    """A home without a chain."""
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    open_database(f"sqlite:///{folder / DATABASE_FILE}").close()
    return folder


def test_an_operator_opens_lists_and_closes_an_incident_by_command(home):
    opened = autofi("incident", "open", AAVE, "--reason", "exploit [rumoured]", "--as", "alice", AUTOFI_HOME=home)
    listed = autofi("incident", "list", "--json", AUTOFI_HOME=home)
    shown = autofi("incident", "list", AUTOFI_HOME=home)
    closed = autofi("incident", "close", AAVE, "--reason", "denied", "--as", "carol", AUTOFI_HOME=home)

    assert opened.stdout == "incident of aave-v3 is open, opened by alice: exploit [rumoured]\n"
    assert [incident["protocol"] for incident in json.loads(listed.stdout)] == [AAVE]
    assert "exploit [rumoured]" in shown.stdout
    assert closed.stdout == "incident of aave-v3 is closed by carol: denied\n"
    with open_stores(settings=Settings(home=home)) as stores:
        assert stores.incidents.listed() == ()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["open", "aave-v2", "--reason", "typo"], "protocol 'aave-v2' is not in the catalog, which lists aave-v3"),
        (["open", AAVE, "--reason", " "], "--reason has 0 characters"),
        (["close", AAVE, "--reason", "nothing"], "has no open incident; open are none"),
    ],
)
def test_a_command_that_cannot_be_followed_says_why(home, arguments, problem):
    answer = autofi("incident", *arguments, AUTOFI_HOME=home)

    assert answer.exit_code == 2
    assert problem in answer.stderr


def test_a_damaged_book_is_said_when_incidents_are_listed(home):
    autofi("incident", "open", AAVE, "--reason", "exploit", AUTOFI_HOME=home)
    with closing(sqlite3.connect(home / DATABASE_FILE, isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER book_entries_no_delete")
        connection.execute("DELETE FROM book_entries WHERE book = 'trading'")

    answer = autofi("incident", "list", AUTOFI_HOME=home)

    assert answer.exit_code == 2
    assert "every protocol counts as in trouble" in answer.stderr
