"""The journal keeps what it was given and shows every way of tampering with it."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from domain.digest import GENESIS, canonical_json, sha256_hex
from domain.errors import InvariantBroken, StoreUnavailable, UnknownSubject
from domain.verdict import TradingState
from memory.artifacts import SqlArtifactStore
from memory.budgets import SqlBudgetLedger
from memory.database import open_database
from memory.journal import SqlJournal
from memory.journal_verify import verify_file
from memory.trading_state import SqlTradingStateStore
from tests.builders import NOW

FILE = "autofi.db"


@pytest.fixture
def journal(tmp_path):
    database = open_database(f"sqlite:///{tmp_path / FILE}")
    yield SqlJournal(database)
    database.close()


@pytest.fixture
def five(journal):
    for number in range(1, 6):
        body = f'{{"number":{number}}}'.encode()
        journal.append(kind="run", subject=f"run-{number}", body=body, at=NOW + timedelta(seconds=number))
    return journal


def tamper(folder: Path, *statements: str) -> None:
    """What somebody with the file and without respect for triggers can do."""
    with closing(sqlite3.connect(folder / FILE, isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER book_entries_no_update")
        connection.execute("DROP TRIGGER book_entries_no_delete")
        for statement in statements:
            connection.execute(statement)


def test_an_empty_journal_is_verified(journal):
    verified = journal.verify()

    assert (verified.is_verified, verified.entries, verified.head) == (True, 0, GENESIS)


def test_entries_are_chained_and_keep_their_bodies(five):
    entries = five.entries()

    assert [entry.sequence for entry in entries] == [1, 2, 3, 4, 5]
    assert [entry.previous_hash for entry in entries] == [GENESIS, *(entry.entry_hash for entry in entries[:-1])]
    assert five.body(3) == b'{"number":3}'
    assert entries[2].body_digest == sha256_hex(b'{"number":3}')
    assert entries[2].recorded_at == NOW + timedelta(seconds=3)


def test_the_returned_entry_is_the_stored_one(journal):
    entry = journal.append(kind="run", subject="r", body=b"{}", at=NOW)

    assert journal.entries() == (entry,)


def test_an_untouched_journal_is_verified_by_both_verifiers(five, tmp_path):
    by_engine, by_file = five.verify(), verify_file(tmp_path / FILE)

    assert by_engine == by_file
    assert (by_file.is_verified, by_file.entries, by_file.head) == (True, 5, five.entries()[-1].entry_hash)


def test_limit_keeps_the_newest_and_kind_filters(five):
    five.append(kind="halt", subject="operator", body=b"{}", at=NOW)

    assert [entry.sequence for entry in five.entries(limit=2)] == [5, 6]
    assert [entry.subject for entry in five.entries(kind="halt")] == ["operator"]


def test_the_database_itself_refuses_to_change_or_delete_an_entry(five, tmp_path):
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        for statement in ("UPDATE book_entries SET subject = 'x'", "DELETE FROM book_entries"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(statement)


SWAP = (
    "UPDATE book_entries SET sequence = -2 WHERE book = 'journal' AND sequence = 2",
    "UPDATE book_entries SET sequence = 2 WHERE book = 'journal' AND sequence = 3",
    "UPDATE book_entries SET sequence = 3 WHERE book = 'journal' AND sequence = -2",
)
INSERT = (
    "INSERT INTO book_entries SELECT book, 6, recorded_at, kind, 'forged', body, body_digest, entry_hash, entry_hash "
    "FROM book_entries WHERE sequence = 5",
    "UPDATE book_heads SET sequence = 6 WHERE book = 'journal'",
)


@pytest.mark.parametrize(
    ("statements", "broken", "problem"),
    [
        (("UPDATE book_entries SET body = x'7b7d' WHERE sequence = 3",), 3, "body does not have the digest"),
        (("UPDATE book_entries SET subject = 'x' WHERE sequence = 3",), 3, "fields do not have the hash"),
        (("UPDATE book_entries SET kind = 'x' WHERE sequence = 1",), 1, "fields do not have the hash"),
        (("UPDATE book_entries SET recorded_at = 'noon' WHERE sequence = 2",), 2, "unreadable"),
        (("UPDATE book_entries SET body = 'text' WHERE sequence = 2",), 2, "unreadable"),
        (("DELETE FROM book_entries WHERE sequence = 3",), 3, "entry 3 is missing"),
        (("DELETE FROM book_entries WHERE sequence = 1",), 1, "entry 1 is missing"),
        (SWAP, 2, "previous hash differs"),
        (INSERT, 6, "fields do not have the hash"),
        (("DELETE FROM book_entries WHERE sequence = 5",), 5, "gone"),
        (("DELETE FROM book_entries",), 1, "entries 1 to 5, noted by the anchor, are gone"),
        (("DELETE FROM book_heads WHERE book = 'journal'",), 6, "head row is missing"),
        (("UPDATE book_heads SET sequence = 4 WHERE book = 'journal'",), 6, "head row says 4"),
    ],
)
def test_tampering_is_found_at_the_first_broken_entry(five, tmp_path, statements, broken, problem):
    tamper(tmp_path, *statements)

    by_engine, by_file = five.verify(), verify_file(tmp_path / FILE)

    assert not by_engine.is_verified
    assert by_engine.broken_sequence == broken
    assert problem in by_engine.problem
    assert by_file == by_engine


def test_truncation_with_a_matching_head_row_is_found_by_the_anchor(five, tmp_path):
    fourth = five.entries()[3].entry_hash
    tamper(
        tmp_path,
        "DELETE FROM book_entries WHERE sequence = 5",
        f"UPDATE book_heads SET sequence = 4, entry_hash = '{fourth}' WHERE book = 'journal'",
    )

    verified = five.verify()

    assert (verified.is_verified, verified.broken_sequence) == (False, 5)
    assert verified.problem == "book journal: entries 5 to 5, noted by the anchor, are gone"


def test_a_database_rolled_back_to_an_older_copy_stays_broken_after_new_entries(tmp_path):
    url = f"sqlite:///{tmp_path / FILE}"
    database = open_database(url)
    SqlJournal(database).append(kind="run", subject="first", body=b"{}", at=NOW)
    database.close()
    shutil.copy(tmp_path / FILE, tmp_path / "copy.db")
    database = open_database(url)
    SqlJournal(database).append(kind="run", subject="second", body=b"{}", at=NOW)
    database.close()
    shutil.copy(tmp_path / "copy.db", tmp_path / FILE)

    rolled_back = open_database(url)
    for number in range(3):
        SqlJournal(rolled_back).append(kind="run", subject=f"other-{number}", body=b"{}", at=NOW)
    verified = SqlJournal(rolled_back).verify()
    rolled_back.reanchor()
    accepted = SqlJournal(rolled_back).verify()
    rolled_back.close()

    assert (verified.is_verified, verified.broken_sequence) == (False, 2)
    assert "anchor" in verified.problem
    assert accepted.is_verified


def make_run(folder: Path) -> SqlArtifactStore:
    """A run record that names one artifact in each of the five ways, and a plan that names none."""
    database = open_database(f"sqlite:///{folder / FILE}")
    store = SqlArtifactStore(database)
    snapshot, history, prompt, reply, result = (store.put(f"content {number}".encode()) for number in range(5))
    record = {
        "snapshot_digest": snapshot,
        "history_digest": history,
        "model_calls": [{"prompt_digest": prompt, "reply_digest": reply}],
        "tool_calls": [{"result_digest": result}],
        "plan": {"snapshot_digest": "d" * 64},
        "batch_digest": None,
    }
    SqlJournal(database).append(kind="run", subject="run-1", body=canonical_json(record), at=NOW)
    SqlTradingStateStore(database).write(TradingState.ACTIVE, by="alice", reason="a test", at=NOW)
    SqlBudgetLedger(database).count_run("run-1", at=NOW)
    return store


def test_all_books_and_artifacts_are_counted_by_both_verifiers(journal, tmp_path):
    make_run(tmp_path)

    by_engine, by_file = journal.verify(), verify_file(tmp_path / FILE)

    assert by_engine == by_file
    assert (by_file.is_verified, by_file.entries, by_file.books, by_file.artifacts) == (True, 2, 3, 5)


@pytest.mark.parametrize(
    ("statement", "broken", "problem"),
    [
        ("UPDATE book_entries SET subject = 'halted' WHERE book = 'trading'", 1, "book trading: entry 1"),
        ("UPDATE book_entries SET subject = 'run-2' WHERE book = 'budget'", 1, "book budget: entry 1"),
        ("DELETE FROM book_entries WHERE book = 'budget'", 1, "book budget: entries 1 to 1"),
        ("UPDATE artifacts SET content = x'ffff'", 1, "cannot be decompressed"),
        ("UPDATE artifacts SET content = (SELECT max(content) FROM artifacts)", 1, "holds other content"),
    ],
)
def test_tampering_beside_the_journal_is_found_by_both_verifiers(journal, tmp_path, statement, broken, problem):
    make_run(tmp_path)
    tamper(tmp_path, statement)

    by_engine, by_file = journal.verify(), verify_file(tmp_path / FILE)

    assert by_engine == by_file
    assert (by_file.is_verified, by_file.broken_sequence) == (False, broken)
    assert problem in by_file.problem


@pytest.mark.parametrize("number", range(5))
def test_each_artifact_that_a_run_names_must_be_stored(journal, tmp_path, number):
    make_run(tmp_path)
    digest = sha256_hex(f"content {number}".encode())
    tamper(tmp_path, f"DELETE FROM artifacts WHERE digest = '{digest}'")

    by_engine, by_file = journal.verify(), verify_file(tmp_path / FILE)

    assert by_engine == by_file
    assert by_file.broken_sequence == 1
    assert by_file.problem == f"artifact {digest}, named by journal entry 1, is not stored"


def test_an_artifact_that_no_run_names_is_checked_too(journal, tmp_path):
    digest = make_run(tmp_path).put(b"named by nobody")
    tamper(tmp_path, f"UPDATE artifacts SET content = x'00' WHERE digest = '{digest}'")

    verified = verify_file(tmp_path / FILE)

    assert (verified.is_verified, verified.broken_sequence) == (False, None)
    assert digest in verified.problem


def test_a_lost_anchor_is_said_and_not_replaced(five, tmp_path):
    (tmp_path / f"{FILE}.anchor").unlink()

    five.append(kind="run", subject="later", body=b"{}", at=NOW)

    with pytest.raises(StoreUnavailable, match=r"anchor .* is missing or unreadable"):
        five.verify()
    with pytest.raises(StoreUnavailable, match="anchor"):
        verify_file(tmp_path / FILE)


@pytest.mark.parametrize("body", ["x'7b7d'", "'text'"])
def test_a_changed_body_is_never_handed_out(five, tmp_path, body):
    tamper(tmp_path, f"UPDATE book_entries SET body = {body} WHERE sequence = 3")

    with pytest.raises(StoreUnavailable, match="journal entry 3"):
        five.body(3)


def test_a_body_that_does_not_exist_is_an_unknown_subject(journal):
    with pytest.raises(UnknownSubject, match="journal entry 7"):
        journal.body(7)


def test_a_malformed_kind_is_refused_and_leaves_nothing(journal):
    with pytest.raises(InvariantBroken, match="kind 'Not A Slug'"):
        journal.append(kind="Not A Slug", subject="r", body=b"{}", at=NOW)

    assert journal.verify().entries == 0


def test_the_file_verifier_names_a_file_that_does_not_exist(tmp_path):
    with pytest.raises(StoreUnavailable, match=r"absent\.db does not exist"):
        verify_file(tmp_path / "absent.db")


def test_the_file_verifier_names_a_file_that_is_no_database(five, tmp_path):
    shutil.copy(tmp_path / f"{FILE}.anchor", tmp_path / "other.db.anchor")
    (tmp_path / "other.db").write_bytes(b"no database" * 500)

    with pytest.raises(StoreUnavailable, match=r"other\.db cannot be read: file is not a database"):
        verify_file(tmp_path / "other.db")
