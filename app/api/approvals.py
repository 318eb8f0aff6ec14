"""Approvals: what waits for a human, and the human's answer to exactly one digest."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from app.api.schemas import AnswerApproval
from app.api.serving import Served
from app.approvals import answer_approval
from domain.verdict import Approval

router = APIRouter(prefix="/v1/approvals", tags=["approvals"])

DigestPath = Annotated[str, Path(pattern=r"^[0-9a-f]{8,64}$")]


@router.get("")
def list_approvals(serving: Served) -> list[Approval]:
    """Waiting for an answer, oldest first."""
    return list(serving.application.dependencies.approvals.pending())


@router.post("/{digest}", status_code=202)
def answer(digest: DigestPath, body: AnswerApproval, serving: Served) -> Approval:
    """Approve or deny by the digest, or as much of it as is unique; the run continues in the background."""
    approved = body.decision == "approve"
    answered = answer_approval(serving.application, digest, approved=approved, answered_by=body.answered_by)
    serving.runs.resume(answered.run_id)
    return answered
