"""Every way of losing a row of the budget ledger is seen, denies what has a limit, and stops no exit."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from domain.errors import StoreUnavailable
from memory.budgets import SqlBudgetLedger
from memory.database import open_database
from memory.hash_chain import Book
from tests.builders import NOW
from tests.test_budgets import FILE, LIMITS, digest, reserve, settle


@pytest.fixture
def database(tmp_path):
    opened = open_database(f"sqlite:///{tmp_path / FILE}")
    yield opened
    opened.close()


@pytest.fixture
def ledger(database):
    return SqlBudgetLedger(database)


def tamper(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / FILE, isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER IF EXISTS book_entries_no_update")
        connection.execute("DROP TRIGGER IF EXISTS book_entries_no_delete")
        for statement in statements:
            connection.execute(statement)


BOOK = "book = 'budget'"


@pytest.mark.parametrize(
    "statement",
    [
        f"DELETE FROM book_entries WHERE {BOOK}",
        f"DELETE FROM book_entries WHERE {BOOK} AND sequence = 1",
        f"DELETE FROM book_entries WHERE {BOOK} AND sequence = 2",
        f"DELETE FROM book_entries WHERE {BOOK} AND sequence = 3",
        f"UPDATE book_entries SET body = '{{}}' WHERE {BOOK} AND sequence = 2",
        f"UPDATE book_entries SET kind = 'release' WHERE {BOOK} AND sequence = 2",
        f"UPDATE book_entries SET recorded_at = '2020-01-01T00:00:00.000000+00:00' WHERE {BOOK} AND sequence = 1",
        f"UPDATE book_entries SET recorded_at = '2020-01-01T00:00:00.000000+00:00' WHERE {BOOK}",
        f"DELETE FROM book_heads WHERE {BOOK}",
        f"UPDATE book_heads SET sequence = 2 WHERE {BOOK}",
        "DROP TABLE book_entries",
        "DROP TABLE book_heads",
    ],
)
def test_a_tampered_ledger_is_not_intact_and_takes_no_limited_reservation(ledger, tmp_path, statement):
    for number in range(1, 4):
        reserve(ledger, number)
        settle(ledger, number)
    tamper(tmp_path, statement)

    state = ledger.state(at=NOW)

    assert not state.is_intact
    assert ledger.problem() is not None
    with pytest.raises(StoreUnavailable):
        reserve(ledger, 9, limits=LIMITS)


def test_an_edited_entry_outside_the_windows_is_found_by_the_full_walk(ledger, tmp_path):
    for number in range(1, 4):
        reserve(ledger, number, at=NOW - timedelta(days=20))
        settle(ledger, number, at=NOW - timedelta(days=20))
    reserve(ledger, 4)
    tamper(tmp_path, f"UPDATE book_entries SET body = x'7b7d' WHERE {BOOK} AND sequence = 1")

    assert ledger.state(at=NOW).is_intact
    assert "entry 1: the body" in ledger.problem()


def test_a_ledger_rolled_back_to_an_older_copy_is_not_intact_even_after_new_entries(tmp_path):
    database = open_database(f"sqlite:///{tmp_path / FILE}")
    reserve(SqlBudgetLedger(database), 1)
    database.close()
    shutil.copy(tmp_path / FILE, tmp_path / "copy")
    database = open_database(f"sqlite:///{tmp_path / FILE}")
    reserve(SqlBudgetLedger(database), 2)
    database.close()
    shutil.copy(tmp_path / "copy", tmp_path / FILE)

    database = open_database(f"sqlite:///{tmp_path / FILE}")
    ledger = SqlBudgetLedger(database)
    before = ledger.state(at=NOW).is_intact
    for number in (3, 4):
        reserve(ledger, number)
    after = ledger.state(at=NOW).is_intact
    database.close()

    assert (before, after) == (False, False)


def test_a_deleted_database_is_not_an_empty_budget(tmp_path):
    database = open_database(f"sqlite:///{tmp_path / FILE}")
    reserve(SqlBudgetLedger(database), 1)
    database.close()
    for file in tmp_path.glob(f"{FILE}*"):
        if file.suffix != ".anchor":
            file.unlink()

    fresh = open_database(f"sqlite:///{tmp_path / FILE}")
    ledger = SqlBudgetLedger(fresh)

    assert not ledger.state(at=NOW).is_intact
    assert ledger.problem() == "entries 1 to 1, noted by the anchor, are gone"
    fresh.close()


def test_a_lost_anchor_is_not_intact(ledger, tmp_path):
    reserve(ledger)
    (tmp_path / f"{FILE}.anchor").unlink()

    assert not ledger.state(at=NOW).is_intact
    assert "missing or unreadable" in ledger.problem()


def test_a_file_that_is_no_longer_a_database_is_not_intact(database, ledger, tmp_path):
    reserve(ledger)
    database.close()
    (tmp_path / FILE).write_bytes(b"garbage" * 1000)

    assert not ledger.state(at=NOW).is_intact


@pytest.mark.parametrize(
    "statement",
    [
        f"DELETE FROM book_heads WHERE {BOOK}",
        f"DELETE FROM book_entries WHERE {BOOK} AND sequence = 1",
        f"UPDATE book_entries SET body = x'7b7d' WHERE {BOOK} AND kind = 'valuation'",
    ],
)
def test_a_damaged_ledger_never_keeps_an_exit_waiting(ledger, tmp_path, statement):
    value = {"net_asset_value_usd": Decimal(100), "protocols": ("aave-v3",)}
    ledger.note_value("run-1", **value, at=NOW)
    reserve(ledger, 1)
    tamper(tmp_path, statement)

    ledger.count_run("run-2", at=NOW)
    ledger.note_value("run-2", **value, at=NOW)
    reserve(ledger, 2)
    settle(ledger, 2)
    ledger.release(digest(3))

    assert not ledger.state(at=NOW).is_intact
    with pytest.raises(StoreUnavailable, match="is not intact"):
        ledger.valuation(at=NOW)


def test_a_ledger_that_grew_again_after_a_rollback_is_found_though_its_anchor_lies_before_the_window(
    database, ledger, tmp_path
):
    """As on a host that wrote last weeks ago, to a database that other hosts write to."""
    for number in (1, 2):
        reserve(ledger, number, at=NOW - timedelta(days=30))
        settle(ledger, number, at=NOW - timedelta(days=30))
    for number in range(3, 9):
        reserve(ledger, number)
    lagging = json.dumps({**{book.value: [0, "0" * 64] for book in Book}, "budget": [2, "f" * 64]})

    (tmp_path / f"{FILE}.anchor").write_text(lagging)

    assert not ledger.state(at=NOW).is_intact
