"""The trading state with its history, also in the journal; whatever cannot be read, or was rolled back, is HALTED."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from pydantic import Field
from sqlalchemy import Connection

from domain.breakers import Trip, tightest
from domain.digest import canonical_json
from domain.errors import AutofiError
from domain.safeguards import TradingStateStore
from domain.units import UtcDatetime, Value
from domain.verdict import TradingState
from memory import books
from memory.database import Database
from memory.hash_chain import Book, Link, genesis
from memory.resumption import BREAKER_KIND, JOURNAL_KIND, STATE_KIND
from memory.trading_book import TradingBook, read_book

NOBODY: Final = "system"
"""Who changes the state when a breaker trips."""
_BOTH: Final = (Book.TRADING, Book.JOURNAL)
_CHANGES: Final = frozenset({STATE_KIND, BREAKER_KIND})


class TradingStateChange(Value):
    state: TradingState
    by: str = Field(max_length=80)
    reason: str
    at: UtcDatetime
    trips: tuple[Trip, ...] = ()
    """Why it fell by itself; empty where an operator set it."""


class SqlTradingStateStore(TradingStateStore):
    """Raises StoreUnavailable or InvariantBroken when the journal cannot take a change; a halt is written even then."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self) -> TradingState:
        """HALTED when never written, too."""
        try:
            anchor = self._database.anchored(Book.TRADING)
            with self._database.reading() as connection:
                return _state_of(read_book(connection, anchor))
        except AutofiError:
            return TradingState.HALTED

    def write(self, state: TradingState, *, by: str, reason: str, at: datetime) -> None:
        """An operator's act, in either direction."""
        change = TradingStateChange(state=state, by=by, reason=reason, at=at)
        try:
            with self._database.writing() as connection:
                _append(connection, change, _BOTH)
        except AutofiError:
            if state is not TradingState.HALTED:
                raise
            with self._database.writing() as connection:
                _append(connection, change, (Book.TRADING,))

    def tighten(self, trips: Sequence[Trip], *, at: datetime) -> TradingState:
        """What nobody asked for only lowers the state; where it is that low already, nothing is written."""
        state = tightest(trip.state for trip in trips)
        if self.read() is TradingState.HALTED:
            return TradingState.HALTED
        reason = "; ".join(trip.sentence() for trip in trips)
        change = TradingStateChange(state=state, by=NOBODY, reason=reason, at=at, trips=tuple(trips))
        try:
            return self._fall_to(change, _BOTH)
        except AutofiError:
            if state is not TradingState.HALTED:
                raise
            return self._fall_to(change, (Book.TRADING,))

    def start(self, state: TradingState, *, by: str, reason: str, at: datetime) -> bool:
        """The first state of new books; False, and nothing is done, where one was ever written."""
        with self._database.writing() as connection:
            is_new = books.head_of(connection, Book.TRADING) == genesis(Book.TRADING)
            if is_new:
                _append(connection, TradingStateChange(state=state, by=by, reason=reason, at=at), _BOTH)
            return is_new

    def history(self) -> Sequence[TradingStateChange]:
        anchor = self._database.anchored(Book.TRADING)
        with self._database.reading() as connection:
            return tuple(_change(link) for link in read_book(connection, anchor).links if link.kind in _CHANGES)

    def problem(self) -> str | None:
        """Why the state may not be trusted, for a person; None when it may."""
        try:
            anchor = self._database.anchored(Book.TRADING)
            with self._database.reading() as connection:
                return read_book(connection, anchor).problem
        except AutofiError as error:
            return str(error)

    def _fall_to(self, change: TradingStateChange, into: Sequence[Book]) -> TradingState:
        """Compared and written in one transaction: an operator's halt in between must not be undone."""
        anchor = self._database.anchored(Book.TRADING)
        with self._database.writing() as connection:
            current = _state_of(read_book(connection, anchor))
            if tightest((current, change.state)) is current:
                return current
            _append(connection, change, into)
        return change.state


def _state_of(book: TradingBook) -> TradingState:
    newest = next((link for link in reversed(book.links) if link.kind in _CHANGES), None)
    if book.problem is not None or newest is None:
        return TradingState.HALTED
    return TradingState(newest.subject)


def _append(connection: Connection, change: TradingStateChange, into: Sequence[Book]) -> None:
    trips = {"trips": list(change.trips)} if change.trips else {}
    body = canonical_json({"by": change.by, "reason": change.reason, **trips})
    for book in into:
        books.append(connection, book, kind=_kind(change, book), subject=change.state, body=body, at=change.at)


def _kind(change: TradingStateChange, book: Book) -> str:
    if change.trips:
        return BREAKER_KIND
    return JOURNAL_KIND if book is Book.JOURNAL else STATE_KIND


def _change(link: Link) -> TradingStateChange:
    body = json.loads(link.body)
    return TradingStateChange.model_validate({"state": link.subject, "at": link.recorded_at, **body})
