"""Proving all records of a SQLite database with the standard library alone: starts fast, trusts no engine."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path

from domain.errors import StoreUnavailable
from domain.journal import Verification
from memory.anchor import Anchor, anchor_path
from memory.hash_chain import Book, Head, Link
from memory.proof import Records, prove


def verify_file(file: Path) -> Verification:
    """The same proof as Journal.verify. Raises StoreUnavailable when file or anchor cannot be read."""
    if not file.is_file():
        raise StoreUnavailable(f"database {file} does not exist")
    anchors = Anchor(anchor_path(file)).read()
    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True, timeout=30)) as connection:
            connection.execute("BEGIN")  # one view, however long the walk takes
            return prove(_FileRecords(connection), anchors)
    except sqlite3.Error as error:
        fix = "; the file is damaged: restore it from a backup" if type(error) is sqlite3.DatabaseError else ""
        raise StoreUnavailable(f"database {file} cannot be read: {error}{fix}") from error


class _FileRecords(Records):
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def head(self, book: Book) -> Head | None:
        query = "SELECT sequence, entry_hash FROM book_heads WHERE book = ?"
        row = self._connection.execute(query, (book,)).fetchone()
        return None if row is None else Head(*row)

    def links(self, book: Book) -> Generator[Link, None, None]:
        query = f"SELECT {', '.join(Link._fields)} FROM book_entries WHERE book = ? ORDER BY sequence"
        yield from map(Link._make, self._connection.execute(query, (book,)))

    def artifacts(self) -> Iterator[tuple[str, bytes]]:
        return self._connection.execute("SELECT digest, content FROM artifacts ORDER BY digest")
