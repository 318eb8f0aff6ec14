"""The policy and the catalog in force with their history, in the trading book and in the journal.

A changed or lost entry shows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, Generic

from sqlalchemy import Connection

from domain.change_history import ChangeEvent, D, Document, Standing, Step, approve, fold, follow, refuse
from domain.digest import canonical_json
from domain.documents import CATALOG, POLICY, catalog_document, policy_document
from domain.errors import ConfigurationInvalid, StoreUnavailable
from domain.market import Catalog
from domain.policy import Policy
from memory import books
from memory.database import Database
from memory.hash_chain import Book, Head
from memory.trading_book import read_book

_KINDS: Final = frozenset(f"{name}_{step}" for name in (POLICY.name, CATALOG) for step in Step)
Events = Sequence[ChangeEvent]
Decision = Callable[[Document[D], Standing[D]], Events]


class SqlChangeStore(Generic[D]):
    """Every method raises StoreUnavailable when the book, or the version that it says is in force, cannot be trusted.

    `document` is asked under the events of the moment: a catalog changes under the policy in force.
    """

    def __init__(self, database: Database, name: str, document: Callable[[Events], Document[D]]) -> None:
        self._database = database
        self.name = name
        self._document = document

    def standing(self) -> Standing[D]:
        anchor = self._anchor()
        with self._database.reading() as connection:
            return self._standing(self._events(connection, anchor))

    def document(self) -> Document[D]:
        """Under the policy in force now."""
        anchor = self._anchor()
        with self._database.reading() as connection:
            return self._document(self._events(connection, anchor))

    def history(self) -> Events:
        """Oldest first."""
        anchor = self._anchor()
        with self._database.reading() as connection:
            return tuple(event for event in self._events(connection, anchor) if event.document == self.name)

    def follow(self, wish: D, *, by: str, at: datetime) -> Events:
        """Take what the file asks for as far as it may go now; what changed, or nothing."""

        def decide(document: Document[D], standing: Standing[D]) -> Events:
            return follow(document, standing, wish, by=by, at=at)

        if not self._ask(decide):
            return ()
        # Decided again under the writer's lock: another process may have been faster.
        return self._write(decide)

    def approve(self, digest: str, *, by: str, at: datetime) -> ChangeEvent:
        """Raises ApprovalRefused."""
        return self._write(lambda document, standing: (approve(document, standing, digest, by=by, at=at),))[0]

    def refuse(self, digest: str, *, by: str, at: datetime, reason: str) -> ChangeEvent:
        """Raises ApprovalRefused."""
        return self._write(
            lambda document, standing: (refuse(document, standing, digest, by=by, at=at, reason=reason),)
        )[0]

    def restart(self, wish: D, *, by: str, at: datetime, reason: str) -> ChangeEvent:
        """Only where the chain holds and yet nothing can be read from it: a version that knows other keys wrote it.

        Raises ConfigurationInvalid where what is in force is readable: the delay has no back door.
        """
        anchor = self._anchor()
        with self._database.writing() as connection:
            events = self._events(connection, anchor)
            document = self._document(events)
            try:
                standing = fold(document, events)
            except ValueError:
                standing = Standing()
            if standing.in_force is not None:
                raise ConfigurationInvalid(
                    f"{self.name} {standing.in_force.digest()[:16]} is in force and readable; edit the file instead"
                )
            event = follow(document, standing, wish, by=by, at=at)[0].model_copy(update={"reason": reason})
            _append(connection, event)
            return event

    def _ask(self, decide: Decision[D]) -> Events:
        anchor = self._anchor()
        with self._database.reading() as connection:
            return self._decide(decide, self._events(connection, anchor))

    def _write(self, decide: Decision[D]) -> Events:
        anchor = self._anchor()
        with self._database.writing() as connection:
            events = self._decide(decide, self._events(connection, anchor))
            for event in events:
                _append(connection, event)
            return events

    def _decide(self, decide: Decision[D], events: Events) -> Events:
        return decide(self._document(events), self._standing(events))

    def _anchor(self) -> Head | None:
        return self._database.anchored(Book.TRADING)

    def _standing(self, events: Events) -> Standing[D]:
        try:
            return fold(self._document(events), events)
        except ValueError as error:
            first = str(error).splitlines()[0]
            raise StoreUnavailable(
                f"the {self.name} in force of {self._database.name} is none in this version ({first}): "
                "`autofi policy adopt --reason WHY --yes` takes the file instead"
            ) from error

    def _events(self, connection: Connection, anchor: Head | None) -> Events:
        """Of both documents."""
        book = read_book(connection, anchor)
        if book.problem is not None:
            raise StoreUnavailable(f"trading book of {self._database.name} is not intact: {book.problem}")
        return tuple(ChangeEvent.model_validate_json(link.body) for link in book.links if link.kind in _KINDS)


class SqlPolicyStore(SqlChangeStore[Policy]):
    def __init__(self, database: Database) -> None:
        super().__init__(database, POLICY.name, policy_document)


class SqlCatalogStore(SqlChangeStore[Catalog]):
    def __init__(self, database: Database) -> None:
        super().__init__(database, CATALOG, catalog_document)


def _append(connection: Connection, event: ChangeEvent) -> None:
    body = canonical_json(event)
    for book in (Book.TRADING, Book.JOURNAL):
        books.append(connection, book, kind=event.kind, subject=event.digest, body=body, at=event.at)
