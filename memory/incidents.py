"""Open incidents of protocols, kept in the trading book beside the state; unreadable means that all are open."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from domain.breakers import Incident
from domain.digest import canonical_json
from domain.errors import AutofiError, StoreUnavailable, UnknownSubject
from domain.safeguards import IncidentStore
from memory import books
from memory.database import Database
from memory.hash_chain import Book, Head, Link
from memory.trading_book import read_book

OPENED: Final = "incident_opened"
CLOSED: Final = "incident_closed"


class SqlIncidentStore(IncidentStore):
    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self, protocol: str, *, by: str, reason: str, at: datetime) -> Incident:
        """Harmless when repeated: the first one stays. Needs no readable book, because it only tightens."""
        with self._database.writing() as connection:
            known = _open(books.links(connection, Book.TRADING)).get(protocol)
            if known is None:
                _append(connection, OPENED, protocol, by=by, reason=reason, at=at)
        return known or Incident(protocol=protocol, opened_by=by, reason=reason, opened_at=at)

    def close(self, protocol: str, *, by: str, reason: str, at: datetime) -> Incident:
        """Raises UnknownSubject when none is open, StoreUnavailable when the book may not be trusted."""
        anchor = self._database.anchored(Book.TRADING)
        with self._database.writing() as connection:
            listed = self._listed(connection, anchor)
            if protocol not in listed:
                raise UnknownSubject(
                    f"protocol {protocol!r} has no open incident; open are {', '.join(sorted(listed)) or 'none'}"
                )
            _append(connection, CLOSED, protocol, by=by, reason=reason, at=at)
            return listed[protocol]

    def listed(self) -> Sequence[Incident]:
        """Open ones, oldest first. Raises StoreUnavailable when the book may not be trusted."""
        anchor = self._database.anchored(Book.TRADING)
        with self._database.reading() as connection:
            return tuple(self._listed(connection, anchor).values())

    def open_among(self, protocols: frozenset[str]) -> frozenset[str]:
        try:
            return protocols & {incident.protocol for incident in self.listed()}
        except AutofiError:
            return protocols

    def _listed(self, connection: Connection, anchor: Head | None) -> dict[str, Incident]:
        book = read_book(connection, anchor)
        if book.problem is not None:
            raise StoreUnavailable(
                f"trading book of {self._database.name} is not intact, every protocol counts as in trouble: "
                f"{book.problem}"
            )
        return _open(book.links)


def _open(links: Iterable[Link]) -> dict[str, Incident]:
    found: dict[str, Incident] = {}
    for link in links:
        if link.kind == OPENED:
            body = json.loads(link.body)
            found[link.subject] = Incident(
                protocol=link.subject,
                opened_by=body["by"],
                reason=body["reason"],
                opened_at=datetime.fromisoformat(link.recorded_at),
            )
        elif link.kind == CLOSED:
            found.pop(link.subject, None)
    return found


def _append(connection: Connection, kind: str, protocol: str, *, by: str, reason: str, at: datetime) -> None:
    body = canonical_json({"by": by, "reason": reason})
    for book in (Book.TRADING, Book.JOURNAL):
        books.append(connection, book, kind=kind, subject=protocol, body=body, at=at)
