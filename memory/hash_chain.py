"""Walking a hash chain: pure, without SQL, so that a verifier needs nothing but the rows and this."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from domain.digest import GENESIS, sha256_hex
from domain.journal import JournalEntry


class Book(StrEnum):
    """The hash-chained books of a database."""

    JOURNAL = "journal"
    BUDGET = "budget"
    TRADING = "trading"


class Head(NamedTuple):
    """A point of a chain: how many entries there are, and the hash of the last one."""

    sequence: int
    entry_hash: str


class Link(NamedTuple):
    """A row as the database gave it, types unchecked: an edited row may hold anything."""

    sequence: int
    recorded_at: str
    kind: str
    subject: str
    body: bytes
    body_digest: str
    previous_hash: str
    entry_hash: str


class Walk(NamedTuple):
    """How far a chain holds, and what is wrong after that."""

    reached: Head
    broken_sequence: int | None = None
    problem: str | None = None


def genesis(book: Book) -> Head:
    """Every book starts from its own hash, so that rows of one cannot stand in another."""
    return Head(0, GENESIS if book is Book.JOURNAL else sha256_hex(f"autofi-book-{book}".encode()))


def walk(links: Iterable[Link], *, start: Head, head: Head | None, anchor: Head | None = None) -> Walk:
    """Follow links from start to the stored head. An anchor is a head that was noted outside the database."""
    reached = start
    for link in links:
        problem = _problem_of(link, reached) or _contradiction(link, anchor)
        if problem is not None:
            return Walk(reached, reached.sequence + 1, problem)
        reached = Head(link.sequence, link.entry_hash)
    return Walk(reached, *_ending(reached, head, anchor))


def entry_hash(link: Link) -> str:
    return JournalEntry.hash_of(
        sequence=link.sequence,
        recorded_at=datetime.fromisoformat(link.recorded_at),
        kind=link.kind,
        subject=link.subject,
        body_digest=link.body_digest,
        previous=link.previous_hash,
    )


def _problem_of(link: Link, previous: Head) -> str | None:
    if link.sequence != previous.sequence + 1:
        return f"entry {previous.sequence + 1} is missing, the next one is {link.sequence}"
    if link.previous_hash != previous.entry_hash:
        return f"entry {link.sequence} does not continue entry {previous.sequence}: previous hash differs"
    try:
        if sha256_hex(link.body) != link.body_digest:
            return f"entry {link.sequence}: the body does not have the digest recorded for it"
        if entry_hash(link) != link.entry_hash:
            return f"entry {link.sequence}: the fields do not have the hash recorded for them"
    except (TypeError, ValueError, AttributeError) as error:  # an edited row may hold any type
        return f"entry {link.sequence} is unreadable: {type(error).__name__}"
    return None


def _contradiction(link: Link, anchor: Head | None) -> str | None:
    if anchor is not None and link.sequence == anchor.sequence and link.entry_hash != anchor.entry_hash:
        return f"entry {link.sequence} is not the one that the anchor outside the database noted"
    return None


def _ending(reached: Head, head: Head | None, anchor: Head | None) -> tuple[int | None, str | None]:
    following = reached.sequence + 1
    if anchor is not None and anchor.sequence > reached.sequence:
        return following, f"entries {following} to {anchor.sequence}, noted by the anchor, are gone"
    if head is None:
        return following, "the head row is missing"
    if head.sequence > reached.sequence:
        return following, f"entries {following} to {head.sequence}, counted by the head row, are gone"
    if head != reached:
        return following, f"the head row says {head.sequence} entries where the chain has {reached.sequence}"
    return None, None
