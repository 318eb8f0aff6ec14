"""How a policy comes into force: what is tighter at once, what is looser after a delay and with a second person.

Pure: the past as events in, the next events out. The file is the wish; what these events say is in force.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from pydantic import Field, JsonValue

from domain.errors import ApprovalRefused
from domain.people import is_same_person, person_key
from domain.policy import Policy
from domain.policy_change import Change, compare, meet
from domain.units import Digest, UtcDatetime, Value

PROPOSAL_LIFETIME: Final = timedelta(days=7)
"""After its delay; an old consent is none."""
MIN_PREFIX: Final = 8
FIRST_START: Final = "first start"


class PolicyEventKind(StrEnum):
    ADOPTED = "policy_adopted"
    TIGHTENED = "policy_tightened"
    PROPOSED = "policy_proposed"
    APPROVED = "policy_approved"
    REFUSED = "policy_refused"
    WITHDRAWN = "policy_withdrawn"  # the file asks for something else by now
    EXPIRED = "policy_expired"


TAKES_EFFECT: Final = frozenset({PolicyEventKind.ADOPTED, PolicyEventKind.TIGHTENED})
CLOSES: Final = frozenset({PolicyEventKind.REFUSED, PolicyEventKind.WITHDRAWN, PolicyEventKind.EXPIRED})


class PolicyEvent(Value):
    """One link of the policy's history."""

    kind: PolicyEventKind
    at: UtcDatetime
    by: str = Field(min_length=1, max_length=80)
    digest: Digest
    """Of the policy that this is about."""
    in_force: Digest | None
    """Of the policy before this."""
    reason: str = ""
    changes: tuple[Change, ...] = ()
    policy: JsonValue = None
    """Its whole text where it takes effect or is proposed; plain JSON, so that a later version can read the past."""
    not_before: UtcDatetime | None = None
    expires_at: UtcDatetime | None = None


class Proposal(Value):
    """A looser policy that waits."""

    policy: Policy
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


class PolicyStanding(Value):
    """What the events come to."""

    in_force: Policy | None = None
    since: UtcDatetime | None = None
    proposal: Proposal | None = None
    """Open: neither refused, withdrawn, expired nor in force."""
    refused: Digest | None = None
    """The wish that was last refused: not proposed again until the file says something else."""


def fold(events: Iterable[PolicyEvent]) -> PolicyStanding:
    """Raises ValueError when the policy in force or a waiting one is none in this version."""
    effective: PolicyEvent | None = None
    waiting: PolicyEvent | None = None
    approved_by: str | None = None
    refused: str | None = None
    for event in events:
        if event.kind in TAKES_EFFECT:
            effective, refused = event, None
        if event.kind is PolicyEventKind.PROPOSED:
            waiting, approved_by, refused = event, None, None
        elif event.kind is PolicyEventKind.APPROVED:
            approved_by = event.by
        elif event.kind in CLOSES or event.kind is PolicyEventKind.ADOPTED:
            waiting = None
            refused = event.digest if event.kind is PolicyEventKind.REFUSED else refused
    return PolicyStanding(
        in_force=None if effective is None else Policy.model_validate(effective.policy),
        since=None if effective is None else effective.at,
        proposal=None if waiting is None else _proposal(waiting, approved_by),
        refused=refused,
    )


def _proposal(event: PolicyEvent, approved_by: str | None) -> Proposal:
    fields = event.model_dump(include={"policy", "digest", "changes", "not_before", "expires_at"})
    return Proposal.model_validate(
        {**fields, "proposed_by": event.by, "proposed_at": event.at, "approved_by": approved_by}
    )


def follow(standing: PolicyStanding, wish: Policy, *, by: str, at: datetime) -> tuple[PolicyEvent, ...]:
    """What the file's wish leads to now; nothing where it is in force or waits already."""
    if standing.in_force is None:
        return (_event(PolicyEventKind.ADOPTED, wish, None, by=by, at=at, reason=FIRST_START),)
    proposal = standing.proposal
    if proposal is not None and at < proposal.expires_at and not compare(proposal.policy, wish):
        return (_take_effect(proposal, standing.in_force, at=at),) if proposal.is_due(at) else ()
    closed = () if proposal is None else (_close(proposal, standing.in_force, by=by, at=at),)
    return (*closed, *_start_anew(standing, standing.in_force, wish, by=by, at=at))


def _start_anew(
    standing: PolicyStanding, in_force: Policy, wish: Policy, *, by: str, at: datetime
) -> tuple[PolicyEvent, ...]:
    tightened = meet(in_force, wish)
    at_once = compare(in_force, tightened)
    events = (_event(PolicyEventKind.TIGHTENED, tightened, in_force, by=by, at=at, changes=at_once),) if at_once else ()
    if not compare(tightened, wish) or wish.digest() == standing.refused:
        return events
    return (*events, _propose(wish, tightened, by=by, at=at))


