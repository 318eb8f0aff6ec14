"""What another policy would have done with recorded runs: blocked, let pass, asked, or nobody can tell."""

from __future__ import annotations

import pytest

from app.policy_replay import Answer, replay
from app.stores import make_stores
from domain.verdict import TradingState
from tests.builders import NOW
from tests.builders_evidence import make_limits
from tests.fakes import Treasury

BASE = make_limits()
ASKING = make_limits(approval={"min_value_without_approval_usd": 1})
TIGHT = make_limits(budgets={"max_transaction_value_usd": 1_000}, exposure={"max_run_turnover_share": "0.001"})


@pytest.fixture
def treasury(tmp_path):
    treasury = Treasury(tmp_path)
    yield treasury
    treasury.close()


@pytest.fixture
def stores(treasury):
    return make_stores(treasury.database)


def only(found):
    (run,) = found.runs
    return run


def test_the_policy_of_the_time_gives_the_answer_of_the_time(treasury, stores):
    treasury.run()

    found = replay(stores, BASE, days=7)

    run = only(found)
    assert (run.run_id, run.before, run.now, run.new_codes, run.note) == ("run-1", Answer.PASS, Answer.PASS, (), "")
    assert (found.newly_denied, found.newly_passing, found.newly_asking, found.unknown) == (0, 0, 0, 0)


def test_a_tighter_policy_would_have_blocked_it_by_these_codes(treasury, stores):
    treasury.run()

    found = replay(stores, TIGHT, days=7)

    run = only(found)
    assert (run.before, run.now, set(run.new_codes)) == (
        Answer.PASS,
        Answer.DENY,
        {"run_turnover", "transaction_value"},
    )
    assert (found.policy_digest, found.newly_denied) == (TIGHT.digest(), 1)


def test_a_policy_that_asks_would_have_asked(treasury, stores):
    treasury.run()

    found = replay(stores, ASKING, days=7)

    assert (only(found).now, found.newly_asking, found.newly_denied) == (Answer.ASK, 1, 0)


def test_a_looser_policy_lets_pass_what_was_denied(treasury, stores):
    """It waited for a human longer than its policy allows."""
    treasury.policy = ASKING
    treasury.run()
    (waiting,) = treasury.dependencies.approvals.pending()
    treasury.dependencies.approvals.answer(
        waiting.batch_digest, approved=True, answered_by="alice", role="approver", at=NOW
    )
    treasury.later(minutes=45)
    treasury.conductor.resume("run-1")

    patient = make_limits(
        approval={"expiry_seconds": 7_200},
        freshness={"max_snapshot_age_seconds": 7_200, "max_rate_age_seconds": 7_200},
    )
    found = replay(stores, patient, days=7)

    assert (only(found).before, only(found).now, found.newly_passing) == (Answer.DENY, Answer.PASS, 1)


def test_what_was_denied_by_the_trading_state_is_denied_under_any_policy(treasury, stores):
    treasury.dependencies.trading_state.write(TradingState.HALTED, by="test", reason="drill", at=NOW)
    treasury.run()

    found = replay(stores, make_limits(budgets={"max_week_value_usd": "unlimited"}), days=7)

    assert (only(found).before, only(found).now, only(found).new_codes) == (Answer.DENY, Answer.DENY, ())


def test_another_horizon_says_that_its_tails_are_unknown(treasury, stores):
    treasury.run()

    run = only(replay(stores, make_limits(risk={"horizon_days": 10}), days=7))

    assert run.now is Answer.DENY
    assert {"var_95", "cvar_99"} <= set(run.new_codes)
    assert "horizon_days 1 and not 10" in run.note


def test_a_run_without_evidence_is_said_to_be_unknown(treasury, stores):
    record = treasury.run()
    old = record.model_copy(update={"evidence_digest": None, "request": treasury.request("run-old")})
    treasury.runs.start(old.request)
    treasury.runs.finish(old)

    found = replay(stores, TIGHT, days=7)

    run = next(run for run in found.runs if run.run_id == "run-old")
    assert (run.before, run.now) == (Answer.PASS, None)
    assert "before evidence was kept" in run.note
    assert (found.unknown, found.newly_denied) == (1, 1)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("DELETE FROM artifacts WHERE digest = ?", "is not stored"),
        ("UPDATE artifacts SET content = x'00' WHERE digest = ?", "holds other content"),
    ],
)
def test_evidence_that_is_gone_or_damaged_is_said_so(treasury, stores, statement, words):
    record = treasury.run()
    with treasury.database.writing() as connection:
        connection.exec_driver_sql(statement, (record.evidence_digest,))

    run = only(replay(stores, TIGHT, days=7))

    assert run.now is None
    assert words in run.note


def test_evidence_of_another_version_is_said_so(treasury, stores):
    record = treasury.run()
    foreign = treasury.dependencies.artifacts.put(b'{"moon_phase":"full"}')
    other = record.model_copy(update={"evidence_digest": foreign, "request": treasury.request("run-other")})
    treasury.runs.start(other.request)
    treasury.runs.finish(other)

    run = next(run for run in replay(stores, BASE, days=7).runs if run.run_id == "run-other")

    assert run.now is None
    assert "another version" in run.note


def test_runs_before_the_days_asked_for_and_runs_without_a_verdict_are_left_out(treasury, stores):
    treasury.run("run-1")
    treasury.later(days=3)
    treasury.market.is_down = True
    treasury.run("run-2")

    recent = replay(stores, TIGHT, days=2)
    whole = replay(stores, TIGHT, days=3)

    assert (recent.runs, recent.without_verdict) == ((), 1)
    assert ([run.run_id for run in whole.runs], whole.without_verdict) == (["run-1"], 1)


def test_without_any_run_there_is_nothing_to_say(stores):
    found = replay(stores, TIGHT, days=7)

    assert (found.since, found.runs, found.without_verdict) == (None, (), 0)


def test_sums_are_part_of_the_data(treasury, stores):
    treasury.run()

    written = replay(stores, TIGHT, days=7).model_dump(mode="json")

    assert {name: written[name] for name in ("newly_denied", "newly_passing", "newly_asking", "unknown")} == {
        "newly_denied": 1,
        "newly_passing": 0,
        "newly_asking": 0,
        "unknown": 0,
    }
