"""Human answers, one row per batch digest: the only truth about consent, whatever an interrupt or a model says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, RowMapping, insert, select, update

from domain.errors import ApprovalRefused, InvariantBroken
from domain.people import is_same_person, person_key
from domain.ports import ApprovalStore
from domain.verdict import Approval, ApprovalStatus
from memory.database import Database
from memory.tables import approvals

APPROVER: Final = "approver"
_COLUMNS: Final = tuple(approvals.c[name] for name in Approval.model_fields)


class SqlApprovalStore(ApprovalStore):
    """Refusals start with their code: unknown_digest, already_answered, expired, wrong_role, four_eyes, unnamed,
    not_approved, already_used.
    """

    def __init__(self, database: Database, *, requires_four_eyes: Callable[[], bool]) -> None:
        self._database = database
        self._requires_four_eyes = requires_four_eyes

    def request(self, approval: Approval) -> Approval:
        if approval.status is not ApprovalStatus.PENDING:
            raise InvariantBroken(f"approval {approval.batch_digest} is requested as {approval.status}, not pending")
        with self._database.writing() as connection:
            known = _find(connection, approval.batch_digest)
            if known is None:
                connection.execute(insert(approvals).values(**approval.model_dump()))
            return known or approval

    def find(self, batch_digest: str) -> Approval | None:
        with self._database.reading() as connection:
            return _find(connection, batch_digest)

    def pending(self) -> Sequence[Approval]:
        """Oldest first; expired ones included, because time is the caller's."""
        chosen = select(*_COLUMNS).where(approvals.c.status == ApprovalStatus.PENDING)
        with self._database.reading() as connection:
            rows = connection.execute(chosen.order_by(approvals.c.requested_at)).mappings()
            return tuple(_approval(row) for row in rows)

    def answer(self, batch_digest: str, *, approved: bool, answered_by: str, role: str, at: datetime) -> Approval:
        status = ApprovalStatus.APPROVED if approved else ApprovalStatus.DENIED
        with self._database.writing() as connection:
            known = _require(connection, batch_digest)
            self._require_answerable(known, answered_by=answered_by, role=role, at=at)
            if approved:  # a refusal only tightens: whoever asked may take it back
                self._require_four_eyes_of(known, answered_by=answered_by)
            answer = {"status": status, "answered_by": answered_by, "role": role}
            _update(connection, batch_digest, {**answer, "answered_at": at})
            return known.model_copy(update=answer)

    def consume(self, batch_digest: str, *, at: datetime) -> Approval:
        with self._database.writing() as connection:
            known = _require(connection, batch_digest)
            if known.status is ApprovalStatus.USED:
                raise ApprovalRefused(f"already_used: approval {batch_digest} was used before")
            if known.status is not ApprovalStatus.APPROVED:
                raise ApprovalRefused(f"not_approved: approval {batch_digest} is {known.status}")
            _require_in_time(known, at)
            _update(connection, batch_digest, {"status": ApprovalStatus.USED, "used_at": at})
            return known.model_copy(update={"status": ApprovalStatus.USED})

    def _require_answerable(self, known: Approval, *, answered_by: str, role: str, at: datetime) -> None:
        digest = known.batch_digest
        if known.status is not ApprovalStatus.PENDING:
            raise ApprovalRefused(f"already_answered: approval {digest} is {known.status} by {known.answered_by}")
        _require_in_time(known, at)
        if role != APPROVER:
            raise ApprovalRefused(f"wrong_role: approval {digest} needs role {APPROVER}, got {role!r}")
        if not person_key(answered_by):
            raise ApprovalRefused(f"unnamed: approval {digest} needs the name of the person who answers")

    def _require_four_eyes_of(self, known: Approval, *, answered_by: str) -> None:
        if self._requires_four_eyes() and is_same_person(answered_by, known.requested_by):
            raise ApprovalRefused(
                f"four_eyes: approval {known.batch_digest} was requested by {known.requested_by}, who approves it; "
                "another person must answer: --as NAME"
            )


def _require(connection: Connection, batch_digest: str) -> Approval:
    known = _find(connection, batch_digest)
    if known is None:
        raise ApprovalRefused(f"unknown_digest: nobody asked for an approval of {batch_digest}")
    return known


def _require_in_time(known: Approval, at: datetime) -> None:
    if at >= known.expires_at:
        raise ApprovalRefused(
            f"expired: approval {known.batch_digest} expired at {known.expires_at.isoformat()}, it is {at.isoformat()}"
        )


def _find(connection: Connection, batch_digest: str) -> Approval | None:
    chosen = select(*_COLUMNS).where(approvals.c.batch_digest == batch_digest)
    row = connection.execute(chosen).mappings().one_or_none()
    return None if row is None else _approval(row)


def _approval(row: RowMapping) -> Approval:
    return Approval.model_validate(dict(row))


def _update(connection: Connection, batch_digest: str, values: dict[str, object]) -> None:
    connection.execute(update(approvals).where(approvals.c.batch_digest == batch_digest).values(**values))
