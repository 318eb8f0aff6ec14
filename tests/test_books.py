"""Which books a home belongs to: only init begins some, and a home is led to others by one journaled act."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from pathlib import Path

import pytest

from app.books import BOOKS_FILE, note_identity
from app.policy_edit import replace_limit
from app.settings import (
    CONFIG_DIRECTORY,
    DATABASE_FILE,
    POLICY_FILE,
    STRATEGIES_FILE,
    Settings,
    load_catalog,
    load_policy,
)
from app.stores import open_stores
from domain.verdict import TradingState
from memory.database import open_database
from tests.builders import POLICY_PATH
from tests.processes import Answer, autofi

MOVE = ("books", "move", "--reason", "to the server", "--yes", "--as", "alice")
COMMANDS = (
    ["policy", "apply"],
    ["resume", "--reason", "me"],
    ["halt", "--reason", "me"],
    ["runs"],
    ["status"],
    ["audit", "list"],
    ["incident", "list"],
)


def make_books(file: Path) -> str:
    with closing(open_database(f"sqlite:///{file}")) as database:
        return database.identity()


def url_of(file: Path) -> str:
    return f"sqlite:///{file}"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home without a chain, as init leaves it, halted under the demo's policy."""
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    shutil.copyfile(POLICY_PATH, folder / POLICY_FILE)
    note_identity(folder, make_books(folder / DATABASE_FILE))
    assert autofi("policy", "apply", AUTOFI_HOME=folder).exit_code == 0
    assert autofi("halt", "--reason", "drill", AUTOFI_HOME=folder).exit_code == 0
    return folder


def refusal(answer: Answer) -> str:
    assert (answer.exit_code, answer.stdout) == (2, ""), answer
    (line,) = answer.stderr.splitlines()
    return line


def identity_of(home: Path) -> str:
    return str(json.loads((home / BOOKS_FILE).read_text())["identity"])


def test_books_keep_their_identity_and_two_never_share_one(tmp_path: Path) -> None:
    first, other = make_books(tmp_path / "a.db"), make_books(tmp_path / "b.db")

    assert make_books(tmp_path / "a.db") == first
    assert first != other


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_command_begins_books_where_there_are_none(home: Path, tmp_path: Path, command: list[str]) -> None:
    elsewhere = tmp_path / "other.db"

    message = refusal(autofi(*command, AUTOFI_HOME=home, AUTOFI_DATABASE_URL=url_of(elsewhere)))

    assert message.startswith("error: books_missing: ")
    assert str(elsewhere) in message
    assert "autofi books move" in message
    assert not elsewhere.exists()


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_command_takes_other_books_for_the_homes(home: Path, tmp_path: Path, command: list[str]) -> None:
    other = make_books(tmp_path / "other.db")

    message = refusal(autofi(*command, AUTOFI_HOME=home, AUTOFI_DATABASE_URL=url_of(tmp_path / "other.db")))

    assert message.startswith("error: books_foreign: ")
    assert other in message
    assert identity_of(home) in message


