"""Which version a database has, and bringing it up to this code's version. Alembic is imported only to migrate."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, column, inspect, select, table

from domain.errors import ConfigurationInvalid
from memory.tables import schema_version

SCHEMA_REVISION: Final = "0003"
"""The newest file in migrations/versions. Revisions are numbered, so that older and newer can be told apart."""
_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_SEEDED: Final = {"alembic_version", "book_heads", "books_identity"}


def settle(engine: Engine, writer: Engine, *, name: str, upgrade: bool, create: bool) -> None:
    """Return only when the database has exactly this code's version; tables are made only where `create` says so."""
    with engine.connect() as connection:
        tables = set(inspect(connection).get_table_names())
        found = _revision(connection, tables)
        is_empty = not any(_has_rows(connection, each) for each in tables - _SEEDED)
    if found == SCHEMA_REVISION:
        return
    if not tables:
        if not create:
            raise books_missing(name)
        migrate(writer)
        return
    _refuse_foreign(found, tables, name)
    if not (upgrade or is_empty):
        raise ConfigurationInvalid(
            f"database {name} has schema revision {found}, this version needs {SCHEMA_REVISION}: run `autofi init`"
        )
    migrate(writer)


def migrate(writer: Engine, *, revision: str = "head") -> None:
    """In one transaction under the writer lock: two starting processes migrate once, a crash leaves the old version."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    with writer.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def books_missing(name: str) -> ConfigurationInvalid:
    return ConfigurationInvalid(
        f"books_missing: database {name} holds no books, and only `autofi init` begins some: restore it from a backup, "
        "correct AUTOFI_DATABASE_URL, or begin new books, which start halted: autofi books move --reason WHY --yes"
    )


def _revision(connection: Connection, tables: set[str]) -> str | None:
    if schema_version.name not in tables:
        return None
    found: str | None = connection.execute(select(schema_version.c.version_num)).scalar()
    return found


def _has_rows(connection: Connection, name: str) -> bool:
    return (
        connection.execute(select(column("1", is_literal=True)).select_from(table(name)).limit(1)).first() is not None
    )


def _refuse_foreign(found: str | None, tables: set[str], name: str) -> None:
    if found is None:
        raise ConfigurationInvalid(
            f"database {name} has {len(tables)} tables and no schema revision: not ours; name another database"
        )
    if found > SCHEMA_REVISION:
        raise ConfigurationInvalid(
            f"database {name} has schema revision {found}, newer than {SCHEMA_REVISION}: update this program"
        )
