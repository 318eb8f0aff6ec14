"""How a policy or a catalog comes into force: tighter at once, looser after a delay and with a second person.

Pure: the past as events in, the next events out. The file is the wish; what these events say is in force.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Generic, TypeVar

from pydantic import AliasChoices, Field, JsonValue

from domain.errors import ApprovalRefused
from domain.market import Catalog
from domain.people import is_same_person, person_key
from domain.policy import ChangeRules, Policy
from domain.policy_change import Change
from domain.units import Digest, UtcDatetime, Value

D = TypeVar("D", bound=Policy | Catalog)

PROPOSAL_LIFETIME: Final = timedelta(days=7)
"""After its delay; an old consent is none."""
MIN_PREFIX: Final = 8
FIRST_START: Final = "first start"


class Step(StrEnum):
    ADOPTED = "adopted"
    TIGHTENED = "tightened"
    PROPOSED = "proposed"
    APPROVED = "approved"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"  # the file asks for something else by now
    EXPIRED = "expired"


TAKES_EFFECT: Final = frozenset({Step.ADOPTED, Step.TIGHTENED})
CLOSES: Final = frozenset({Step.REFUSED, Step.WITHDRAWN, Step.EXPIRED})


@dataclass(frozen=True, slots=True)
class Document(Generic[D]):
    """One of the two files, and how its versions are read and compared."""

    name: str
    parse: Callable[[JsonValue], D]
    compare: Callable[[D, D], tuple[Change, ...]]
    meet: Callable[[D, D], D]
    rules: Callable[[D], ChangeRules]
    """Delay and four eyes while this version is in force."""


class ChangeEvent(Value):
    """One link of a document's history."""

    kind: str = Field(pattern="^(policy|catalog)_(adopted|tightened|proposed|approved|refused|withdrawn|expired)$")
    at: UtcDatetime
    by: str = Field(min_length=1, max_length=80)
    digest: Digest
    """Of the version that this is about."""
    in_force: Digest | None
    """Of the version before this."""
    reason: str = ""
    changes: tuple[Change, ...] = ()
    text: JsonValue = Field(default=None, validation_alias=AliasChoices("text", "policy"))
    """All of it where it takes effect or is proposed; plain JSON, so that a later version can read the past.

    Books from before the catalog had a history say `policy`.
    """
    not_before: UtcDatetime | None = None
    expires_at: UtcDatetime | None = None

    @property
    def document(self) -> str:
        return self.kind.partition("_")[0]

    @property
    def step(self) -> Step:
        return Step(self.kind.partition("_")[2])


class Proposal(Value):
    """A looser version that waits."""

    document: str
    text: JsonValue
    digest: Digest
    changes: tuple[Change, ...]
    proposed_by: str
    proposed_at: UtcDatetime
    not_before: UtcDatetime
    expires_at: UtcDatetime
    approved_by: str | None = None

    def is_due(self, at: datetime) -> bool:
        return self.approved_by is not None and at >= self.not_before

    def waits_for(self) -> str:
        if self.approved_by is None:
            return f"an approval and {self.not_before:%Y-%m-%d %H:%M} UTC"
        return f"{self.not_before:%Y-%m-%d %H:%M} UTC"


@dataclass(frozen=True, slots=True)
class Standing(Generic[D]):
    """What the events come to."""

    in_force: D | None = None
    since: datetime | None = None
    proposal: Proposal | None = None
    """Open: neither refused, withdrawn, expired nor in force."""
    refused: Digest | None = None
    """The wish that was last refused: not proposed again until the file says something else."""


def fold(document: Document[D], events: Iterable[ChangeEvent]) -> Standing[D]:
    """Of the document's own events. Raises ValueError when what is in force or waits is none in this version."""
    effective: ChangeEvent | None = None
    waiting: ChangeEvent | None = None
    approved_by: str | None = None
    refused: str | None = None
    for event in events:
        if event.document != document.name:
            continue
        if event.step in TAKES_EFFECT:
            effective, refused = event, None
        if event.step is Step.PROPOSED:
            waiting, approved_by, refused = event, None, None
        elif event.step is Step.APPROVED:
            approved_by = event.by
        elif event.step in CLOSES or event.step is Step.ADOPTED:
            waiting = None
            refused = event.digest if event.step is Step.REFUSED else refused
    return Standing(
        in_force=None if effective is None else document.parse(effective.text),
        since=None if effective is None else effective.at,
        proposal=None if waiting is None else _proposal(document, waiting, approved_by),
        refused=refused,
    )


def _proposal(document: Document[D], event: ChangeEvent, approved_by: str | None) -> Proposal:
    document.parse(event.text)
    fields = event.model_dump(include={"text", "digest", "changes", "not_before", "expires_at"})
    return Proposal.model_validate(
        {
            **fields,
            "document": document.name,
            "proposed_by": event.by,
            "proposed_at": event.at,
            "approved_by": approved_by,
        }
    )


def follow(document: Document[D], standing: Standing[D], wish: D, *, by: str, at: datetime) -> tuple[ChangeEvent, ...]:
    """What the file's wish leads to now; nothing where it is in force or waits already."""
    if standing.in_force is None:
        return (_event(document, Step.ADOPTED, wish, None, by=by, at=at, reason=FIRST_START),)
    proposal = standing.proposal
    if proposal is not None and at < proposal.expires_at and not document.compare(document.parse(proposal.text), wish):
        return (_take_effect(document, proposal, standing.in_force, at=at),) if proposal.is_due(at) else ()
    closed = () if proposal is None else (_close(proposal, standing.in_force, by=by, at=at),)
    return (*closed, *_start_anew(document, standing, standing.in_force, wish, by=by, at=at))