def _propose(wish: Policy, in_force: Policy, *, by: str, at: datetime) -> PolicyEvent:
    """The delay is that of the policy in force, also where the wish shortens it."""
    not_before = at + timedelta(seconds=in_force.changes.loosening_delay_seconds)
    event = _event(PolicyEventKind.PROPOSED, wish, in_force, by=by, at=at, changes=compare(in_force, wish))
    return event.model_copy(update={"not_before": not_before, "expires_at": not_before + PROPOSAL_LIFETIME})


def _take_effect(proposal: Proposal, in_force: Policy, *, at: datetime) -> PolicyEvent:
    by = proposal.approved_by or proposal.proposed_by
    reason = f"proposed by {proposal.proposed_by} at {proposal.proposed_at.isoformat()}"
    changes = compare(in_force, proposal.policy)
    return _event(PolicyEventKind.ADOPTED, proposal.policy, in_force, by=by, at=at, changes=changes, reason=reason)


def _close(proposal: Proposal, in_force: Policy, *, by: str, at: datetime) -> PolicyEvent:
    if at >= proposal.expires_at:
        reason = f"nothing came of it until {proposal.expires_at.isoformat()}"
        return _about(PolicyEventKind.EXPIRED, proposal, in_force, by=by, at=at, reason=reason)
    reason = "the file asks for something else"
    return _about(PolicyEventKind.WITHDRAWN, proposal, in_force, by=by, at=at, reason=reason)


def approve(standing: PolicyStanding, digest: str, *, by: str, at: datetime) -> PolicyEvent:
    """Raises ApprovalRefused: unknown_digest, expired, already_answered, unnamed, four_eyes."""
    proposal, in_force = _answerable(standing, digest, by=by, at=at)
    if proposal.approved_by is not None:
        raise ApprovalRefused(f"already_answered: policy {proposal.digest} was approved by {proposal.approved_by}")
    if in_force.changes.requires_four_eyes and is_same_person(by, proposal.proposed_by):
        raise ApprovalRefused(
            f"four_eyes: policy {proposal.digest} was proposed by {proposal.proposed_by}, who approves it; "
            "another person must answer: --as NAME"
        )
    return _about(PolicyEventKind.APPROVED, proposal, in_force, by=by, at=at, reason="")


def refuse(standing: PolicyStanding, digest: str, *, by: str, at: datetime, reason: str) -> PolicyEvent:
    """Whoever proposed may, too, and after an approval as well: that is what the delay is for."""
    proposal, in_force = _answerable(standing, digest, by=by, at=at)
    return _about(PolicyEventKind.REFUSED, proposal, in_force, by=by, at=at, reason=reason)


def _answerable(standing: PolicyStanding, digest: str, *, by: str, at: datetime) -> tuple[Proposal, Policy]:
    proposal = standing.proposal
    if proposal is None or standing.in_force is None:
        raise ApprovalRefused("unknown_digest: no policy waits; `autofi policy apply` proposes what the file loosens")
    if len(digest) < MIN_PREFIX or not proposal.digest.startswith(digest):
        raise ApprovalRefused(
            f"unknown_digest: {digest!r} is not the policy that waits, {proposal.digest[:16]} "
            f"(at least {MIN_PREFIX} characters of it are needed)"
        )
    if at >= proposal.expires_at:
        raise ApprovalRefused(
            f"expired: policy {proposal.digest} waited until {proposal.expires_at.isoformat()}, it is {at.isoformat()}"
        )
    if not person_key(by):
        raise ApprovalRefused(f"unnamed: policy {proposal.digest} needs the name of the person who answers")
    return proposal, standing.in_force


def _about(
    kind: PolicyEventKind, proposal: Proposal, in_force: Policy, *, by: str, at: datetime, reason: str
) -> PolicyEvent:
    return PolicyEvent(kind=kind, at=at, by=by, digest=proposal.digest, in_force=in_force.digest(), reason=reason)


def _event(
    kind: PolicyEventKind,
    policy: Policy,
    in_force: Policy | None,
    *,
    by: str,
    at: datetime,
    changes: tuple[Change, ...] = (),
    reason: str = "",
) -> PolicyEvent:
    return PolicyEvent(
        kind=kind,
        at=at,
        by=by,
        digest=policy.digest(),
        in_force=None if in_force is None else in_force.digest(),
        reason=reason,
        changes=changes,
        policy=policy.model_dump(mode="json"),
    )
