"""Runs that wait, fail, crash and resume: always one record, at most one effect."""

from __future__ import annotations

import pytest

from domain.errors import BroadcastUnknown, InvariantBroken, ModelUnavailable, StoreUnavailable
from domain.ports import Simulation
from domain.run import RunStatus, Workflow
from domain.verdict import TradingState
from tests.builders import make_portfolio, make_price, make_snapshot
from tests.builders_evidence import make_limits
from tests.fakes import CATALOG, Treasury
from tests.fakes_agents import ScriptedModel

ASKING = make_limits(approval={"min_value_without_approval_usd": 1})
ETHER = 10**18


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


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the product may catch it."""


def waiting_digest(treasury: Treasury) -> str:
    (approval,) = treasury.dependencies.approvals.pending()
    return approval.batch_digest


def answer(treasury: Treasury, *, approved: bool) -> None:
    treasury.dependencies.approvals.answer(
        waiting_digest(treasury), approved=approved, answered_by="alice", role="approver", at=treasury.market.now()
    )


def test_a_run_above_the_threshold_waits_and_executes_after_a_restart_and_an_approval(asking):
    assert asking.run() is RunStatus.WAITING

    asking.reopen()
    answer(asking, approved=True)
    status = asking.conductor.resume("run-1")

    assert status is RunStatus.EXECUTED
    assert len(asking.market.receipts) == 1


def test_a_waiting_run_that_is_resumed_without_an_answer_goes_on_waiting(asking):
    asking.run()

    assert asking.conductor.resume("run-1") is RunStatus.WAITING
    assert not asking.market.receipts


def test_a_refused_run_ends_without_a_transaction(asking):
    asking.run()

    answer(asking, approved=False)
    status = asking.conductor.resume("run-1")

    assert status is RunStatus.REFUSED
    assert not asking.market.receipts


def test_an_approval_that_nobody_gave_in_time_ends_the_run(asking):
    asking.run()

    asking.later(hours=1)
    status = asking.conductor.resume("run-1")

    assert status is RunStatus.REFUSED


def test_an_approved_batch_that_a_guard_now_denies_is_not_sent(asking):
    asking.run()
    answer(asking, approved=True)

    asking.dependencies.trading_state.write(TradingState.HALTED, by="test", reason="test", at=asking.market.now())
    status = asking.conductor.resume("run-1")

    assert status is RunStatus.DENIED
    assert not asking.market.receipts


def test_answering_twice_executes_once(asking):
    asking.run()
    answer(asking, approved=True)
    asking.conductor.resume("run-1")

    again = asking.conductor.resume("run-1")

    assert again is RunStatus.EXECUTED
    assert len(asking.market.receipts) == 1
    assert len(asking.dependencies.journal.entries(kind="run")) == 1


@pytest.mark.parametrize(
    "stage", ["observe", "optimizer", "risk", "rebalancer", "simulate", "guard", "execute", "record"]
)
def test_a_process_killed_after_any_stage_resumes_to_one_effect(treasury, stage):
    def die_after(name, _):
        if name == stage:
            raise Killed

    with pytest.raises(Killed):
        treasury.run(on_stage=die_after)
    treasury.reopen()
    status = treasury.conductor.resume("run-1")

    assert status is RunStatus.EXECUTED
    assert len(treasury.market.receipts) == 1
    assert len(treasury.dependencies.journal.entries(kind="run")) == 1


def test_a_process_killed_between_the_effect_and_its_checkpoint_does_not_repeat_it(treasury):
    effects = []

    def die():
        effects.append(1)
        raise Killed

    treasury.market.on_settle = die
    with pytest.raises(Killed):
        treasury.run()
    treasury.reopen()
    status = treasury.conductor.resume("run-1")

    assert status is RunStatus.EXECUTED
    assert effects == [1]


def test_an_approval_used_by_a_killed_execution_still_stands_for_its_own_batch(asking):
    asking.run()
    answer(asking, approved=True)
    settle = asking.market.settle

    def die(plan, certificate):
        raise Killed

    asking.market.settle = die
    with pytest.raises(Killed):
        asking.conductor.resume("run-1")
    asking.market.settle = settle
    asking.reopen()

    assert asking.conductor.resume("run-1") is RunStatus.EXECUTED
    assert len(asking.market.receipts) == 1


def test_an_unknown_broadcast_leaves_the_run_open(treasury):
    def lose(plan, certificate):
        raise BroadcastUnknown("nobody knows")

    settle, treasury.market.settle = treasury.market.settle, lose
    assert treasury.conductor.start(treasury.request()) is RunStatus.RUNNING
    treasury.market.settle = settle

    assert treasury.conductor.resume("run-1") is RunStatus.EXECUTED


def test_a_node_that_is_down_holds(treasury):
    treasury.market.is_down = True

    record = treasury.run()

    assert record.status is RunStatus.HELD
    assert "fake node is down" in record.summary


@pytest.mark.parametrize("error", [InvariantBroken("impossible"), StoreUnavailable("disk full")])
def test_doubt_about_our_own_truth_halts_trading(treasury, error):
    def fail(plan) -> Simulation:
        raise error

    treasury.market.simulate = fail
    record = treasury.run()

    assert record.status is RunStatus.FAILED
    assert treasury.dependencies.trading_state.read() is TradingState.HALTED


def test_a_model_that_is_down_holds_by_rule(tmp_path):
    treasury = Treasury(tmp_path, model=ScriptedModel(*[ModelUnavailable("down")] * 6))

    record = treasury.run()

    assert record.status is RunStatus.HELD
    assert record.decisions[0].is_by_rule
    treasury.close()


def break_usdx(treasury: Treasury) -> None:
    prices = tuple(
        make_price(price.token, "0.9", source=price.source) if price.token == "usdx" else price
        for price in treasury.market.market.prices
    )
    treasury.market.market = make_snapshot(CATALOG, prices=prices)


def test_a_broken_peg_turns_any_run_into_an_exit(treasury):
    break_usdx(treasury)

    record = treasury.run(workflow=Workflow.OPTIMIZE)

    assert record.status is RunStatus.EXECUTED
    assert record.verdict.is_exit
    assert treasury.market.book.position_of("aave-usdx") == 0


def test_a_broken_peg_is_answered_by_the_policys_rule_when_the_model_is_down(tmp_path):
    treasury = Treasury(tmp_path, model=ScriptedModel(*[ModelUnavailable("down")] * 6))
    break_usdx(treasury)

    record = treasury.run()

    assert record.status is RunStatus.EXECUTED
    assert record.decisions[0].is_by_rule
    assert treasury.market.book.position_of("aave-usdx") == 0
    treasury.close()


def test_an_exit_leaves_although_trading_is_halted(treasury):
    break_usdx(treasury)
    treasury.dependencies.trading_state.write(TradingState.HALTED, by="test", reason="test", at=treasury.market.now())

    record = treasury.run()

    assert record.status is RunStatus.EXECUTED


def test_a_mitigation_without_an_event_has_nothing_to_do(treasury):
    record = treasury.run(workflow=Workflow.MITIGATE)

    assert (record.status, record.summary) == (RunStatus.HELD, "nothing to mitigate")
    assert record.model_calls == ()


def test_twenty_ether_survive_checkpoint_restart_and_execution(asking):
    asking.market.book = make_portfolio(cash={"usdc": 700_000 * 10**6, "weth": 20 * ETHER}, positions={})

    assert asking.run() is RunStatus.WAITING
    asking.reopen()
    answer(asking, approved=True)
    asking.conductor.resume("run-1")

    record = asking.runs.record("run-1")
    moved = sum(move.amount_in for move in record.plan.moves if move.token_in == "weth")
    left = asking.market.book.cash_of("weth") + asking.market.book.position_of("aave-weth")
    assert record.status is RunStatus.EXECUTED
    assert moved + asking.market.book.cash_of("weth") == left == 20 * ETHER


def test_every_run_records_what_the_optimizer_alone_would_have_done(treasury):
    record = treasury.run()

    assert record.optimizer_alone in {candidate.id for candidate in record.candidates}
    assert "hold" in {candidate.id for candidate in record.candidates}
