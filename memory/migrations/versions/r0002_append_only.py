"""Book entries become append-only: the database itself refuses to change or delete one."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"

POSTGRES = (
    "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'book entries are append-only'; END $$",
    "CREATE TRIGGER book_entries_append_only BEFORE UPDATE OR DELETE ON book_entries "
    "FOR EACH ROW EXECUTE FUNCTION refuse_change()",
    "CREATE TRIGGER book_entries_no_truncate BEFORE TRUNCATE ON book_entries "
    "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
)
SQLITE = tuple(
    f"CREATE TRIGGER book_entries_no_{action.lower()} BEFORE {action} ON book_entries "
    "BEGIN SELECT RAISE(ABORT, 'book entries are append-only'); END"
    for action in ("UPDATE", "DELETE")
)


def upgrade() -> None:
    for statement in POSTGRES if op.get_bind().dialect.name == "postgresql" else SQLITE:
        op.execute(statement)
