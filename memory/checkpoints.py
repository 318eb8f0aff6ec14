"""Checkpoints of the graph's state, in a SQLite file of their own beside the database."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Final

from domain.errors import StoreUnavailable

if TYPE_CHECKING:
    from langgraph.checkpoint.sqlite import SqliteSaver

BUSY_TIMEOUT_SECONDS: Final = 30
STRICT: Final = "LANGGRAPH_STRICT_MSGPACK"


def open_checkpointer(path: Path) -> SqliteSaver:
    """A saver on its own connection; close it with `saver.conn.close()`.

    NORMAL instead of FULL: a power cut may cost the last checkpoints, never their order, and the execution journal
    (which is FULL) decides what was sent.
    """
    os.environ.setdefault(STRICT, "true")  # langgraph reads it when it is imported, to derive its own allowlist too
    from langgraph.checkpoint.sqlite import SqliteSaver

    from memory.checkpoint_serializer import StrictSerializer

    try:
        if not path.exists():
            path.touch(mode=0o600)
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_SECONDS, check_same_thread=False)
        connection.execute("PRAGMA synchronous=NORMAL")
        saver = SqliteSaver(connection, serde=StrictSerializer())
        saver.setup()
    except (OSError, sqlite3.Error) as error:
        raise StoreUnavailable(f"checkpoint file {path} cannot be used: {error}; delete it to start afresh") from error
    return saver
