"""Where runs stand; the record of a finished run is in the journal, written in the same transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, Row, Select, insert, select, update

from domain.digest import canonical_json
from domain.errors import InvariantBroken, UnknownSubject
from domain.journal import JournalEntry
from domain.ports import RunStore
from domain.run import RunRecord, RunRequest, RunStatus
from domain.units import UtcDatetime, Value
from memory import books
from memory.database import Database
from memory.hash_chain import Book
from memory.journal import read_body
from memory.resumption import last_resume
from memory.tables import book_entries, runs

_FINAL: Final = [status.value for status in RunStatus if status.is_final]
_REPEATABLE: Final = {
    RunStatus.EXECUTED,
    RunStatus.DENIED,
    RunStatus.VETOED,
    RunStatus.HELD,
    RunStatus.UNCHANGED,
    RunStatus.SHADOWED,
}


class RunSummary(Value):
    """One line of a list of runs."""

    request: RunRequest
    status: RunStatus
    summary: str
    updated_at: UtcDatetime


class SqlRunStore(RunStore):
    def __init__(self, database: Database) -> None:
        self._database = database

    def start(self, request: RunRequest) -> None:
        """Harmless when repeated; another request under the same id raises InvariantBroken."""
        row = {
            "run_id": request.run_id,
            "request": canonical_json(request).decode(),
            "status": RunStatus.RUNNING.value,
            "summary": "",
            "started_at": request.requested_at,
            "updated_at": request.requested_at,
        }
        with self._database.writing() as connection:
            known = _find(connection, request.run_id)
            if known is None:
                connection.execute(insert(runs).values(**row))
            elif known.request != row["request"]:
                raise InvariantBroken(f"run {request.run_id} was started with another request")

    def update(self, run_id: str, status: RunStatus, *, summary: str, at: datetime) -> None:
        with self._database.writing() as connection:
            known = _require(connection, run_id)
            if known.status in _FINAL:
                raise InvariantBroken(f"run {run_id} is {known.status}, which is final, and cannot become {status}")
            _set(connection, run_id, {"status": status.value, "summary": summary, "updated_at": at})

    def finish(self, record: RunRecord) -> JournalEntry:
        """Journal the record and mark the run final, in one transaction; idempotent per run id."""
        run_id, body = record.request.run_id, canonical_json(record)
        if not record.status.is_final:
            raise InvariantBroken(f"run {run_id} cannot finish as {record.status}")
        with self._database.writing() as connection:
            known = _require(connection, run_id)
            if known.journal_sequence is not None:
                return _same_entry(connection, known.journal_sequence, body, run_id)
            entry = books.append(connection, Book.JOURNAL, kind="run", subject=run_id, body=body, at=record.finished_at)
            _set(connection, run_id, {**_final_row(record), "journal_sequence": entry.sequence})
            return entry

    def request(self, run_id: str) -> RunRequest | None:
        with self._database.reading() as connection:
            known = _find(connection, run_id)
            return None if known is None else RunRequest.model_validate_json(known.request)

    def record(self, run_id: str) -> RunRecord | None:
        """None while the run has not finished, and for an unknown id."""
        with self._database.reading() as connection:
            known = _find(connection, run_id)
        if known is None or known.journal_sequence is None:
            return None
        return self._read(known.journal_sequence)

    def since_resume(self, *, limit: int) -> Iterator[RunRecord]:
        """Finished since an operator last let trading go on, newest first; a record is read when it is asked for."""
        with self._database.reading() as connection:
            later = runs.c.journal_sequence > last_resume(connection, Book.JOURNAL)
            newest = select(runs.c.journal_sequence).where(later).order_by(runs.c.journal_sequence.desc()).limit(limit)
            sequences = connection.execute(newest).scalars().all()
        for sequence in sequences:
            yield self._read(sequence)

    def last_input_digest(self) -> str | None:
        digest = runs.c.repeatable_input_digest
        newest = select(digest).where(digest.is_not(None)).order_by(runs.c.journal_sequence.desc()).limit(1)
        with self._database.reading() as connection:
            found: str | None = connection.execute(newest).scalar()
            return found

    def recent(self, *, limit: int = 50) -> Sequence[RunSummary]:
        """Newest first."""
        return self._summaries(select(runs).order_by(runs.c.started_at.desc(), runs.c.run_id.desc()).limit(limit))

    def unfinished(self) -> Sequence[RunSummary]:
        """Running or waiting, oldest first: what a resume looks at."""
        return self._summaries(select(runs).where(runs.c.status.not_in(_FINAL)).order_by(runs.c.started_at))

    def find(self, run_id: str) -> RunSummary | None:
        return next(iter(self._summaries(select(runs).where(runs.c.run_id == run_id))), None)

    def _read(self, sequence: int) -> RunRecord:
        with self._database.reading() as connection:
            return RunRecord.model_validate_json(read_body(connection, sequence))

    def _summaries(self, chosen: Select[tuple[object, ...]]) -> Sequence[RunSummary]:
        with self._database.reading() as connection:
            return tuple(
                RunSummary(
                    request=RunRequest.model_validate_json(row.request),
                    status=RunStatus(row.status),
                    summary=row.summary,
                    updated_at=row.updated_at,
                )
                for row in connection.execute(chosen)
            )


def _find(connection: Connection, run_id: str) -> Row[tuple[object, ...]] | None:
    return connection.execute(select(runs).where(runs.c.run_id == run_id)).one_or_none()


def _require(connection: Connection, run_id: str) -> Row[tuple[object, ...]]:
    known = _find(connection, run_id)
    if known is None:
        raise UnknownSubject(f"run {run_id} was never started")
    return known


def _set(connection: Connection, run_id: str, values: dict[str, object]) -> None:
    connection.execute(update(runs).where(runs.c.run_id == run_id).values(**values))


def _final_row(record: RunRecord) -> dict[str, object]:
    return {
        "status": record.status.value,
        "summary": record.summary,
        "updated_at": record.finished_at,
        "repeatable_input_digest": record.input_digest if _would_repeat(record) else None,
    }


def _would_repeat(record: RunRecord) -> bool:
    """Not after a failure, a human's refusal or a static rule's answer: those may turn out otherwise next time."""
    return record.status in _REPEATABLE and not any(decision.is_by_rule for decision in record.decisions)


def _same_entry(connection: Connection, sequence: int, body: bytes, run_id: str) -> JournalEntry:
    if read_body(connection, sequence) != body:
        raise InvariantBroken(f"run {run_id} was finished with another record, see journal entry {sequence}")
    columns = tuple(book_entries.c[name] for name in JournalEntry.model_fields)
    chosen = select(*columns).where(book_entries.c.book == Book.JOURNAL, book_entries.c.sequence == sequence)
    return JournalEntry.model_validate(dict(connection.execute(chosen).mappings().one()))
