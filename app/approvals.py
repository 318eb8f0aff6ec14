"""Answering a waiting batch by its digest, or by as much of it as is unique."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from domain.digest import canonical_json
from domain.errors import ApprovalRefused
from domain.verdict import Approval

if TYPE_CHECKING:
    from app.wiring import Application

MIN_PREFIX: Final = 8
APPROVER_ROLE: Final = "approver"


def answer_approval(application: Application, target: str, *, approved: bool, answered_by: str) -> Approval:
    """Raises ApprovalRefused naming the reason."""
    dependencies = application.dependencies
    digest = _resolve(application, target)
    answered = dependencies.approvals.answer(
        digest, approved=approved, answered_by=answered_by, role=APPROVER_ROLE, at=dependencies.clock.now()
    )
    dependencies.journal.append(
        kind="approval", subject=digest, body=canonical_json(answered), at=dependencies.clock.now()
    )
    return answered


def _resolve(application: Application, target: str) -> str:
    waiting = [approval.batch_digest for approval in application.dependencies.approvals.pending()]
    if target in waiting or application.dependencies.approvals.find(target) is not None:
        return target
    matches = [digest for digest in waiting if len(target) >= MIN_PREFIX and digest.startswith(target)]
    if len(matches) != 1:
        known = ", ".join(digest[:16] for digest in waiting) or "none"
        raise ApprovalRefused(
            f"unknown_digest: {target!r} names {len(matches)} waiting batches (at least {MIN_PREFIX} characters "
            f"of one digest are needed); waiting: {known}"
        )
    return matches[0]
