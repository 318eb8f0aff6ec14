"""A small file outside the database that notes how far its books were written, so that a rolled-back copy shows."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Mapping
from pathlib import Path

from domain.errors import StoreUnavailable
from memory.hash_chain import Book, Head


def anchor_path(database_file: Path) -> Path:
    return database_file.with_name(f"{database_file.name}.anchor")


def server_anchor_path(folder: Path, database: str) -> Path:
    """Of a database on a server. Every host keeps its own, which lags by what the others wrote."""
    return folder / f"{re.sub(r'[^A-Za-z0-9_-]', '_', database)}.postgresql.anchor"


class Anchor:
    """May lag behind the database after a crash, never lead; a book shorter than its anchor was rolled back."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def exists(self) -> bool:
        return self.path.exists()

    def read(self) -> Mapping[Book, Head]:
        try:
            noted = json.loads(self.path.read_text())
            return {book: Head(int(noted[book][0]), str(noted[book][1])) for book in Book}
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise StoreUnavailable(
                f"anchor {self.path} is missing or unreadable: {type(error).__name__}; restore it from the backup "
                "together with the database, or accept the books as they are: autofi audit reanchor --reason WHY --yes"
            ) from error

    def write(self, heads: Mapping[Book, Head]) -> None:
        """Replaced as a whole, so that a crash leaves the old or the new file."""
        text = json.dumps({book.value: list(head) for book, head in heads.items()}, sort_keys=True)
        fresh = self.path.with_name(f"{self.path.name}.{os.getpid()}-{threading.get_ident()}")
        try:
            with fresh.open("w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self.path)
        except OSError as error:
            raise StoreUnavailable(f"anchor {self.path} cannot be written: {error.strerror}") from error
