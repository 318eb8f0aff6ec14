"""The first tables; types are spelled out here, because a migration must not change when the code does."""

from __future__ import annotations

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    _create_books()
    _create_observations()
    _create_decisions()
    _create_execution()


def _key(length: int) -> sa.String:
    return sa.String(length)


def _create_books() -> None:
    op.create_table(
        "book_entries",
        sa.Column("book", _key(16), primary_key=True),
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("recorded_at", _key(32), nullable=False),
        sa.Column("kind", _key(48), nullable=False),
        sa.Column("subject", _key(120), nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("body_digest", _key(64), nullable=False),
        sa.Column("previous_hash", _key(64), nullable=False),
        sa.Column("entry_hash", _key(64), nullable=False),
    )
    op.create_index("ix_book_entries_subject", "book_entries", ["book", "subject"])
    op.create_index("ix_book_entries_recorded_at", "book_entries", ["book", "recorded_at"])
    heads = op.create_table(
        "book_heads",
        sa.Column("book", _key(16), primary_key=True),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("entry_hash", _key(64), nullable=False),
    )
    op.bulk_insert(
        heads,
        [
            {"book": "journal", "sequence": 0, "entry_hash": "0" * 64},
            {"book": "budget", "sequence": 0, "entry_hash": hashlib.sha256(b"autofi-book-budget").hexdigest()},
            {"book": "trading", "sequence": 0, "entry_hash": hashlib.sha256(b"autofi-book-trading").hexdigest()},
        ],
    )


def _create_observations() -> None:
    op.create_table(
        "artifacts",
        sa.Column("digest", _key(64), primary_key=True),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "rates",
        sa.Column("chain_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("block_number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("strategy", _key(48), primary_key=True),
        sa.Column("source", _key(48), primary_key=True),
        sa.Column("block_time", _key(32), nullable=False),
        sa.Column("supply_apr", sa.Double, nullable=False),
        sa.Column("share_price", sa.Text, nullable=False),
        sa.Column("observation", sa.Text, nullable=False),
    )
    op.create_index("ix_rates_block_time", "rates", ["block_time"])
    op.create_table(
        "prices",
        sa.Column("chain_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("block_number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("token", _key(48), primary_key=True),
        sa.Column("source", _key(48), primary_key=True),
        sa.Column("block_time", _key(32), nullable=False),
        sa.Column("observed_at", _key(32), nullable=False),
        sa.Column("price_usd", sa.Text, nullable=False),
    )
    op.create_index("ix_prices_block_time", "prices", ["block_time"])


def _create_decisions() -> None:
    op.create_table(
        "runs",
        sa.Column("run_id", _key(48), primary_key=True),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("status", _key(16), nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("started_at", _key(32), nullable=False),
        sa.Column("updated_at", _key(32), nullable=False),
        sa.Column("journal_sequence", sa.BigInteger),
        sa.Column("repeatable_input_digest", _key(64)),
    )
    op.create_index("ix_runs_started_at", "runs", ["started_at"])
    op.create_table(
        "approvals",
        sa.Column("batch_digest", _key(64), primary_key=True),
        sa.Column("run_id", _key(48), nullable=False),
        sa.Column("status", _key(16), nullable=False),
        sa.Column("requested_by", sa.Text, nullable=False),
        sa.Column("answered_by", sa.Text),
        sa.Column("role", sa.Text),
        sa.Column("requested_at", _key(32), nullable=False),
        sa.Column("answered_at", _key(32)),
        sa.Column("used_at", _key(32)),
        sa.Column("expires_at", _key(32), nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
    )


def _create_execution() -> None:
    op.create_table(
        "intents",
        sa.Column("batch_digest", _key(64), primary_key=True),
        sa.Column("run_id", _key(48), nullable=False),
        sa.Column("chain_id", sa.BigInteger, nullable=False),
        sa.Column("sender", _key(42), nullable=False),
        sa.Column("nonce", sa.BigInteger),
        sa.Column("status", _key(16), nullable=False),
        sa.Column("signed_raw", sa.Text),
        sa.Column("transaction_hash", _key(66), unique=True),
        sa.Column("created_at", _key(32), nullable=False),
        sa.Column("expires_at", _key(32), nullable=False),
        sa.UniqueConstraint("chain_id", "sender", "nonce", name="uq_intents_nonce"),
    )
    op.create_table(
        "receipts",
        sa.Column("batch_digest", _key(64), sa.ForeignKey("intents.batch_digest"), primary_key=True),
        sa.Column("block_number", sa.BigInteger, nullable=False),
        sa.Column("succeeded", sa.Boolean, nullable=False),
        sa.Column("receipt", sa.Text, nullable=False),
    )
