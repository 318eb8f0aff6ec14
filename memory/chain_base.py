"""What the books know of the chain: a base that was noted when somebody looked, and what was sent since."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from pydantic import Field
from sqlalchemy import ColumnElement, Connection, func, select

from domain.chain_use import ChainUse
from domain.digest import canonical_json
from domain.units import Value
from memory import books
from memory.database import Database
from memory.hash_chain import Book
from memory.tables import book_entries, intents, receipts

BASE_KIND: Final = "chain_base"


class ChainBase(Value):
    """Body of an entry, in the trading book and in the journal."""

    use: ChainUse
    settled_count: int = Field(ge=0)
    """Successful transactions that the execution journal held then."""
    by: str = Field(max_length=80)
    reason: str


class SqlChainBases:
    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, seen: ChainUse, *, by: str, reason: str, at: datetime) -> ChainBase:
        """An operator's act: what the chain shows now is as it should be."""
        with self._database.writing() as connection:
            base = ChainBase(use=seen, settled_count=_settled(connection, seen), by=by, reason=reason)
            for book in (Book.TRADING, Book.JOURNAL):
                body = canonical_json(base)
                books.append(connection, book, kind=BASE_KIND, subject=seen.account, body=body, at=at)
        return base

    def known(self, seen: ChainUse) -> ChainUse:
        """The counts that the chain of the same account may show. Without a base nothing is known of its Safe."""
        with self._database.reading() as connection:
            base = _newest_base(connection, seen)
            highest = connection.execute(select(func.max(intents.c.nonce)).where(*_of(seen))).scalar()
            sent = 0 if highest is None else highest + 1
            if base is None:
                return seen.model_copy(update={"operator_count": sent, "safe_count": None})
            noted = base.use.safe_count
            since = _settled(connection, seen) - base.settled_count + _in_flight(connection, seen)
            counts = {
                "operator_count": max(base.use.operator_count, sent),
                "safe_count": None if noted is None else noted + since,
            }
            return seen.model_copy(update=counts)


def _newest_base(connection: Connection, seen: ChainUse) -> ChainBase | None:
    mine = (book_entries.c.book == Book.TRADING, book_entries.c.kind == BASE_KIND)
    newest = select(book_entries.c.body).where(*mine).order_by(book_entries.c.sequence.desc())
    bases = (ChainBase.model_validate_json(body) for body in connection.execute(newest).scalars())
    return next((base for base in bases if _whose(base.use) == _whose(seen)), None)


def _whose(use: ChainUse) -> tuple[int, str, str]:
    return use.chain_id, use.operator, use.account


def _of(seen: ChainUse) -> tuple[ColumnElement[bool], ...]:
    return intents.c.chain_id == seen.chain_id, intents.c.sender == seen.operator


def _settled(connection: Connection, seen: ChainUse) -> int:
    joined = select(func.count()).select_from(intents.join(receipts)).where(*_of(seen), receipts.c.succeeded)
    return connection.execute(joined).scalar_one()


def _in_flight(connection: Connection, seen: ChainUse) -> int:
    """Signed, and not known to be mined: each may be by now."""
    joined = select(func.count()).select_from(intents.outerjoin(receipts))
    open_ones = (*_of(seen), intents.c.signed_raw.is_not(None), receipts.c.batch_digest.is_(None))
    return connection.execute(joined.where(*open_ones)).scalar_one()
