"""Approval: above the threshold a human with the approver role consented to exactly this digest, once, in time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from domain.people import is_same_person, person_key
from domain.verdict import Approval, ApprovalStatus
from guards.asymmetry import is_exit
from guards.binding import batch_digest
from guards.case import Case
from guards.finding import Row, Ruler, text
from guards.measures import moved_usd

RULER = Ruler("approval")
APPROVER: Final = "approver"
REQUIRED: Final = "approval_required"
"""The code of the one row that asks for a human instead of denying."""


def check_approval(case: Case) -> tuple[Row, ...]:
    if is_exit(case):
        return (RULER.fact("approval_threshold", "batch", passed=True, limit="exits never wait", observed="exit"),)
    limit, moved = case.evidence.policy.approval.min_value_without_approval_usd, moved_usd(case)
    threshold = RULER.at_most("approval_threshold", "batch", observed=moved, limit=limit, unit="usd")
    answer = case.evidence.approval
    if answer is not None and answer.status is not ApprovalStatus.PENDING:
        judged = RULER.fact("approval_threshold", "batch", passed=True, limit=text(limit), observed="approval attached")
        return (judged, *_check_answer(answer, case))
    if threshold.passed or moved is None:
        return (threshold,)
    return (threshold._replace(code=REQUIRED, passed=True),)


def _check_answer(answer: Approval, case: Case) -> Iterator[Row]:
    digest, now = batch_digest(case), case.evidence.now
    bound = (answer.batch_digest, answer.run_id) == (digest, case.evidence.plan.run_id)
    yield RULER.fact("approval_digest", "approval", passed=bound, limit=digest, observed=answer.batch_digest)
    is_unused = answer.status is not ApprovalStatus.USED
    yield RULER.fact("approval_used", "approval", passed=is_unused, limit="not used", observed=answer.status.value)
    is_granted = answer.status is not ApprovalStatus.DENIED
    yield RULER.fact("approval_denied", "approval", passed=is_granted, limit="approved", observed=answer.status.value)
    is_alive, limit = now < answer.expires_at, f"before {answer.expires_at.isoformat()}"
    yield RULER.fact("approval_expired", "approval", passed=is_alive, limit=limit, observed=now.isoformat())
    answered_by = answer.answered_by or ""
    has_role = answer.role == APPROVER and person_key(answered_by) != ""
    yield RULER.fact("approval_role", "approval", passed=has_role, limit=APPROVER, observed=str(answer.role))
    if case.evidence.policy.approval.requires_four_eyes:
        is_other = not is_same_person(answered_by, answer.requested_by)
        limit = f"not {answer.requested_by}"
        yield RULER.fact("four_eyes", "approval", passed=is_other, limit=limit, observed=str(answer.answered_by))
