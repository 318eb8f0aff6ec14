"""Opening a database: its version, its side files, its errors."""

from __future__ import annotations

import multiprocessing
import sqlite3
import stat
import threading
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import insert, inspect, select

from domain.errors import ConfigurationInvalid, InvariantBroken, StoreUnavailable
from memory import books, schema
from memory.database import Database, open_database
from memory.hash_chain import Book, genesis
from memory.journal import SqlJournal
from memory.tables import ExactNumber, UtcMoment, artifacts, metadata, prices
from tests.builders import NOW


def url_of(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'autofi.db'}"


@pytest.fixture
def database(tmp_path):
    opened = open_database(url_of(tmp_path))
    yield opened
    opened.close()


def make_older(tmp_path: Path, *, with_rows: bool) -> None:
    """A database as revision 0001 left it."""
    opened = open_database(url_of(tmp_path))
    opened.close()
    with closing(sqlite3.connect(tmp_path / "autofi.db", isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER book_entries_no_update")
        connection.execute("DROP TRIGGER book_entries_no_delete")
        connection.execute("DROP TABLE books_identity")
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
        if with_rows:
            connection.execute("INSERT INTO artifacts VALUES (?, 1, x'00')", ("a" * 64,))


def test_migrations_lead_to_exactly_the_tables_that_the_code_uses(database):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with database.reading() as connection:
        differences = compare_metadata(MigrationContext.configure(connection, opts={"compare_type": False}), metadata)

    assert differences == []


def test_column_types_of_migrations_and_code_agree(database):
    found = inspect(database.engine)

    for table in metadata.sorted_tables:
        migrated = {column["name"]: str(column["type"]) for column in found.get_columns(table.name)}
        declared = {
            column.name: column.type.dialect_impl(database.engine.dialect).compile(database.engine.dialect)
            for column in table.columns
        }
        assert migrated == declared


def test_the_known_revision_is_the_newest_migration():
    from alembic.script import ScriptDirectory

    assert ScriptDirectory(str(schema._MIGRATIONS)).get_current_head() == schema.SCHEMA_REVISION


def test_books_of_a_new_database_start_at_their_genesis(database):
    with database.reading() as connection:
        heads = {book: books.head_of(connection, book) for book in Book}

    assert heads == {book: genesis(book) for book in Book}


def test_sqlite_runs_with_the_settings_that_survive_a_power_cut(database):
    with database.reading() as connection:
        values = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        ]

    assert values == ["wal", 2, 1, 30_000]


def test_a_new_database_is_readable_by_its_owner_only(database, tmp_path):
    assert stat.S_IMODE((tmp_path / "autofi.db").stat().st_mode) == 0o600


def test_opening_again_changes_nothing(database, tmp_path):
    SqlJournal(database).append(kind="run", subject="r", body=b"{}", at=NOW)

    again = open_database(url_of(tmp_path))

    assert SqlJournal(again).verify().entries == 1
    again.close()


def test_an_older_database_with_rows_is_refused_with_the_fix(tmp_path):
    make_older(tmp_path, with_rows=True)

    with pytest.raises(ConfigurationInvalid, match=r"revision 0001, this version needs 0003: run `autofi init`"):
        open_database(url_of(tmp_path))


def test_an_older_database_with_rows_is_upgraded_on_request(tmp_path):
    make_older(tmp_path, with_rows=True)

    upgraded = open_database(url_of(tmp_path), upgrade=True)

    with upgraded.reading() as connection:
        assert connection.execute(select(artifacts.c.size_bytes)).scalars().all() == [1]
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == "0003"
    upgraded.close()


def test_an_older_empty_database_is_upgraded_on_opening(tmp_path):
    make_older(tmp_path, with_rows=False)

    upgraded = open_database(url_of(tmp_path))

    with upgraded.reading() as connection:
        triggers = connection.exec_driver_sql("SELECT count(*) FROM sqlite_master WHERE type = 'trigger'").scalar()
    assert triggers == 2
    upgraded.close()


def test_a_newer_database_is_refused(database, tmp_path):
    with database.writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0004'")

    with pytest.raises(ConfigurationInvalid, match=r"revision 0004, newer than 0003: update this program"):
        open_database(url_of(tmp_path), upgrade=True)


def test_a_database_of_another_program_is_refused(tmp_path):
    with closing(sqlite3.connect(tmp_path / "autofi.db")) as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")

    with pytest.raises(ConfigurationInvalid, match="not ours"):
        open_database(url_of(tmp_path))


def test_a_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / "autofi.db").write_bytes(b"this is not a database" * 100)

    with pytest.raises(StoreUnavailable, match=r"autofi\.db failed: file is not a database"):
        open_database(url_of(tmp_path))


