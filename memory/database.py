"""The database: SQLite by default, PostgreSQL by URL; one writer at a time, errors in our own words."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import InvalidOperation
from pathlib import Path
from typing import Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, select, text
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from tenacity import Retrying, retry_if_exception_message, stop_after_delay, wait_random

from domain.errors import AutofiError, ConfigurationInvalid, InvariantBroken, StoreUnavailable
from memory import books, schema
from memory.anchor import Anchor, anchor_path, server_anchor_path
from memory.hash_chain import Book, Head
from memory.tables import books_identity

BUSY_TIMEOUT_SECONDS: Final = 30
WRITER_LOCK: Final = 0x4155_544F  # key of PostgreSQL's advisory lock: one writer, so that chains never fork
_WRITES: Final = "autofi_writes"


def open_database(url: str, *, upgrade: bool = False, create: bool = True, anchors: Path | None = None) -> Database:
    """An empty database gets the tables; where none may be created it is refused as `books_missing`.

    One of an older version is refused, unless told to upgrade it. `anchors` is the folder for the anchor of a database
    that is no file; without it nothing would show a rollback.
    """
    parsed = _parse(url)
    file = _sqlite_file(parsed, create=create)
    database = Database(_engine(parsed), name=_name(parsed), anchor=_anchor(parsed, file, anchors))
    try:
        with database.translated():
            schema.settle(database.engine, database.writer, name=database.name, upgrade=upgrade, create=create)
        database.start_anchor()
    except AutofiError:
        database.close()
        raise
    return database


class Database:
    """Transactions for the stores. Nothing else in the product holds an engine."""

    def __init__(self, engine: Engine, *, name: str, anchor: Anchor | None) -> None:
        self.engine = engine
        self.name = name
        self.anchor = anchor
        self.writer = engine.execution_options(**{_WRITES: True})
        is_postgres = engine.dialect.name == "postgresql"
        self._reader = engine.execution_options(isolation_level="REPEATABLE READ") if is_postgres else engine

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent view."""
        with self.translated(), self._reader.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Exclusive among all processes from the first statement; durable when the block is left."""
        with self.translated(), self.writer.connect() as connection:
            connection.info.pop(books.TOUCHED, None)
            with connection.begin():
                if self.engine.dialect.name == "postgresql":
                    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": WRITER_LOCK})
                yield connection
                advanced = self._advanced(connection, connection.info.pop(books.TOUCHED, {}))
            if self.anchor is not None and advanced:
                self.anchor.write(advanced)

    def identity(self) -> str:
        """Which books these are; a copy has the same."""
        with self.reading() as connection:
            found: str | None = connection.execute(select(books_identity.c.identity)).scalar_one_or_none()
        if found is None:
            raise StoreUnavailable(f"database {self.name} lost the identity of its books: restore it from a backup")
        return found

    def anchored(self, book: Book) -> Head | None:
        """What was noted outside the database. Raises StoreUnavailable when the note is lost."""
        return self.anchors().get(book)

    def anchors(self) -> Mapping[Book, Head]:
        """Of every book; empty where no anchor is kept."""
        return {} if self.anchor is None else self.anchor.read()

    def is_new_here(self) -> bool:
        """On a server, already written to, and without an anchor on this host; true of a lost one, too."""
        is_server = self.engine.dialect.name == "postgresql"
        return is_server and self.anchor is not None and not self.anchor.exists()

    def is_unwritten(self) -> bool:
        """Whether no book has a single entry."""
        return all(head is not None and head.sequence == 0 for head in self._heads().values())

    def start_anchor(self) -> None:
        """Only for books without a single entry: a missing anchor beside a used database is evidence of loss."""
        if self.anchor is not None and not self.anchor.exists() and self.is_unwritten():
            self.reanchor()

    def reanchor(self) -> None:
        """An operator's act after restoring a backup: take the books as they are now as complete.

        What the books themselves contradict stays broken.
        """
        if self.anchor is not None:
            self.anchor.write({book: head for book, head in self._heads().items() if head is not None})

    def _heads(self) -> dict[Book, Head | None]:
        with self.reading() as connection:
            return {book: books.head_of(connection, book) for book in Book}

    def _advanced(self, connection: Connection, touched: dict[Book, Head]) -> dict[Book, Head]:
        """The anchor to write, or nothing. A book that lost what was noted keeps its old note for ever."""
        if self.anchor is None or not touched:
            return {}
        try:
            noted = dict(self.anchor.read())
        except StoreUnavailable:  # the readers of the books say so; writing a fresh one would hide the loss
            return {}
        kept = {book for book in touched if book in noted and books.contains(connection, book, noted[book])}
        return {**noted, **{book: touched[book] for book in kept}}

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Library errors become ours: a refused row is a broken invariant, anything else an unusable store."""
        try:
            yield
        except IntegrityError as error:
            raise InvariantBroken(f"database {self.name} refused a row: {error.orig}") from error
        except (DBAPIError, sqlite3.Error, PoolTimeout) as error:
            cause = getattr(error, "orig", error)
            # The driver's own subclasses stand for a lock or a full disk; the bare class is a damaged file.
            fix = "; the file is damaged: restore it from a backup" if type(cause) is sqlite3.DatabaseError else ""
            raise StoreUnavailable(f"database {self.name} failed: {cause}{fix}") from error
        except StatementError as error:
            raise (error.orig if isinstance(error.orig, AutofiError) else error) from error
        except (ValueError, InvalidOperation) as error:
            raise StoreUnavailable(f"database {self.name} holds an unreadable row: {error}") from error

    def close(self) -> None:
        self.engine.dispose()


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigurationInvalid("the database URL must look like sqlite:///file or postgresql://...") from error
    if parsed.get_backend_name() not in {"sqlite", "postgresql"}:
        raise ConfigurationInvalid(f"the database must be sqlite or postgresql, got {parsed.get_backend_name()}")
    return parsed


