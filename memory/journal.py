"""The journal: append-only and hash-chained, every body stored beside its entry."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from datetime import datetime

from sqlalchemy import Connection, select

from domain.digest import sha256_hex
from domain.errors import AutofiError, StoreUnavailable, UnknownSubject
from domain.journal import JournalEntry, Verification
from domain.ports import Journal
from memory import books
from memory.database import Database
from memory.hash_chain import Book, Head, Link
from memory.proof import Records, prove
from memory.tables import artifacts, book_entries

_BOOK = book_entries.c.book == Book.JOURNAL
_ENTRY_COLUMNS = tuple(book_entries.c[name] for name in JournalEntry.model_fields)


class SqlJournal(Journal):
    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, *, kind: str, subject: str, body: bytes, at: datetime) -> JournalEntry:
        with self._database.writing() as connection:
            return books.append(connection, Book.JOURNAL, kind=kind, subject=subject, body=body, at=at)

    def entries(self, *, kind: str | None = None, limit: int = 1000) -> Sequence[JournalEntry]:
        """The newest ones, oldest first."""
        chosen = select(*_ENTRY_COLUMNS).where(_BOOK).order_by(book_entries.c.sequence.desc()).limit(limit)
        if kind is not None:
            chosen = chosen.where(book_entries.c.kind == kind)
        with self._database.reading() as connection:
            rows = connection.execute(chosen).mappings().all()
            return tuple(JournalEntry.model_validate(dict(row)) for row in reversed(rows))

    def body(self, sequence: int) -> bytes:
        with self._database.reading() as connection:
            return read_body(connection, sequence)

    def verify(self) -> Verification:
        """All records, not the journal alone: see memory.proof."""
        anchors = self._database.anchors()
        with self._database.reading() as connection:
            return prove(_StoredRecords(connection), anchors)

    def problem(self) -> str | None:
        """Walks the journal and says why it may not be trusted, for a person; None when it may."""
        try:
            anchor = self._database.anchored(Book.JOURNAL)
            with self._database.reading() as connection:
                return books.walk_all(connection, Book.JOURNAL, anchor=anchor).problem
        except AutofiError as error:
            return str(error)


class _StoredRecords(Records):
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def head(self, book: Book) -> Head | None:
        return books.head_of(self._connection, book)

    def links(self, book: Book) -> Generator[Link, None, None]:
        return books.links(self._connection, book)

    def artifacts(self) -> Iterator[tuple[str, bytes]]:
        """One at a time: each may be large."""
        chosen = select(artifacts.c.digest, artifacts.c.content).order_by(artifacts.c.digest)
        with self._connection.execute(chosen.execution_options(yield_per=1)) as rows:
            for row in rows:
                yield row.digest, row.content


def read_body(connection: Connection, sequence: int) -> bytes:
    """Raises StoreUnavailable when the body is not the one that was recorded."""
    chosen = select(book_entries.c.body, book_entries.c.body_digest).where(_BOOK, book_entries.c.sequence == sequence)
    row = connection.execute(chosen).one_or_none()
    if row is None:
        raise UnknownSubject(f"journal entry {sequence} does not exist")
    if not isinstance(row.body, bytes) or sha256_hex(row.body) != row.body_digest:
        raise StoreUnavailable(f"journal entry {sequence}: the body does not have the digest recorded for it")
    return row.body
