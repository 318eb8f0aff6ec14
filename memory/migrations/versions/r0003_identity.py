"""Books get an identity of their own, so that a home notices when it is led to others."""

from __future__ import annotations

import uuid

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    identity = op.create_table("books_identity", sa.Column("identity", sa.String(32), primary_key=True))
    op.bulk_insert(identity, [{"identity": uuid.uuid4().hex}])
