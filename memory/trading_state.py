"""The trading state with its history, also in the journal; whatever cannot be read, or was rolled back, is HALTED."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from pydantic import Field
from sqlalchemy import Connection

from domain.digest import canonical_json
from domain.errors import AutofiError
from domain.ports import TradingStateStore
from domain.units import UtcDatetime, Value
from domain.verdict import TradingState
from memory import books
from memory.database import Database
from memory.hash_chain import Book, Link, genesis, walk

JOURNAL_KIND: Final = "trading_state"


class TradingStateChange(Value):
    state: TradingState
    by: str = Field(max_length=80)
    reason: str
    at: UtcDatetime


class SqlTradingStateStore(TradingStateStore):
    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self) -> TradingState:
        """HALTED when never written, too."""
        try:
            changes, problem = self._changes()
        except AutofiError:
            return TradingState.HALTED
        return TradingState.HALTED if problem is not None or not changes else changes[-1].state

    def write(self, state: TradingState, *, by: str, reason: str, at: datetime) -> None:
        """Raises StoreUnavailable or InvariantBroken when the journal cannot take it; a halt is written even then."""
        change = TradingStateChange(state=state, by=by, reason=reason, at=at)
        try:
            with self._database.writing() as connection:
                _append(connection, change)
        except AutofiError:
            if state is not TradingState.HALTED:
                raise
            with self._database.writing() as connection:
                _append_to(connection, Book.TRADING, "state", change)

    def start(self, state: TradingState, *, by: str, reason: str, at: datetime) -> None:
        """The first state of a new installation; does nothing where one was ever written."""
        with self._database.writing() as connection:
            head = books.head_of(connection, Book.TRADING)
            if head == genesis(Book.TRADING):
                _append(connection, TradingStateChange(state=state, by=by, reason=reason, at=at))

    def history(self) -> Sequence[TradingStateChange]:
        return self._changes()[0]

    def problem(self) -> str | None:
        """Why the state may not be trusted, for a person; None when it may."""
        try:
            return self._changes()[1]
        except AutofiError as error:
            return str(error)

    def _changes(self) -> tuple[Sequence[TradingStateChange], str | None]:
        anchor = self._database.anchored(Book.TRADING)
        with self._database.reading() as connection:
            head = books.head_of(connection, Book.TRADING)
            links = tuple(books.links(connection, Book.TRADING))
            walked = walk(links, start=genesis(Book.TRADING), head=head, anchor=anchor)
            return tuple(_change(link) for link in links), walked.problem


def _append(connection: Connection, change: TradingStateChange) -> None:
    _append_to(connection, Book.TRADING, "state", change)
    _append_to(connection, Book.JOURNAL, JOURNAL_KIND, change)


def _append_to(connection: Connection, book: Book, kind: str, change: TradingStateChange) -> None:
    body = canonical_json({"by": change.by, "reason": change.reason})
    books.append(connection, book, kind=kind, subject=change.state, body=body, at=change.at)


def _change(link: Link) -> TradingStateChange:
    body = json.loads(link.body)
    return TradingStateChange.model_validate({"state": link.subject, "at": link.recorded_at, **body})
