"""Verifying the journal of a SQLite database with the standard library alone: starts fast, trusts no engine."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from domain.errors import StoreUnavailable
from domain.journal import Verification
from memory.anchor import Anchor, anchor_path
from memory.hash_chain import Book, Head, Link, genesis, verification, walk


def verify_file(file: Path) -> Verification:
    """The same walk as Journal.verify. Raises StoreUnavailable when file or anchor cannot be read."""
    if not file.is_file():
        raise StoreUnavailable(f"database {file} does not exist")
    anchor = Anchor(anchor_path(file)).read()[Book.JOURNAL]
    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True, timeout=30)) as connection:
            connection.execute("BEGIN")  # one view, however long the walk takes
            head = _head(connection)
            return verification(walk(_links(connection), start=genesis(Book.JOURNAL), head=head, anchor=anchor))
    except sqlite3.Error as error:
        fix = "; the file is damaged: restore it from a backup" if type(error) is sqlite3.DatabaseError else ""
        raise StoreUnavailable(f"database {file} cannot be read: {error}{fix}") from error


def _head(connection: sqlite3.Connection) -> Head | None:
    query = "SELECT sequence, entry_hash FROM book_heads WHERE book = ?"
    row = connection.execute(query, (Book.JOURNAL,)).fetchone()
    return None if row is None else Head(*row)


def _links(connection: sqlite3.Connection) -> Iterator[Link]:
    query = f"SELECT {', '.join(Link._fields)} FROM book_entries WHERE book = ? ORDER BY sequence"
    return map(Link._make, connection.execute(query, (Book.JOURNAL,)))
