"""Proving all records: every book, every artifact, and that what run records name is there; no SQL here."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing
from typing import Final, Protocol

from domain.errors import StoreUnavailable
from domain.journal import Verification
from memory.hash_chain import Book, Head, Link, Walk, genesis, walk
from memory.packing import unpack

RUN_KIND: Final = "run"
OWN_FIELDS: Final = ("snapshot_digest", "history_digest", "evidence_digest")
"""Fields of a RunRecord that name an artifact; a plan's field of the same name does not."""
CALL_FIELDS: Final = {"model_calls": ("prompt_digest", "reply_digest"), "tool_calls": ("result_digest",)}
"""Fields that name one in each call that a RunRecord lists."""


class Records(Protocol):
    """One consistent view of a database, whichever library reads it."""

    def head(self, book: Book) -> Head | None: ...

    def links(self, book: Book) -> Generator[Link, None, None]:
        """In order of sequence."""
        ...

    def artifacts(self) -> Iterator[tuple[str, bytes]]:
        """Digest and stored content."""
        ...


def prove(records: Records, anchors: Mapping[Book, Head]) -> Verification:
    """The first thing that does not hold, the journal before the other books, the books before the artifacts."""
    named: dict[str, int] = {}
    walks = {book: _walk(records, book, anchors.get(book), named) for book in Book}
    journal = walks[Book.JOURNAL].reached
    for book, walked in walks.items():
        if walked.problem is not None:
            return Verification(
                is_verified=False,
                entries=journal.sequence,
                head=journal.entry_hash,
                broken_sequence=walked.broken_sequence,
                problem=f"book {book}: {walked.problem}",
            )
    stored, broken_sequence, problem = _check_artifacts(records.artifacts(), named)
    return Verification(
        is_verified=problem is None,
        entries=journal.sequence,
        head=journal.entry_hash,
        books=len(walks),
        artifacts=stored,
        broken_sequence=broken_sequence,
        problem=problem,
    )


def _walk(records: Records, book: Book, anchor: Head | None, named: dict[str, int]) -> Walk:
    with closing(records.links(book)) as links:
        noted = _note_artifacts(links, named) if book is Book.JOURNAL else links
        return walk(noted, start=genesis(book), head=records.head(book), anchor=anchor)


def _note_artifacts(links: Iterable[Link], named: dict[str, int]) -> Iterator[Link]:
    """Passes the links on; a body is read only after the walk took its link and came for the next one."""
    for link in links:
        yield link
        if link.kind == RUN_KIND:
            for digest in _artifacts_of(link.body):
                named.setdefault(digest, link.sequence)


def _artifacts_of(body: bytes) -> Iterator[str]:
    try:
        record = json.loads(body)
    except ValueError:  # its chain vouches for it: a body that is no JSON is as written and names nothing
        return
    if not isinstance(record, dict):
        return
    yield from _texts(record, OWN_FIELDS)
    for name, fields in CALL_FIELDS.items():
        for call in record.get(name, ()):
            yield from _texts(call, fields)


def _texts(named: Mapping[str, object], fields: tuple[str, ...]) -> Iterator[str]:
    return (text for field in fields if isinstance(text := named.get(field), str))


def _check_artifacts(
    stored: Iterable[tuple[str, bytes]], named: Mapping[str, int]
) -> tuple[int, int | None, str | None]:
    """How many hold; the first run entry that names a missing one; what is wrong."""
    found: set[str] = set()
    for digest, content in stored:
        try:
            unpack(digest, content)
        except StoreUnavailable as error:
            return len(found), named.get(digest), str(error)
        found.add(digest)
    for digest, sequence in named.items():
        if digest not in found:
            return len(found), sequence, f"artifact {digest}, named by journal entry {sequence}, is not stored"
    return len(found), None, None
