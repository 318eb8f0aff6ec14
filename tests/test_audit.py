"""What follows from the proof of the records: trading halts on a broken journal, and a lost anchor has its command."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from app.settings import DATABASE_FILE, Settings
from app.stores import Stores, open_stores
from app.verification import halt_on_broken_journal
from domain.verdict import TradingState
from memory.database import open_database
from tests.builders import NOW
from tests.fakes_chain import FixedClock
from tests.processes import autofi


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home without a chain, active, with one entry in its journal beside the first state."""
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    open_database(f"sqlite:///{folder / DATABASE_FILE}").close()
    with open_stores(settings=Settings(home=folder)) as opened:
        opened.trading_state.start(TradingState.ACTIVE, by="init", reason="first start", at=NOW)
        opened.journal.append(kind="note", subject="first", body=b"{}", at=NOW)
    return folder


@pytest.fixture
def stores(home: Path) -> Iterator[Stores]:
    with open_stores(settings=Settings(home=home)) as opened:
        yield opened


def forge(home: Path) -> None:
    with closing(sqlite3.connect(home / DATABASE_FILE, isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER book_entries_no_update")
        connection.execute("UPDATE book_entries SET subject = 'forged' WHERE subject = 'first'")


def test_trading_goes_on_while_the_journal_holds(stores: Stores) -> None:
    halt_on_broken_journal(stores, FixedClock(NOW))

    assert [change.by for change in stores.trading_state.history()] == ["init"]


def test_a_broken_journal_halts_once_and_says_why(home: Path, stores: Stores) -> None:
    forge(home)

    halt_on_broken_journal(stores, FixedClock(NOW))
    halt_on_broken_journal(stores, FixedClock(NOW))

    (_, halted) = stores.trading_state.history()
    assert stores.trading_state.read() is TradingState.HALTED
    assert (halted.by, halted.at) == ("system", NOW)
    assert halted.reason.startswith("the journal does not hold: entry 2: the fields do not have the hash")


def test_a_resume_does_not_outlive_a_broken_journal(home: Path, stores: Stores) -> None:
    forge(home)
    halt_on_broken_journal(stores, FixedClock(NOW))
    stores.trading_state.write(TradingState.ACTIVE, by="alice", reason="it will be fine", at=NOW)

    halt_on_broken_journal(stores, FixedClock(NOW))

    assert stores.trading_state.read() is TradingState.HALTED


def test_a_journal_without_its_head_halts_too(home: Path, stores: Stores) -> None:
    with closing(sqlite3.connect(home / DATABASE_FILE, isolation_level=None)) as connection:
        connection.execute("DELETE FROM book_heads WHERE book = 'journal'")

    halt_on_broken_journal(stores, FixedClock(NOW))

    assert stores.trading_state.read() is TradingState.HALTED
    assert stores.trading_state.history()[-1].by == "system"


def test_verify_counts_what_it_proved_and_fails_on_a_forged_book(home: Path) -> None:
    proved = autofi("audit", "verify", AUTOFI_HOME=home)
    forge(home)
    broken = autofi("audit", "verify", AUTOFI_HOME=home)

    assert proved.stdout.startswith("VERIFIED 2 entries, 3 books, 0 artifacts, head ")
    assert (proved.exit_code, broken.exit_code) == (0, 1)
    assert broken.stdout.startswith("BROKEN at entry 2: book journal: entry 2")


def test_a_lost_anchor_names_its_command_which_accepts_the_books_and_is_journaled(home: Path) -> None:
    (home / f"{DATABASE_FILE}.anchor").unlink()

    lost = autofi("audit", "verify", AUTOFI_HOME=home)
    accepted = autofi("audit", "reanchor", "--reason", "disk was lost", "--as", "alice", "--yes", AUTOFI_HOME=home)
    proved = autofi("audit", "verify", AUTOFI_HOME=home)

    assert "autofi audit reanchor --reason WHY --yes" in lost.stderr
    assert accepted.stdout.startswith("books accepted as they are by alice, journal entry 3")
    assert proved.stdout.startswith("VERIFIED 3 entries")
    with open_stores(settings=Settings(home=home)) as stores:
        (entry,) = stores.journal.entries(kind="reanchor")
        assert (entry.subject, stores.journal.body(entry.sequence)) == ("alice", b'{"reason":"disk was lost"}')


def test_reanchor_does_nothing_until_it_is_confirmed(home: Path) -> None:
    anchor = home / f"{DATABASE_FILE}.anchor"
    anchor.unlink()

    refused = autofi("audit", "reanchor", "--reason", "disk was lost", AUTOFI_HOME=home)

    assert (refused.exit_code, anchor.exists()) == (2, False)
    assert "or add --yes" in refused.stderr


def test_reanchor_does_not_mend_a_forged_entry(home: Path) -> None:
    forge(home)

    autofi("audit", "reanchor", "--reason", "nothing to see", "--yes", AUTOFI_HOME=home)

    assert autofi("audit", "verify", AUTOFI_HOME=home).exit_code == 1
