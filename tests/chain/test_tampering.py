"""Somebody edits the audit trail of a real home: nothing more leaves it, whoever resumes trading."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from app.settings import DATABASE_FILE
from tests.chain.test_cli import ended, of, operator_nonce

pytestmark = pytest.mark.chain


def forge_first_entry(home: Path) -> None:
    with closing(sqlite3.connect(home / DATABASE_FILE, isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER book_entries_no_update")
        connection.execute("UPDATE book_entries SET kind = 'forged' WHERE book = 'journal' AND sequence = 1")


def test_a_home_with_a_forged_journal_sends_nothing_even_after_a_resume(home: Path) -> None:
    command, before = of(home), operator_nonce(home)
    forge_first_entry(home)

    denied = command("run")
    standing = json.loads(command("status", "--json").stdout)
    resumed = command("resume", "--reason", "it will be fine", "--as", "alice")
    again = command("run")

    assert [ended(denied)[0], ended(again)[0]] == ["DENIED", "UNCHANGED"]
    assert "trading_state_halted" in denied.stdout
    assert "trading is active" in resumed.stdout
    assert standing["trading_state"] == "halted"
    assert "the journal does not hold" in standing["trading_state_problem"]
    assert operator_nonce(home) == before