def test_a_damaged_page_is_store_unavailable_and_not_a_library_error(database, tmp_path):
    for number in range(200):
        SqlJournal(database).append(kind="run", subject=f"r{number}", body=bytes(500), at=NOW)
    database.close()
    damage(tmp_path / "autofi.db")

    reopened = Database(database.engine, name="autofi.db", anchor=None)
    with pytest.raises(StoreUnavailable, match=r"autofi\.db"):
        SqlJournal(reopened).verify()
    reopened.close()


def damage(file: Path) -> None:
    content = bytearray(file.read_bytes())
    for page in range(8, len(content) // 4096):
        content[page * 4096 : page * 4096 + 100] = b"\xff" * 100
    file.write_bytes(content)
    file.with_name("autofi.db-wal").unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("nonsense", "must look like"),
        ("mysql://host/db", "must be sqlite or postgresql, got mysql"),
        ("sqlite://", "must be a file"),
        ("sqlite:////nowhere-at-all/autofi.db", "/nowhere-at-all of database autofi.db does not exist"),
    ],
)
def test_an_unusable_url_is_a_configuration_error(url, problem):
    with pytest.raises(ConfigurationInvalid, match=problem):
        open_database(url)


def test_a_failed_transaction_leaves_nothing(database):
    def write_then_fail() -> None:
        with database.writing() as connection:
            books.append(connection, Book.JOURNAL, kind="run", subject="r", body=b"{}", at=NOW)
            raise KeyError("crash")

    with pytest.raises(KeyError):
        write_then_fail()

    assert SqlJournal(database).verify().entries == 0
    assert database.anchor.read()[Book.JOURNAL].sequence == 0


def test_a_moment_outside_utc_is_a_broken_invariant(database):
    naive = datetime(2026, 1, 1)  # noqa: DTZ001  # the mistake under test

    with pytest.raises(InvariantBroken, match="UTC"):
        insert_price(database, Decimal(1), naive)


def insert_price(database: Database, price: Decimal, moment: datetime) -> None:
    row = {"chain_id": 1, "block_number": 1, "token": "dai", "source": "oracle", "price_usd": price}
    with database.writing() as connection:
        connection.execute(insert(prices).values(**row, block_time=moment, observed_at=moment))


def test_numbers_and_moments_survive_exactly(database):
    price = Decimal("123456789012345678901234567890.000000000000000001")
    moment = datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC)
    insert_price(database, price, moment)

    with database.reading() as connection:
        found = connection.execute(select(prices.c.price_usd, prices.c.block_time)).one()

    assert found == (price, moment)
    assert isinstance(prices.c.price_usd.type, ExactNumber)
    assert isinstance(prices.c.block_time.type, UtcMoment)


def open_and_append(url: str, name: str) -> None:
    opened = open_database(url)
    for number in range(20):
        SqlJournal(opened).append(kind="run", subject=f"{name}-{number}", body=b"{}", at=NOW)
    opened.close()


def test_two_processes_may_open_an_empty_database_at_once_and_share_its_journal(tmp_path):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=open_and_append, args=(url_of(tmp_path), name)) for name in ("a", "b")]

    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=60)

    assert [worker.exitcode for worker in workers] == [0, 0]
    database = open_database(url_of(tmp_path))
    verified = SqlJournal(database).verify()
    database.close()
    assert (verified.is_verified, verified.entries) == (True, 40)


def test_a_database_that_another_process_is_changing_is_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "busy.db"
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    release = threading.Timer(0.3, lambda: other.execute("COMMIT"))
    release.start()

    database = open_database(f"sqlite:///{file}")

    database.close()
    release.join()
    other.close()
