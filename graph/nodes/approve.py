"""Approve: wait for a human's answer to this digest. The truth is the approvals table; the interrupt is a form."""

from __future__ import annotations

from datetime import timedelta

from langgraph.types import interrupt

from domain.verdict import Approval, ApprovalStatus
from graph.dependencies import Dependencies
from graph.evidence import reparse_plan
from graph.state import State, request_of
from guards.render import describe_batch


def approve(state: State, dependencies: Dependencies) -> State:
    """Write `approval`: the consent, or None when it was refused or came too late.

    The node runs again from its start at every resume, so asking twice must be the same as asking once.
    """
    answer = dependencies.approvals.request(_question(state, dependencies))
    if answer.status is ApprovalStatus.PENDING and dependencies.clock.now() < answer.expires_at:
        interrupt({"batch_digest": answer.batch_digest, "summary": answer.summary})
        answer = dependencies.approvals.find(answer.batch_digest) or answer
    return State(approval=answer if answer.status is ApprovalStatus.APPROVED else None)


def _question(state: State, dependencies: Dependencies) -> Approval:
    plan, now = reparse_plan(state), dependencies.clock.now()
    expiry = timedelta(seconds=dependencies.policy.approval.expiry_seconds)
    return Approval(
        batch_digest=plan.batch_digest(),
        run_id=plan.run_id,
        status=ApprovalStatus.PENDING,
        requested_by=request_of(state).requested_by,
        requested_at=now,
        expires_at=min(plan.expires_at, now + expiry),
        summary=describe_batch(plan, catalog=dependencies.catalog),
    )
