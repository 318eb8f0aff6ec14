"""The policy in force with its history, in the trading book and in the journal: a changed or lost entry shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from domain.digest import canonical_json
from domain.errors import ConfigurationInvalid, StoreUnavailable
from domain.policy import Policy
from domain.policy_history import PolicyEvent, PolicyEventKind, PolicyStanding, approve, fold, follow, refuse
from memory import books
from memory.database import Database
from memory.hash_chain import Book, Head
from memory.trading_book import read_book

_KINDS: Final = frozenset(PolicyEventKind)
Decision = Callable[[PolicyStanding], Sequence[PolicyEvent]]


class SqlPolicyStore:
    """Every method raises StoreUnavailable when the book, or the policy that it says is in force, cannot be trusted."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def standing(self) -> PolicyStanding:
        anchor = self._anchor()
        with self._database.reading() as connection:
            return self._standing(connection, anchor)

    def history(self) -> Sequence[PolicyEvent]:
        """Oldest first."""
        anchor = self._anchor()
        with self._database.reading() as connection:
            return self._events(connection, anchor)

    def follow(self, wish: Policy, *, by: str, at: datetime) -> Sequence[PolicyEvent]:
        """Take what the file asks for as far as it may go now; what changed, or nothing."""
        if not follow(self.standing(), wish, by=by, at=at):
            return ()
        # Decided again under the writer's lock: another process may have been faster.
        return self._write(lambda standing: follow(standing, wish, by=by, at=at))

    def approve(self, digest: str, *, by: str, at: datetime) -> PolicyEvent:
        """Raises ApprovalRefused."""
        return self._write(lambda standing: (approve(standing, digest, by=by, at=at),))[0]

    def refuse(self, digest: str, *, by: str, at: datetime, reason: str) -> PolicyEvent:
        """Raises ApprovalRefused."""
        return self._write(lambda standing: (refuse(standing, digest, by=by, at=at, reason=reason),))[0]

    def restart(self, policy: Policy, *, by: str, at: datetime, reason: str) -> PolicyEvent:
        """Only where the chain holds and yet no policy can be read from it: a version that knows other keys wrote it.

        Raises ConfigurationInvalid where the policy in force is readable: the delay has no back door.
        """
        anchor = self._anchor()
        with self._database.writing() as connection:
            events = self._events(connection, anchor)
            try:
                standing = fold(events)
            except ValueError:
                standing = PolicyStanding()
            if standing.in_force is not None:
                raise ConfigurationInvalid(
                    f"policy {standing.in_force.digest()[:16]} is in force and readable; edit the file instead"
                )
            event = follow(standing, policy, by=by, at=at)[0].model_copy(update={"reason": reason})
            _append(connection, event)
            return event

    def _write(self, decide: Decision) -> Sequence[PolicyEvent]:
        anchor = self._anchor()
        with self._database.writing() as connection:
            events = decide(self._standing(connection, anchor))
            for event in events:
                _append(connection, event)
            return events

    def _anchor(self) -> Head | None:
        return self._database.anchored(Book.TRADING)

    def _standing(self, connection: Connection, anchor: Head | None) -> PolicyStanding:
        try:
            return fold(self._events(connection, anchor))
        except ValueError as error:
            first = str(error).splitlines()[0]
            raise StoreUnavailable(
                f"the policy in force of {self._database.name} is none in this version ({first}): "
                "`autofi policy adopt --reason WHY --yes` takes the file instead"
            ) from error

    def _events(self, connection: Connection, anchor: Head | None) -> Sequence[PolicyEvent]:
        book = read_book(connection, anchor)
        if book.problem is not None:
            raise StoreUnavailable(f"trading book of {self._database.name} is not intact: {book.problem}")
        return tuple(PolicyEvent.model_validate_json(link.body) for link in book.links if link.kind in _KINDS)


def _append(connection: Connection, event: PolicyEvent) -> None:
    body = canonical_json(event)
    for book in (Book.TRADING, Book.JOURNAL):
        books.append(connection, book, kind=event.kind, subject=event.digest, body=body, at=event.at)