def test_an_empty_file_is_no_books(home: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()

    message = refusal(autofi("runs", AUTOFI_HOME=home, AUTOFI_DATABASE_URL=url_of(tmp_path / "empty.db")))

    assert message.startswith("error: books_missing: ")


def test_a_lost_database_is_not_replaced_by_an_empty_one(home: Path) -> None:
    (home / DATABASE_FILE).unlink()

    message = refusal(autofi("runs", AUTOFI_HOME=home))

    assert message.startswith("error: books_missing: ")
    assert not (home / DATABASE_FILE).exists()


def test_init_leads_no_home_to_other_books(home: Path, tmp_path: Path) -> None:
    make_books(tmp_path / "other.db")
    other = {"AUTOFI_DATABASE_URL": url_of(tmp_path / "other.db"), "AUTOFI_MODE": "shadow"}

    message = refusal(autofi("init", AUTOFI_HOME=home, **other))

    assert message.startswith("error: books_foreign: ")


def test_a_home_without_a_note_belongs_to_the_file_in_it(home: Path, tmp_path: Path) -> None:
    (home / BOOKS_FILE).unlink()
    make_books(tmp_path / "other.db")

    own = autofi("runs", AUTOFI_HOME=home)
    other = autofi("runs", AUTOFI_HOME=home, AUTOFI_DATABASE_URL=url_of(tmp_path / "other.db"))

    assert own.exit_code == 0
    assert refusal(other).startswith("error: books_foreign: ")


def test_init_notes_the_books_of_a_home_from_before_there_were_notes(home: Path) -> None:
    before = identity_of(home)
    (home / BOOKS_FILE).unlink()

    answer = autofi("init", AUTOFI_HOME=home, AUTOFI_MODE="shadow")

    assert answer.exit_code == 0
    assert identity_of(home) == before


def test_a_note_that_nobody_can_read_is_named(home: Path) -> None:
    (home / BOOKS_FILE).write_text("{")

    message = refusal(autofi("runs", AUTOFI_HOME=home))

    assert str(home / BOOKS_FILE) in message
    assert "restore it from a backup" in message


def test_a_move_needs_a_reason_and_a_yes(home: Path, tmp_path: Path) -> None:
    where = {"AUTOFI_HOME": home, "AUTOFI_DATABASE_URL": url_of(tmp_path / "other.db")}

    without_yes = refusal(autofi("books", "move", "--reason", "why not", **where))
    without_reason = refusal(autofi("books", "move", "--reason", " ", "--yes", **where))

    assert "add --yes" in without_yes
    assert "--reason has 0 characters" in without_reason
    assert not (tmp_path / "other.db").exists()


def test_a_move_is_journaled_halts_and_is_followed_from_then_on(home: Path, tmp_path: Path) -> None:
    old, other = identity_of(home), tmp_path / "other.db"
    where = {"AUTOFI_HOME": home, "AUTOFI_DATABASE_URL": url_of(other)}

    moved = autofi(*MOVE, **where)

    assert moved.exit_code == 0, moved
    assert autofi("books", "show", **where).stdout.split()[1] == identity_of(home) != old
    with open_stores(settings=Settings(home=home, database_url=url_of(other))) as stores:
        (entry,) = stores.journal.entries(kind="books_moved")
        body = json.loads(stores.journal.body(entry.sequence))
        assert stores.trading_state.read() is TradingState.HALTED
    assert body == {"by": "alice", "from": old, "reason": "to the server", "to": identity_of(home)}
    assert refusal(autofi("runs", AUTOFI_HOME=home)).startswith("error: books_foreign: ")


def test_a_move_takes_the_policy_in_force_along_and_the_file_waits(home: Path, tmp_path: Path) -> None:
    in_force = load_policy(home / POLICY_FILE).digest()
    where = {"AUTOFI_HOME": home, "AUTOFI_DATABASE_URL": url_of(tmp_path / "other.db")}
    replace_limit(home / POLICY_FILE, "budgets", "max_week_value_usd", "9_000_000")

    autofi(*MOVE, **where)
    (event,) = json.loads(autofi("policy", "apply", "--json", **where).stdout)
    shown = json.loads(autofi("policy", "show", "--json", **where).stdout)

    assert event["kind"] == "policy_proposed"
    assert shown["digest"] == in_force


def test_a_move_takes_the_catalog_in_force_along_and_the_file_waits(home: Path, tmp_path: Path) -> None:
    shipped = CONFIG_DIRECTORY / STRATEGIES_FILE
    where = {"AUTOFI_HOME": home, "AUTOFI_DATABASE_URL": url_of(tmp_path / "other.db")}
    slower = shipped.read_text().replace("feed_heartbeat_seconds = ", "feed_heartbeat_seconds = 1000", 1)
    (home / STRATEGIES_FILE).write_text(slower)

    autofi(*MOVE, **where)
    (event,) = json.loads(autofi("policy", "apply", "--json", **where).stdout)
    shown = json.loads(autofi("policy", "show", "--json", **where).stdout)

    assert event["kind"] == "catalog_proposed"
    assert shown["catalog"]["digest"] == load_catalog(shipped).digest()


def test_a_move_to_the_same_books_is_refused(home: Path) -> None:
    assert "nothing was moved" in refusal(autofi(*MOVE, AUTOFI_HOME=home))


def test_a_home_whose_database_is_lost_can_begin_anew_and_is_halted(home: Path) -> None:
    """The old anchor still lies beside the new file: the act accepts that."""
    (home / DATABASE_FILE).unlink()

    moved = autofi(*MOVE, AUTOFI_HOME=home)

    assert moved.exit_code == 0, moved
    assert autofi("audit", "verify", AUTOFI_HOME=home).exit_code == 0
    with open_stores(settings=Settings(home=home)) as stores:
        assert stores.trading_state.problem() is None
        assert stores.trading_state.read() is TradingState.HALTED
