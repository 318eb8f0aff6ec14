"""The links of the audit trail's hash chain, and what proving all records finds."""

from __future__ import annotations

from pydantic import Field

from domain.digest import GENESIS, digest_of
from domain.units import Digest, Slug, UtcDatetime, Value


class JournalEntry(Value):
    """A link of the hash chain. `entry_hash` covers every other field, the previous hash included."""

    sequence: int = Field(ge=1)
    recorded_at: UtcDatetime
    kind: Slug
    subject: str = Field(max_length=120)
    body_digest: Digest
    """sha256 of the body's canonical JSON, which is stored beside it."""
    previous_hash: Digest
    entry_hash: Digest

    @staticmethod
    def hash_of(
        *, sequence: int, recorded_at: UtcDatetime, kind: str, subject: str, body_digest: str, previous: str
    ) -> str:
        return digest_of(
            {
                "body_digest": body_digest,
                "kind": kind,
                "previous_hash": previous,
                "recorded_at": recorded_at.isoformat(),
                "sequence": str(sequence),
                "subject": subject,
            },
            domain="autofi-journal-v1",
        )


class Verification(Value):
    """Result of proving all records: what holds, or the first that does not and why."""

    is_verified: bool
    entries: int
    """Of the journal; so is the head."""
    head: Digest = GENESIS
    books: int = 0
    """Chains that were walked to their end, the journal included."""
    artifacts: int = 0
    """Contents that have their digest."""
    broken_sequence: int | None = None
    """In the book that the problem names; None where it is about an artifact that no run record names."""
    problem: str | None = None
