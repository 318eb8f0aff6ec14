"""The decision audit trail: entries, records and the proof that nothing was changed. Reads only."""

from __future__ import annotations

import json
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query

from app.api.runs import RunIdPath
from app.api.schemas import AuditEntry
from app.api.serving import Served
from domain.errors import UnknownSubject
from domain.journal import JournalEntry, Verification
from domain.run import RunRecord
from memory.journal import SqlJournal

router = APIRouter(prefix="/v1/audit", tags=["audit"])

MAX_LISTED: Final = 1000


@router.get("/entries")
def list_entries(
    serving: Served,
    kind: Annotated[str | None, Query(pattern=r"^[a-z][a-z0-9_-]{0,47}$")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LISTED)] = 50,
) -> list[JournalEntry]:
    """Newest first."""
    return list(reversed(serving.application.stores.journal.entries(kind=kind, limit=limit)))


@router.get("/entries/{sequence}")
def show_entry(sequence: Annotated[int, Path(ge=1)], serving: Served) -> AuditEntry:
    journal = serving.application.stores.journal
    return AuditEntry(entry=_entry(journal, sequence), body=json.loads(journal.body(sequence)))


def _entry(journal: SqlJournal, sequence: int) -> JournalEntry:
    newest = sum(entry.sequence for entry in journal.entries(limit=1))
    if sequence > newest:
        raise UnknownSubject(f"journal entry {sequence} does not exist, the newest is {newest}")
    return journal.entries(limit=newest - sequence + 1)[0]


@router.get("/runs/{run_id}")
def show_record(run_id: RunIdPath, serving: Served) -> RunRecord:
    """The whole record of a finished run: inputs, decisions, verdict, transaction."""
    record = serving.application.dependencies.runs.record(run_id)
    if record is None:
        raise UnknownSubject(f"run {run_id!r} has no record; a run has one when it is finished")
    return record


@router.get("/verify")
def verify(serving: Served) -> Verification:
    """Walk every link of the hash chain."""
    return serving.application.stores.journal.verify()