def _sqlite_file(url: URL, *, create: bool) -> Path | None:
    if url.get_backend_name() != "sqlite":
        return None
    if url.database is None or url.database in {"", ":memory:"}:
        raise ConfigurationInvalid("the SQLite database must be a file (sqlite:///file): memory survives no crash")
    file = Path(url.database)
    if not create and not file.exists():
        raise schema.books_missing(url.database)
    if not file.parent.is_dir():
        raise ConfigurationInvalid(f"the folder {file.parent} of database {file.name} does not exist; create it")
    _make_private(file)
    return file


def _make_private(file: Path) -> None:
    """Nobody else may read a new database; SQLite gives its side files the same mode."""
    try:
        if not file.exists():
            file.touch(mode=0o600)
    except OSError as error:
        raise ConfigurationInvalid(f"database {file} cannot be created: {error.strerror}") from error


def _name(url: URL) -> str:
    return url.database or "" if url.get_backend_name() == "sqlite" else url.render_as_string(hide_password=True)


def _anchor(url: URL, file: Path | None, folder: Path | None) -> Anchor | None:
    if file is not None:
        return Anchor(anchor_path(file))
    if folder is None:
        return None
    if not folder.is_dir():
        raise ConfigurationInvalid(f"{folder}, where the anchor of database {_name(url)} belongs, is no directory")
    return Anchor(server_anchor_path(folder, url.database or url.username or ""))


def _engine(url: URL) -> Engine:
    """Parameters never appear in errors: they hold amounts and addresses."""
    try:
        if url.get_backend_name() == "postgresql":
            return create_engine(url, hide_parameters=True, pool_pre_ping=True)
        engine = create_engine(url, hide_parameters=True, connect_args={"timeout": BUSY_TIMEOUT_SECONDS})
    except (ImportError, NoSuchModuleError) as error:
        raise ConfigurationInvalid(f"no driver for {url.drivername}: {error}") from error
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # we begin transactions ourselves: the driver would begin them too late
    # Two processes that start at once: while one changes or recovers the log, SQLite does not let the other wait.
    patience = Retrying(
        retry=retry_if_exception_message(match="database is locked"),
        wait=wait_random(0.01, 0.1),
        stop=stop_after_delay(BUSY_TIMEOUT_SECONDS),
        reraise=True,
    )
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        patience(connection.execute, f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
