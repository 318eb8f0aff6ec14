"""What a verdict was reached on is kept beside it, whatever came of the run, and judges the same again."""

from __future__ import annotations

import pytest

from domain.digest import sha256_hex
from domain.run import RunStatus
from domain.verdict import Evidence, TradingState
from graph.judgement import judge
from guards import check
from tests.builders import NOW
from tests.builders_evidence import make_evidence, make_limits, make_report
from tests.fakes import Treasury

ASKING = make_limits(approval={"min_value_without_approval_usd": 1})


@pytest.fixture
def treasury(tmp_path):
    treasury = Treasury(tmp_path)
    yield treasury
    treasury.close()


@pytest.fixture
def asking(tmp_path):
    treasury = Treasury(tmp_path, policy=ASKING)
    yield treasury
    treasury.close()


def evidence_of(treasury, record):
    return Evidence.model_validate_json(treasury.dependencies.artifacts.get(record.evidence_digest))


def test_an_executed_run_keeps_what_its_last_look_saw(treasury):
    record = treasury.run()

    evidence = evidence_of(treasury, record)
    assert record.status is RunStatus.EXECUTED
    assert check(evidence) == record.verdict
    assert evidence.plan == record.plan


def test_a_denied_run_keeps_it_too(treasury):
    treasury.dependencies.trading_state.write(TradingState.HALTED, by="test", reason="drill", at=NOW)

    record = treasury.run()

    assert record.status is RunStatus.DENIED
    assert check(evidence_of(treasury, record)) == record.verdict


def test_an_approved_run_keeps_the_look_that_saw_the_approval(asking):
    assert asking.run() is RunStatus.WAITING
    (waiting,) = asking.dependencies.approvals.pending()
    asking.dependencies.approvals.answer(
        waiting.batch_digest, approved=True, answered_by="alice", role="approver", at=asking.market.now()
    )

    asking.conductor.resume("run-1")

    record = asking.runs.record("run-1")
    assert record.status is RunStatus.EXECUTED
    assert not record.verdict.needs_approval
    assert evidence_of(asking, record).approval.answered_by == "alice"


def test_a_refused_run_keeps_the_look_that_asked(asking):
    asking.run()
    (waiting,) = asking.dependencies.approvals.pending()
    asking.dependencies.approvals.answer(
        waiting.batch_digest, approved=False, answered_by="alice", role="approver", at=asking.market.now()
    )

    asking.conductor.resume("run-1")

    record = asking.runs.record("run-1")
    assert record.status is RunStatus.REFUSED
    assert check(evidence_of(asking, record)).needs_approval


def test_evidence_is_kept_under_the_digest_of_its_bytes_and_proven_with_the_journal(treasury):
    record = treasury.run()

    content = treasury.dependencies.artifacts.get(record.evidence_digest)

    assert sha256_hex(content) == record.evidence_digest
    assert treasury.dependencies.journal.verify().is_verified


def test_a_run_whose_evidence_is_gone_is_no_longer_proven(treasury):
    record = treasury.run()

    with treasury.database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM artifacts WHERE digest = ?", (record.evidence_digest,))

    proof = treasury.dependencies.journal.verify()
    assert not proof.is_verified
    assert record.evidence_digest in proof.problem


def test_evidence_that_cannot_be_written_down_is_denied_and_leaves_no_digest(treasury):
    broken = make_report().model_copy(update={"herfindahl": float("nan")})
    evidence = make_evidence().model_copy(update={"risk_after": broken})

    judgement = judge(evidence, treasury.dependencies)

    assert judgement.evidence_digest is None
    assert {denial.code for denial in judgement.verdict.denials} == {"evidence_invalid"}
