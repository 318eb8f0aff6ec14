"""The tables, in portable types: amounts and moments are text, because SQLite's NUMERIC rounds and has no time zone."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Double,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import TypeDecorator

from domain.errors import InvariantBroken
from domain.units import decimal_text


class ExactNumber(TypeDecorator[Decimal]):
    """A Decimal as plain decimal text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> str | None:  # noqa: ARG002  # override
        return None if value is None else decimal_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Decimal | None:  # noqa: ARG002  # override
        return None if value is None else Decimal(value)


class UtcMoment(TypeDecorator[datetime]):
    """An aware UTC datetime as text whose order is the order of time."""

    impl = String(32)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:  # noqa: ARG002  # override
        return None if value is None else moment_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002  # override
        return None if value is None else datetime.fromisoformat(value)


def moment_text(moment: datetime) -> str:
    """Always with microseconds: texts of one width compare like the moments."""
    offset = moment.utcoffset()
    if offset is None or offset.total_seconds() != 0:
        raise InvariantBroken(f"moments are stored in UTC, got {moment.isoformat()}")
    return moment.isoformat(timespec="microseconds")


metadata: Final = MetaData()

book_entries: Final = Table(
    "book_entries",
    metadata,
    Column("book", String(16), primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("recorded_at", String(32), nullable=False),
    Column("kind", String(48), nullable=False),
    Column("subject", String(120), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("body_digest", String(64), nullable=False),
    Column("previous_hash", String(64), nullable=False),
    Column("entry_hash", String(64), nullable=False),
    Index("ix_book_entries_subject", "book", "subject"),
    Index("ix_book_entries_recorded_at", "book", "recorded_at"),
)

book_heads: Final = Table(
    "book_heads",
    metadata,
    Column("book", String(16), primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("entry_hash", String(64), nullable=False),
)

books_identity: Final = Table("books_identity", metadata, Column("identity", String(32), primary_key=True))
"""One row, made with the tables and never changed: which books these are, wherever the database is served."""

artifacts: Final = Table(
    "artifacts",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("content", LargeBinary, nullable=False),  # zlib
)

rates: Final = Table(
    "rates",
    metadata,
    Column("chain_id", BigInteger, primary_key=True, autoincrement=False),
    Column("block_number", BigInteger, primary_key=True, autoincrement=False),
    Column("strategy", String(48), primary_key=True),
    Column("source", String(48), primary_key=True),
    Column("block_time", UtcMoment, nullable=False),
    Column("supply_apr", Double, nullable=False),
    Column("share_price", ExactNumber, nullable=False),
    Column("observation", Text, nullable=False),  # canonical JSON of the whole RateObservation
    Index("ix_rates_block_time", "block_time"),
)

prices: Final = Table(
    "prices",
    metadata,
    Column("chain_id", BigInteger, primary_key=True, autoincrement=False),
    Column("block_number", BigInteger, primary_key=True, autoincrement=False),
    Column("token", String(48), primary_key=True),
    Column("source", String(48), primary_key=True),
    Column("block_time", UtcMoment, nullable=False),
    Column("observed_at", UtcMoment, nullable=False),
    Column("price_usd", ExactNumber, nullable=False),
    Index("ix_prices_block_time", "block_time"),
)

runs: Final = Table(
    "runs",
    metadata,
    Column("run_id", String(48), primary_key=True),
    Column("request", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("summary", Text, nullable=False),
    Column("started_at", UtcMoment, nullable=False),
    Column("updated_at", UtcMoment, nullable=False),
    Column("journal_sequence", BigInteger),  # of the record, once final
    Column("repeatable_input_digest", String(64)),  # where the same inputs would give the same answer
    Index("ix_runs_started_at", "started_at"),
)

approvals: Final = Table(
    "approvals",
    metadata,
    Column("batch_digest", String(64), primary_key=True),
    Column("run_id", String(48), nullable=False),
    Column("status", String(16), nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("answered_by", Text),
    Column("role", Text),
    Column("requested_at", UtcMoment, nullable=False),
    Column("answered_at", UtcMoment),
    Column("used_at", UtcMoment),
    Column("expires_at", UtcMoment, nullable=False),
    Column("summary", Text, nullable=False),
)

intents: Final = Table(
    "intents",
    metadata,
    Column("batch_digest", String(64), primary_key=True),
    Column("run_id", String(48), nullable=False),
    Column("chain_id", BigInteger, nullable=False),
    Column("sender", String(42), nullable=False),
    Column("nonce", BigInteger),
    Column("status", String(16), nullable=False),
    Column("signed_raw", Text),
    Column("transaction_hash", String(66), unique=True),
    Column("created_at", UtcMoment, nullable=False),
    Column("expires_at", UtcMoment, nullable=False),
    UniqueConstraint("chain_id", "sender", "nonce", name="uq_intents_nonce"),
)

receipts: Final = Table(
    "receipts",
    metadata,
    Column("batch_digest", String(64), ForeignKey("intents.batch_digest"), primary_key=True),
    Column("block_number", BigInteger, nullable=False),
    Column("succeeded", Boolean, nullable=False),
    Column("receipt", Text, nullable=False),  # canonical JSON of the whole Receipt
)

schema_version: Final = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))
"""Alembic's own table, read without importing Alembic."""
