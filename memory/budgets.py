"""The budget ledger: reserve, then settle or release, in a hash-chained book that shows every loss of a row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, exists, func, select

from domain.breakers import Valuation
from domain.budget import Spending, WindowLimits
from domain.digest import canonical_json
from domain.errors import AutofiError, InvariantBroken, StoreUnavailable
from domain.safeguards import BudgetLedger
from domain.units import Value
from domain.verdict import BudgetState
from memory import books
from memory.budget_entries import EntryKind, Ledger, Reservation, Settled, Valued, body_of, fold, fold_one
from memory.budget_windows import WEEK, broken_state, largest, require_room, used, valuation_of
from memory.database import Database
from memory.hash_chain import Book, Head, Link, genesis, walk
from memory.resumption import last_resume
from memory.tables import book_entries, moment_text

_C = book_entries.c


class SqlBudgetLedger(BudgetLedger):
    """A book without its head takes no more entries. It then denies all that has a limit, and the rest goes on
    unnoted: an exit must not wait for its ledger.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def state(self, *, at: datetime, without: str | None = None) -> BudgetState:
        try:
            with self._database.reading() as connection:
                return used(self._ledger(connection, at, without=without), at=at)
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
                _append(connection, EntryKind.RUN, run_id, None, at)

    def note_value(self, run_id: str, *, net_asset_value_usd: Decimal, protocols: Sequence[str], at: datetime) -> None:
        """The peak goes on from the valuation before, unless an operator has let trading go on in between."""
        with self._database.writing() as connection:
            resumed_at, before = last_resume(connection, Book.TRADING), _newest_valuation(connection)
            goes_on = before is not None and before.resumed_at == resumed_at
            peak = max(before.peak_usd, net_asset_value_usd) if before and goes_on else net_asset_value_usd
            valued = Valued(
                net_asset_value_usd=net_asset_value_usd,
                peak_usd=peak,
                resumed_at=resumed_at,
                protocols=tuple(protocols),
            )
            _append(connection, EntryKind.VALUATION, run_id, valued, at)

    def valuation(self, *, at: datetime) -> Valuation:
        with self._database.reading() as connection:
            valuations = self._ledger(connection, at).valuations
            return valuation_of(valuations, at=at, resumed_at=last_resume(connection, Book.TRADING))

    def reserve(self, batch_digest: str, wanted: Spending, *, at: datetime, limits: WindowLimits | None = None) -> None:
        """With limits, raises BudgetExceeded when another process took what was left; exits reserve without limits.

        Repeating it is harmless: a batch that was simulated again holds the larger of the amounts.
        """
        with self._database.writing() as connection:
            known = fold_one(_about(connection, batch_digest))
            held = None if known is None or known.is_released else known
            wanted = wanted if held is None else largest(wanted, held.reserved)
            if held is not None and (held.settled is not None or wanted == held.reserved):
                return
            if limits is not None:
                state = used(self._ledger(connection, at), at=at)
                require_room(state, wanted, limits, held=held.reserved if held else None, subject=batch_digest)
            _append(connection, EntryKind.RESERVE, batch_digest, wanted, at)

    def settle(
        self, batch_digest: str, *, gas_usd: Decimal, loss_usd: Decimal, slippage_usd: Decimal, at: datetime
    ) -> None:
        """What was used takes the place of what was reserved; the loss counts from now."""
        actual = Settled(gas_usd=gas_usd, loss_usd=loss_usd, slippage_usd=slippage_usd)
        with self._database.writing() as connection:
            if books.head_of(connection, Book.BUDGET) is None:
                return
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
            _append(connection, EntryKind.RELEASE, batch_digest, None, known.at)

    def _ledger(self, connection: Connection, at: datetime, *, without: str | None = None) -> Ledger:
        """All entries that count now. Raises StoreUnavailable when the chain does not hold from there to its end."""
        anchor = self._database.anchored(Book.BUDGET)
        first = _first_needed(connection, at)
        links = tuple(books.links(connection, Book.BUDGET, _C.sequence >= first))
        is_beginning = first == 1 or not links
        start = genesis(Book.BUDGET) if is_beginning else Head(first - 1, links[0].previous_hash)
        problem = walk(links, start=start, head=books.head_of(connection, Book.BUDGET), anchor=anchor).problem
        if problem is None and anchor is not None and not books.contains(connection, Book.BUDGET, anchor):
            problem = f"entry {anchor.sequence} is not the one that the anchor outside the database noted"
        if problem is not None:
            raise StoreUnavailable(f"budget ledger of {self._database.name} is not intact: {problem}")
        return fold(link for link in links if link.subject != without)


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
    valued = select(func.max(_C.sequence)).where(in_book, _C.kind == EntryKind.VALUATION.value)
    newest = select(func.max(_C.sequence)).where(in_book)
    found = [connection.execute(query).scalar() for query in (recent, open_ones, valued, newest)]
    oldest = min((sequence for sequence in found if sequence is not None), default=1)
    return max(oldest - 1, 1)


def _about(connection: Connection, subject: str) -> Sequence[Link]:
    return tuple(books.links(connection, Book.BUDGET, _C.subject == subject))


def _newest_valuation(connection: Connection) -> Valued | None:
    """None for an edited one, too: the walk finds it, and an exit must not wait for it."""
    valued = (_C.book == Book.BUDGET, _C.kind == EntryKind.VALUATION.value)
    newest = select(func.max(_C.sequence)).where(*valued).scalar_subquery()
    try:
        links = tuple(books.links(connection, Book.BUDGET, _C.sequence == newest))
        return body_of(Valued, links[0]) if links else None
    except (TypeError, ValueError):
        return None


def _append(connection: Connection, kind: EntryKind, subject: str, body: Value | None, at: datetime) -> None:
    if books.head_of(connection, Book.BUDGET) is not None:
        content = b"{}" if body is None else canonical_json(body)
        books.append(connection, Book.BUDGET, kind=kind, subject=subject, body=content, at=at)


def _require_reserved(connection: Connection, batch_digest: str) -> Reservation:
    known = fold_one(_about(connection, batch_digest))
    if known is None or known.is_released:
        raise InvariantBroken(f"batch {batch_digest} is settled without a reservation")
    return known


def _require_same(asked: Value, known: Value, batch_digest: str) -> None:
    if asked != known:
        raise InvariantBroken(f"batch {batch_digest} is already in the ledger with other amounts: {known}")
