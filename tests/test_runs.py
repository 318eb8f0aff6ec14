"""Runs: their state, their record in the journal, and which input need not be decided again."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from domain.errors import InvariantBroken, StoreUnavailable, UnknownSubject
from domain.run import AgentDecision, AgentName, RunRecord, RunRequest, RunStatus, Trigger, Workflow
from memory.database import open_database
from memory.journal import SqlJournal
from memory.runs import SqlRunStore
from tests.builders import NOW


@pytest.fixture
def database(tmp_path):
    opened = open_database(f"sqlite:///{tmp_path / 'autofi.db'}")
    yield opened
    opened.close()


@pytest.fixture
def runs(database):
    return SqlRunStore(database)


def make_request(run_id: str = "run-1", **changes: object) -> RunRequest:
    fields: dict[str, object] = {
        "run_id": run_id,
        "workflow": Workflow.OPTIMIZE,
        "trigger": Trigger.OPERATOR,
        "requested_by": "alice",
        "requested_at": NOW,
    }
    return RunRequest.model_validate({**fields, **changes})


def make_record(run_id: str = "run-1", *, status: RunStatus = RunStatus.HELD, **changes: object) -> RunRecord:
    fields: dict[str, object] = {
        "request": make_request(run_id),
        "status": status,
        "summary": "nothing worth moving",
        "mode": "paper",
        "code_version": "0.1.0",
        "policy_digest": "a" * 64,
        "catalog_digest": "b" * 64,
        "input_digest": "c" * 64,
        "finished_at": NOW + timedelta(seconds=5),
    }
    return RunRecord.model_validate({**fields, **changes})


def finish(runs, run_id: str, status: RunStatus, digest: str | None, **changes: object) -> None:
    runs.start(make_request(run_id))
    runs.finish(make_record(run_id, status=status, input_digest=digest, **changes))


def by_rule() -> AgentDecision:
    return AgentDecision(agent=AgentName.OPTIMIZER, choice="hold", reason="", model="offline", is_by_rule=True)


def test_a_started_run_is_running(runs):
    runs.start(make_request())

    found = runs.find("run-1")

    assert (found.status, found.request, found.updated_at) == (RunStatus.RUNNING, make_request(), NOW)
    assert runs.request("run-1") == make_request()
    assert runs.record("run-1") is None


def test_an_unknown_run_has_neither_request_nor_record(runs):
    assert (runs.find("run-9"), runs.request("run-9"), runs.record("run-9")) == (None, None, None)


def test_starting_again_does_not_reset_a_run(runs):
    runs.start(make_request())
    runs.update("run-1", RunStatus.WAITING, summary="waits for approval", at=NOW)
    runs.start(make_request())

    assert runs.find("run-1").status is RunStatus.WAITING


def test_another_request_under_the_same_id_is_a_broken_invariant(runs):
    runs.start(make_request())

    with pytest.raises(InvariantBroken, match="another request"):
        runs.start(make_request(requested_by="mallory"))


def test_finishing_journals_the_record_and_makes_the_run_final(runs, database):
    runs.start(make_request())
    record = make_record()

    entry = runs.finish(record)

    journal = SqlJournal(database)
    assert (entry.kind, entry.subject, entry.recorded_at) == ("run", "run-1", record.finished_at)
    assert journal.entries() == (entry,)
    assert RunRecord.model_validate_json(journal.body(entry.sequence)) == record
    assert runs.record("run-1") == record
    assert runs.find("run-1").status is RunStatus.HELD


def test_finishing_twice_journals_once(runs, database):
    runs.start(make_request())

    first, second = runs.finish(make_record()), runs.finish(make_record())

    assert first == second
    assert SqlJournal(database).verify().entries == 1


def test_finishing_with_another_record_is_a_broken_invariant(runs):
    runs.start(make_request())
    runs.finish(make_record())

    with pytest.raises(InvariantBroken, match="another record, see journal entry 1"):
        runs.finish(make_record(summary="something else"))


def test_a_run_that_was_never_started_cannot_be_updated_or_finished(runs, database):
    with pytest.raises(UnknownSubject, match="run-1 was never started"):
        runs.update("run-1", RunStatus.WAITING, summary="", at=NOW)
    with pytest.raises(UnknownSubject, match="run-1 was never started"):
        runs.finish(make_record())

    assert SqlJournal(database).verify().entries == 0


def test_a_final_run_stays_final(runs):
    finish(runs, "run-1", RunStatus.DENIED, None)

    with pytest.raises(InvariantBroken, match="is denied, which is final"):
        runs.update("run-1", RunStatus.RUNNING, summary="", at=NOW)


def test_a_run_cannot_finish_with_a_status_that_is_not_final(runs):
    runs.start(make_request())

    with pytest.raises(InvariantBroken, match="cannot finish as waiting"):
        runs.finish(make_record(status=RunStatus.WAITING))


def test_lists_are_newest_first_and_unfinished_oldest_first(runs):
    for number in range(3):
        runs.start(make_request(f"run-{number}", requested_at=NOW + timedelta(seconds=number)))
    runs.finish(make_record("run-1"))

    assert [run.request.run_id for run in runs.recent(limit=2)] == ["run-2", "run-1"]
    assert [run.request.run_id for run in runs.unfinished()] == ["run-0", "run-2"]


def test_no_input_is_known_before_the_first_answer(runs):
    assert runs.last_input_digest() is None


@pytest.mark.parametrize("status", ["executed", "denied", "vetoed", "held", "unchanged", "shadowed"])
def test_the_input_of_an_answer_that_would_repeat_is_remembered(runs, status):
    finish(runs, "run-0", RunStatus.HELD, "1" * 64)
    finish(runs, "run-1", RunStatus(status), "2" * 64)

    assert runs.last_input_digest() == "2" * 64


@pytest.mark.parametrize(
    ("status", "changes"),
    [("failed", {}), ("refused", {}), ("held", {"decisions": (by_rule(),)})],
)
def test_the_input_of_an_answer_that_may_turn_out_otherwise_is_not_remembered(runs, status, changes):
    finish(runs, "run-0", RunStatus.HELD, "1" * 64)
    finish(runs, "run-1", RunStatus(status), "2" * 64, **changes)

    assert runs.last_input_digest() == "1" * 64


def test_a_changed_record_is_never_handed_out(runs, tmp_path):
    finish(runs, "run-1", RunStatus.HELD, None)
    with closing(sqlite3.connect(tmp_path / "autofi.db", isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER book_entries_no_update")
        connection.execute("UPDATE book_entries SET body = cast(replace(body, 'held', 'executed') AS BLOB)")

    with pytest.raises(StoreUnavailable, match="journal entry 1"):
        runs.record("run-1")