def _start_anew(
    document: Document[D], standing: Standing[D], in_force: D, wish: D, *, by: str, at: datetime
) -> tuple[ChangeEvent, ...]:
    tightened = document.meet(in_force, wish)
    at_once = document.compare(in_force, tightened)
    step = _event(document, Step.TIGHTENED, tightened, in_force, by=by, at=at, changes=at_once)
    events = (step,) if at_once else ()
    if not document.compare(tightened, wish) or wish.digest() == standing.refused:
        return events
    return (*events, _propose(document, wish, tightened, by=by, at=at))


def _propose(document: Document[D], wish: D, in_force: D, *, by: str, at: datetime) -> ChangeEvent:
    """The delay is that of the policy in force, also where the wish shortens it."""
    not_before = at + timedelta(seconds=document.rules(in_force).loosening_delay_seconds)
    changes = document.compare(in_force, wish)
    event = _event(document, Step.PROPOSED, wish, in_force, by=by, at=at, changes=changes)
    return event.model_copy(update={"not_before": not_before, "expires_at": not_before + PROPOSAL_LIFETIME})


def _take_effect(document: Document[D], proposal: Proposal, in_force: D, *, at: datetime) -> ChangeEvent:
    by = proposal.approved_by or proposal.proposed_by
    reason = f"proposed by {proposal.proposed_by} at {proposal.proposed_at.isoformat()}"
    wish = document.parse(proposal.text)
    changes = document.compare(in_force, wish)
    return _event(document, Step.ADOPTED, wish, in_force, by=by, at=at, changes=changes, reason=reason)


def _close(proposal: Proposal, in_force: D, *, by: str, at: datetime) -> ChangeEvent:
    if at >= proposal.expires_at:
        reason = f"nothing came of it until {proposal.expires_at.isoformat()}"
        return _about(Step.EXPIRED, proposal, in_force, by=by, at=at, reason=reason)
    reason = "the file asks for something else"
    return _about(Step.WITHDRAWN, proposal, in_force, by=by, at=at, reason=reason)


def approve(document: Document[D], standing: Standing[D], digest: str, *, by: str, at: datetime) -> ChangeEvent:
    """Raises ApprovalRefused: unknown_digest, expired, already_answered, unnamed, four_eyes."""
    proposal, in_force = _answerable(document, standing, digest, by=by, at=at)
    named = f"{document.name} {proposal.digest}"
    if proposal.approved_by is not None:
        raise ApprovalRefused(f"already_answered: {named} was approved by {proposal.approved_by}")
    if document.rules(in_force).requires_four_eyes and is_same_person(by, proposal.proposed_by):
        raise ApprovalRefused(
            f"four_eyes: {named} was proposed by {proposal.proposed_by}, who approves it; "
            "another person must answer: --as NAME"
        )
    return _about(Step.APPROVED, proposal, in_force, by=by, at=at, reason="")


def refuse(
    document: Document[D], standing: Standing[D], digest: str, *, by: str, at: datetime, reason: str
) -> ChangeEvent:
    """Whoever proposed may, too, and after an approval as well: that is what the delay is for."""
    proposal, in_force = _answerable(document, standing, digest, by=by, at=at)
    return _about(Step.REFUSED, proposal, in_force, by=by, at=at, reason=reason)


def _answerable(
    document: Document[D], standing: Standing[D], digest: str, *, by: str, at: datetime
) -> tuple[Proposal, D]:
    proposal, name = standing.proposal, document.name
    if proposal is None or standing.in_force is None:
        raise ApprovalRefused(f"unknown_digest: no {name} waits; `autofi policy apply` proposes what the file loosens")
    if not is_named(proposal, digest):
        raise ApprovalRefused(
            f"unknown_digest: {digest!r} is not the {name} that waits, {proposal.digest[:16]} "
            f"(at least {MIN_PREFIX} characters of it are needed)"
        )
    if at >= proposal.expires_at:
        raise ApprovalRefused(
            f"expired: {name} {proposal.digest} waited until {proposal.expires_at.isoformat()}, it is {at.isoformat()}"
        )
    if not person_key(by):
        raise ApprovalRefused(f"unnamed: {name} {proposal.digest} needs the name of the person who answers")
    return proposal, standing.in_force


def is_named(proposal: Proposal, digest: str) -> bool:
    return len(digest) >= MIN_PREFIX and proposal.digest.startswith(digest)


def _about(step: Step, proposal: Proposal, in_force: D, *, by: str, at: datetime, reason: str) -> ChangeEvent:
    kind = f"{proposal.document}_{step}"
    return ChangeEvent(kind=kind, at=at, by=by, digest=proposal.digest, in_force=in_force.digest(), reason=reason)


def _event(
    document: Document[D],
    step: Step,
    version: D,
    in_force: D | None,
    *,
    by: str,
    at: datetime,
    changes: tuple[Change, ...] = (),
    reason: str = "",
) -> ChangeEvent:
    return ChangeEvent(
        kind=f"{document.name}_{step}",
        at=at,
        by=by,
        digest=version.digest(),
        in_force=None if in_force is None else in_force.digest(),
        reason=reason,
        changes=changes,
        text=version.model_dump(mode="json"),
    )
