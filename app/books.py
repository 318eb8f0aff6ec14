"""Which books a home belongs to: their identity is noted in the home, and no other database is taken for them."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Final

from app.settings import DATABASE_FILE, STRATEGIES_FILE
from domain.errors import ConfigurationInvalid
from memory.database import Database, open_database

if TYPE_CHECKING:
    from pathlib import Path

    from app.settings import Settings

BOOKS_FILE: Final = "books.json"
MOVE: Final = "or move this home to them, which halts trading: autofi books move --reason WHY --yes"


def is_set_up(settings: Settings) -> bool:
    """Whether `autofi init` was here, whatever became of the database since."""
    home = settings.home
    return any((home / name).is_file() for name in (BOOKS_FILE, DATABASE_FILE, STRATEGIES_FILE))


def require_home(settings: Settings) -> None:
    if not is_set_up(settings):
        raise ConfigurationInvalid(f"nothing is set up in {settings.home}; run `autofi init` (or set AUTOFI_HOME)")


def open_books(settings: Settings) -> Database:
    """The database of this home. Raises ConfigurationInvalid: books_missing, books_foreign, another version."""
    require_home(settings)
    database = open_database(settings.database, create=False, anchors=settings.home)
    try:
        require_own_books(settings, database)
    except BaseException:
        database.close()
        raise
    return database


def require_own_books(settings: Settings, database: Database) -> None:
    """Without a note a home belongs to the file in it and to nothing else."""
    noted, found = noted_identity(settings.home), database.identity()
    if noted is None and settings.database_url is None:
        return
    if noted != found:
        raise ConfigurationInvalid(
            f"books_foreign: database {database.name} holds books {found}, home {settings.home} belongs to "
            f"{noted or 'those in its own file'}; correct AUTOFI_DATABASE_URL, {MOVE}"
        )


def noted_identity(home: Path) -> str | None:
    """Raises ConfigurationInvalid where the note cannot be read."""
    file = home / BOOKS_FILE
    try:
        return str(json.loads(file.read_text())["identity"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ConfigurationInvalid(
            f"books_foreign: {file}, which says what books this home belongs to, is unreadable "
            f"({type(error).__name__}); restore it from a backup"
        ) from error


def note_identity(home: Path, identity: str) -> None:
    """Replaced as a whole, so that a crash leaves the old or the new note."""
    fresh = home / f"{BOOKS_FILE}.{os.getpid()}"
    fresh.write_text(json.dumps({"identity": identity}) + "\n")
    fresh.replace(home / BOOKS_FILE)
