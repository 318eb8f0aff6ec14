"""The budget ledger: reserve, then settle or release, in a hash-chained book that shows every loss of a row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, exists, func, select

from domain.digest import canonical_json
from domain.errors import AutofiError, InvariantBroken, StoreUnavailable
from domain.policy import BudgetLimits
from domain.ports import BudgetLedger
from domain.units import Value
from domain.verdict import BudgetState
from memory import books
from memory.budget_entries import (
    WEEK,
    EntryKind,
    Reservation,
    Reserved,
    Settled,
    broken_state,
    fold,
    fold_one,
    largest,
    require_room,
    used,
)
from memory.database import Database
from memory.hash_chain import Book, Head, Link, genesis, walk
from memory.tables import book_entries, moment_text

_C = book_entries.c


class SqlBudgetLedger(BudgetLedger):
    def __init__(self, database: Database) -> None:
        self._database = database

    def state(self, *, at: datetime, without: str | None = None) -> BudgetState:
        try:
            with self._database.reading() as connection:
                return self._used(connection, at, without=without)
        except AutofiError:
            return broken_state()

    def problem(self) -> str | None:
        """Walks the whole ledger and says why it may not be trusted, for a person; None when it may."""
        try:
            anchor = self._database.anchored(Book.BUDGET)
            with self._database.reading() as connection:
                return books.walk_all(connection, Book.BUDGET, anchor=anchor).problem
        except AutofiError as error:
            return str(error)

    def count_run(self, run_id: str, *, at: datetime) -> None:
        """Once per run, however often it is resumed."""
        with self._database.writing() as connection:
            if not any(link.kind == EntryKind.RUN for link in _about(connection, run_id)):
                books.append(connection, Book.BUDGET, kind=EntryKind.RUN, subject=run_id, body=b"{}", at=at)

    def reserve(
        self,
        batch_digest: str,
        *,
        value_usd: Decimal,
        gas_usd: Decimal,
        slippage_usd: Decimal,
        turnover_usd: Decimal,
        at: datetime,
        limits: BudgetLimits | None = None,
    ) -> None:
        """With limits, raises BudgetExceeded when another process took what was left; exits reserve without limits.

        Repeating it is harmless: a batch that was simulated again holds the larger of the amounts.
        """
        asked = Reserved(value_usd=value_usd, gas_usd=gas_usd, slippage_usd=slippage_usd, turnover_usd=turnover_usd)
        with self._database.writing() as connection:
            known = fold_one(_about(connection, batch_digest))
            held = None if known is None or known.is_released else known
            wanted = asked if held is None else largest(asked, held.reserved)
            if held is not None and (held.settled is not None or wanted == held.reserved):
                return
            if limits is not None:
                held_amounts = None if held is None else held.reserved
                require_room(self._used(connection, at), wanted, limits, held=held_amounts, subject=batch_digest)
            _append(connection, EntryKind.RESERVE, batch_digest, wanted, at)

    def settle(
        self, batch_digest: str, *, gas_usd: Decimal, loss_usd: Decimal, slippage_usd: Decimal, at: datetime
    ) -> None:
        """What was used takes the place of what was reserved; the loss counts from now."""
        actual = Settled(gas_usd=gas_usd, loss_usd=loss_usd, slippage_usd=slippage_usd)
        with self._database.writing() as connection:
            known = _require_reserved(connection, batch_digest)
            if known.settled is None:
                _append(connection, EntryKind.SETTLE, batch_digest, actual, at)
            else:
                _require_same(actual, known.settled, batch_digest)

    def release(self, batch_digest: str) -> None:
        """Nothing left and nothing will: the reservation no longer counts. Harmless where nothing is reserved."""
        with self._database.writing() as connection:
            known = fold_one(_about(connection, batch_digest))
            if known is None or known.is_released:
                return
            if known.settled is not None:
                raise InvariantBroken(f"batch {batch_digest} was settled and cannot be released")
            # Dated like the reservation that it undoes, so that both leave the window together.
            kind, at = EntryKind.RELEASE, known.at
            books.append(connection, Book.BUDGET, kind=kind, subject=batch_digest, body=b"{}", at=at)

    def _used(self, connection: Connection, at: datetime, *, without: str | None = None) -> BudgetState:
        first = _first_needed(connection, at)
        links = tuple(books.links(connection, Book.BUDGET, _C.sequence >= first))
        is_beginning = first == 1 or not links
        start = genesis(Book.BUDGET) if is_beginning else Head(first - 1, links[0].previous_hash)
        head, anchor = books.head_of(connection, Book.BUDGET), self._database.anchored(Book.BUDGET)
        problem = walk(links, start=start, head=head, anchor=anchor).problem
        if problem is not None:
            raise StoreUnavailable(f"budget ledger of {self._database.name} is not intact: {problem}")
        return used(fold(link for link in links if link.subject != without), at=at)


def _first_needed(connection: Connection, at: datetime) -> int:
    """The entry before the oldest that counts: read too, so that one whose time was edited cannot hide."""
    in_book = _C.book == Book.BUDGET
    later = book_entries.alias()
    closing = exists().where(
        later.c.book == Book.BUDGET,
        later.c.subject == _C.subject,
        later.c.sequence > _C.sequence,
        later.c.kind.in_([EntryKind.SETTLE.value, EntryKind.RELEASE.value]),
    )
    recent = select(func.min(_C.sequence)).where(in_book, _C.recorded_at > moment_text(at - WEEK))
    open_ones = select(func.min(_C.sequence)).where(in_book, _C.kind == EntryKind.RESERVE.value, ~closing)
    newest = select(func.max(_C.sequence)).where(in_book)
    found = [connection.execute(query).scalar() for query in (recent, open_ones, newest)]
    oldest = min((sequence for sequence in found if sequence is not None), default=1)
    return max(oldest - 1, 1)


def _about(connection: Connection, subject: str) -> Sequence[Link]:
    return tuple(books.links(connection, Book.BUDGET, _C.subject == subject))


def _append(connection: Connection, kind: EntryKind, batch_digest: str, body: Value, at: datetime) -> None:
    books.append(connection, Book.BUDGET, kind=kind, subject=batch_digest, body=canonical_json(body), at=at)


def _require_reserved(connection: Connection, batch_digest: str) -> Reservation:
    known = fold_one(_about(connection, batch_digest))
    if known is None or known.is_released:
        raise InvariantBroken(f"batch {batch_digest} is settled without a reservation")
    return known


def _require_same(asked: Value, known: Value, batch_digest: str) -> None:
    if asked != known:
        raise InvariantBroken(f"batch {batch_digest} is already in the ledger with other amounts: {known}")
