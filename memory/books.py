"""Appending to and reading the hash-chained books, inside a transaction that the caller holds."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Connection, insert, select, update

from domain.digest import sha256_hex
from domain.errors import InvariantBroken, StoreUnavailable
from domain.journal import JournalEntry
from memory.hash_chain import Book, Head, Link, Walk, genesis, walk
from memory.tables import book_entries, book_heads, moment_text

TOUCHED: Final = "autofi_touched_books"
_FIELDS: Final = tuple(book_entries.c[name] for name in Link._fields)
_ROWS_PER_FETCH: Final = 500


def append(connection: Connection, book: Book, *, kind: str, subject: str, body: bytes, at: datetime) -> JournalEntry:
    """The next entry of the book. Raises StoreUnavailable when the book has lost its head."""
    head = head_of(connection, book)
    if head is None:
        raise StoreUnavailable(f"book {book} has no head row: the database was damaged")
    entry = _following(head, kind=kind, subject=subject, body=body, at=at)
    connection.execute(insert(book_entries).values(**_row(entry, book, body)))
    moved = update(book_heads).where(book_heads.c.book == book, book_heads.c.sequence == head.sequence)
    connection.execute(moved.values(sequence=entry.sequence, entry_hash=entry.entry_hash))
    connection.info.setdefault(TOUCHED, {})[book] = Head(entry.sequence, entry.entry_hash)
    return entry


def _following(head: Head, *, kind: str, subject: str, body: bytes, at: datetime) -> JournalEntry:
    sequence, body_digest = head.sequence + 1, sha256_hex(body)
    link_hash = JournalEntry.hash_of(
        sequence=sequence, recorded_at=at, kind=kind, subject=subject, body_digest=body_digest, previous=head.entry_hash
    )
    try:
        return JournalEntry(
            sequence=sequence,
            recorded_at=at,
            kind=kind,
            subject=subject,
            body_digest=body_digest,
            previous_hash=head.entry_hash,
            entry_hash=link_hash,
        )
    except ValueError as error:
        raise InvariantBroken(f"an entry of kind {kind!r} about {subject!r} is malformed: {error}") from error


def _row(entry: JournalEntry, book: Book, body: bytes) -> dict[str, object]:
    return {
        **entry.model_dump(exclude={"recorded_at"}),
        "recorded_at": moment_text(entry.recorded_at),
        "book": book.value,
        "body": body,
    }


def head_of(connection: Connection, book: Book) -> Head | None:
    row = connection.execute(
        select(book_heads.c.sequence, book_heads.c.entry_hash).where(book_heads.c.book == book)
    ).one_or_none()
    return None if row is None else Head(row.sequence, row.entry_hash)


def links(connection: Connection, book: Book, *where: ColumnElement[bool]) -> Generator[Link, None, None]:
    """Rows in order of sequence, a bounded number in memory at a time."""
    chosen = select(*_FIELDS).where(book_entries.c.book == book, *where).order_by(book_entries.c.sequence)
    # On the statement: on the connection the option would stay and break what follows.
    with connection.execute(chosen.execution_options(yield_per=_ROWS_PER_FETCH)) as rows:
        for row in rows:
            yield Link(*row)


def walk_all(connection: Connection, book: Book, *, anchor: Head | None) -> Walk:
    """The whole book against its head row and its anchor."""
    with closing(links(connection, book)) as every:
        return walk(every, start=genesis(book), head=head_of(connection, book), anchor=anchor)


def contains(connection: Connection, book: Book, noted: Head) -> bool:
    """Whether the book still has the entry that was noted as its head."""
    if noted.sequence == 0:
        return True
    row = connection.execute(
        select(book_entries.c.entry_hash).where(book_entries.c.book == book, book_entries.c.sequence == noted.sequence)
    ).one_or_none()
    return row is not None and row.entry_hash == noted.entry_hash
