"""Settlement over the real execution journal: one effect per batch, whatever the node answers and wherever it stops."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chain.client import BroadcastAnswer, BroadcastOutcome
from chain.parsing import MinedTransaction
from chain.sender import JournalSender
from chain.signer import LocalSigner
from domain.errors import (
    BroadcastUnknown,
    ChainUnavailable,
    ExecutionFailed,
    InvariantBroken,
    SigningRefused,
    UnknownSubject,
)
from domain.transaction import BalanceDelta, IntentStatus
from memory.database import open_database
from memory.execution_journal import SqlExecutionJournal
from tests.builders import ACCOUNT, CHAIN_ID, address
from tests.fakes_chain import FakeNode, FixedClock, transfer_log
from tests.test_signer import FEES, KEY, make_certificate, make_plan

STEPS = (
    "after_plan",
    "after_assign_nonce",
    "after_sign_before_persist",
    "after_persist_before_broadcast",
    "after_broadcast_before_record",
    "after_receipt_before_persist",
)


class Stopped(BaseException):
    """The process ends here; not an Exception, so nothing on the way can handle it."""


class Desk:
    """A sender with everything around it; `restart` forgets all but the database, the node and the time."""

    def __init__(self, database) -> None:
        self.journal = SqlExecutionJournal(database)
        self.node = FakeNode()
        self.clock = FixedClock()
        self.waits: list[float] = []
        self.fees = FEES
        self.on_wait = lambda: None
        self.sender = self.restart()

    def restart(self, *, stop_at: str | None = None, confirmations: int = 0) -> JournalSender:
        def on_step(step: str) -> None:
            if step == stop_at:
                raise Stopped(step)

        self.sender = JournalSender(
            self.journal,
            self.node,
            LocalSigner.from_key(KEY, chain_id=CHAIN_ID),
            lambda _: self.fees,
            self.clock,
            wait=self._wait,
            confirmations=confirmations,
            on_step=on_step,
        )
        return self.sender

    def _wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.on_wait()

    def settle(self, plan=None):
        plan = plan or make_plan()
        return self.sender.settle(plan, make_certificate(plan))

    def status(self, plan=None) -> IntentStatus:
        return self.journal.find((plan or make_plan()).batch_digest()).status


@pytest.fixture
def desk(tmp_path):
    database = open_database(f"sqlite:///{tmp_path / 'autofi.db'}")
    yield Desk(database)
    database.close()


def test_settles_a_batch_and_reports_what_its_logs_say(desk):
    desk.node.logs = (transfer_log(address(0x101), ACCOUNT, address(0x201), 5),)

    receipt = desk.settle()

    assert receipt.succeeded
    assert receipt.gas_cost_wei == 500_000 * 21 * 10**9
    assert receipt.deltas == (
        BalanceDelta(holder=address(0x201), token=address(0x101), amount=5),
        BalanceDelta(holder=ACCOUNT, token=address(0x101), amount=-5),
    )
    assert desk.status() is IntentStatus.CONFIRMED


def test_settling_twice_has_one_effect_and_one_receipt(desk):
    first = desk.settle()
    second = desk.restart().settle(make_plan(), make_certificate(make_plan()))

    assert first == second
    assert len(desk.node.sent) == 1


@pytest.mark.parametrize("step", STEPS)
def test_a_batch_that_stopped_at_any_step_is_settled_once_after_a_restart(desk, step):
    desk.restart(stop_at=step)
    with pytest.raises(Stopped):
        desk.settle()

    desk.restart()
    receipt = desk.settle()

    assert receipt.succeeded
    assert len(desk.node.mined) == 1
    assert desk.journal.open_intents() == ()


@pytest.mark.parametrize("step", STEPS[3:])
def test_reconcile_finishes_what_was_signed_before_a_crash(desk, step):
    desk.restart(stop_at=step)
    with pytest.raises(Stopped):
        desk.settle()

    still_open = desk.restart().reconcile()

    assert still_open == ()
    assert len(desk.node.mined) == 1
    assert desk.status() is IntentStatus.CONFIRMED


@pytest.mark.parametrize("step", STEPS[:3])
def test_reconcile_signs_nothing_and_leaves_a_planned_batch_open(desk, step):
    desk.restart(stop_at=step)
    with pytest.raises(Stopped):
        desk.settle()

    (still_open,) = desk.restart().reconcile()

    assert still_open.status is IntentStatus.PLANNED
    assert desk.node.sent == []


def test_the_bytes_are_in_the_journal_before_they_leave(desk):
    stored_when_sent = []
    send = desk.node.send_raw
    desk.node.send_raw = lambda raw: (stored_when_sent.append(desk.journal.open_intents()[0].signed.raw), send(raw))[1]

    desk.settle()

    assert stored_when_sent == desk.node.sent


def test_a_planned_batch_expires_unsigned_and_gives_its_nonce_back(desk):
    desk.restart(stop_at="after_assign_nonce")
    with pytest.raises(Stopped):
        desk.settle()
    desk.clock.advance(minutes=30)

    still_open = desk.restart().reconcile()

    assert still_open == ()
    assert desk.journal.find(make_plan().batch_digest()).nonce is None
    with pytest.raises(ExecutionFailed, match="without leaving"):
        desk.settle()


def test_an_expired_plan_is_never_signed(desk):
    desk.clock.advance(minutes=30)

    with pytest.raises(ExecutionFailed, match="unsigned"):
        desk.settle()

    assert desk.status() is IntentStatus.EXPIRED
    assert desk.node.sent == []


def test_a_batch_that_expired_in_flight_is_not_sent_again(desk):
    desk.restart(stop_at="after_persist_before_broadcast")
    with pytest.raises(Stopped):
        desk.settle()
    desk.clock.advance(minutes=30)

    (still_open,) = desk.restart().reconcile()

    assert still_open.status is IntentStatus.SIGNED
    assert desk.node.sent == []
    with pytest.raises(BroadcastUnknown, match="may still be mined"):
        desk.settle()


def test_an_unknown_broadcast_is_sent_again_with_the_same_bytes(desk):
    desk.node.answer = BroadcastAnswer(BroadcastOutcome.UNKNOWN, "timed out")
    with pytest.raises(BroadcastUnknown):
        desk.settle()
    desk.node.answer = BroadcastAnswer(BroadcastOutcome.ACCEPTED, "")

    receipt = desk.settle()

    assert receipt.succeeded
    assert len(set(desk.node.sent)) == 1


def test_waits_for_the_receipt_between_looks_and_gives_up_with_a_name(desk):
    desk.node.is_mining = False

    with pytest.raises(BroadcastUnknown, match="no receipt after 60 looks"):
        desk.settle()

    assert desk.waits == [1.0] * 60
    assert desk.status() is IntentStatus.BROADCAST


def test_a_node_that_falls_silent_after_the_broadcast_does_not_end_the_waiting(desk):
    desk.node.is_mining = False
    receipt = desk.node.receipt
    looks = iter([None, ChainUnavailable("node is down")])

    def sometimes_silent(transaction_hash: str) -> MinedTransaction | None:
        answer = next(looks, "real")
        if isinstance(answer, ChainUnavailable):
            raise answer
        return receipt(transaction_hash)

    desk.node.receipt = sometimes_silent
    desk.on_wait = lambda: desk.node.mine(desk.node.sent[0]) if not desk.node.mined else None

    assert desk.settle().succeeded


@pytest.mark.parametrize("outcome", [BroadcastOutcome.ALREADY_KNOWN, BroadcastOutcome.NONCE_USED])
def test_a_node_that_knows_the_bytes_already_is_asked_for_their_receipt(desk, outcome):
    desk.node.is_mining = False
    desk.node.answer = BroadcastAnswer(outcome, "seen before")
    desk.on_wait = lambda: desk.node.mine(desk.node.sent[0])

    assert desk.settle().succeeded


def test_a_refused_broadcast_fails_with_the_reason_and_may_be_repeated(desk):
    desk.node.answer = BroadcastAnswer(BroadcastOutcome.REFUSED, "insufficient funds for gas")
    with pytest.raises(ExecutionFailed, match="insufficient funds"):
        desk.settle()
    desk.node.answer = BroadcastAnswer(BroadcastOutcome.ACCEPTED, "")

    receipt = desk.sender.resume(make_plan().batch_digest())

    assert receipt.succeeded
    assert len(set(desk.node.sent)) == 1


def test_a_reverted_batch_fails_with_its_gas_cost_every_time(desk):
    desk.node.succeeds = False

    for _ in range(2):
        with pytest.raises(ExecutionFailed, match="10500000000000000 wei"):
            desk.settle()

    assert desk.status() is IntentStatus.REVERTED
    assert len(desk.node.sent) == 1


def test_the_second_batch_takes_the_next_nonce(desk):
    other = make_plan(run_id="run-2")
    desk.settle()

    desk.settle(other)

    digests = (make_plan().batch_digest(), other.batch_digest())
    assert [desk.journal.find(digest).nonce for digest in digests] == [7, 8]


def test_a_second_batch_waits_while_the_first_is_open(desk):
    desk.node.is_mining = False
    with pytest.raises(BroadcastUnknown):
        desk.settle()

    with pytest.raises(BroadcastUnknown, match="must be settled before"):
        desk.settle(make_plan(run_id="run-2"))

    assert len(desk.node.sent) == 1


def test_an_abandoned_plan_gives_way_when_it_expires(desk):
    desk.restart(stop_at="after_assign_nonce")
    with pytest.raises(Stopped):
        desk.settle()
    desk.clock.advance(minutes=30)
    late = make_plan(run_id="run-2", expires_at=desk.clock.now() + timedelta(minutes=30))

    receipt = desk.restart().settle(late, make_certificate(late))

    assert receipt.succeeded
    assert desk.journal.find(late.batch_digest()).nonce == 7


def test_a_nonce_that_somebody_else_used_halts(desk):
    desk.restart(stop_at="after_persist_before_broadcast")
    with pytest.raises(Stopped):
        desk.settle()
    desk.node.mine("0x1234")
    desk.node.answer = BroadcastAnswer(BroadcastOutcome.NONCE_USED, "nonce too low")

    with pytest.raises(InvariantBroken, match="nonce 7"):
        desk.restart().reconcile()


def test_an_operator_frees_the_nonce_of_a_batch_that_expired_in_flight(desk):
    desk.restart(stop_at="after_persist_before_broadcast")
    with pytest.raises(Stopped):
        desk.settle()
    desk.clock.advance(minutes=30)
    desk.node.mine("0x1234")
    late = make_plan(run_id="run-2", expires_at=desk.clock.now() + timedelta(minutes=30))

    receipt = desk.restart().settle(late, make_certificate(late))

    assert receipt.succeeded
    assert desk.journal.find(late.batch_digest()).nonce == 8


def test_a_chain_that_forgot_a_mined_nonce_is_not_trusted(desk):
    desk.settle()
    desk.node.nonces = 7

    with pytest.raises(ChainUnavailable, match="reset or reorganized"):
        desk.settle(make_plan(run_id="run-2"))


def test_fees_above_the_cap_are_refused_and_nothing_stays_reserved(desk):
    desk.fees = FEES.model_copy(update={"gas_limit": FEES.gas_limit + 1})

    with pytest.raises(SigningRefused, match="fee_cap_wei"):
        desk.settle()

    assert desk.status() is IntentStatus.EXPIRED
    assert desk.journal.highest_nonce(chain_id=CHAIN_ID, sender=desk.sender._signer.address) is None


def test_a_receipt_counts_when_it_is_deep_enough(desk):
    desk.restart(confirmations=2)
    desk.on_wait = lambda: setattr(desk.node, "height", desk.node.height + 1)

    receipt = desk.settle()

    assert len(desk.waits) == 2
    assert receipt.block_number == 101


def test_resume_signs_nothing(desk):
    desk.sender.start(make_plan())

    with pytest.raises(ExecutionFailed, match="not signed"):
        desk.sender.resume(make_plan().batch_digest())

    assert desk.sender.progress(make_plan().batch_digest()).status is IntentStatus.PLANNED


def test_an_unknown_digest_has_no_progress_and_cannot_be_resumed(desk):
    assert desk.sender.progress("f" * 64) is None
    with pytest.raises(UnknownSubject):
        desk.sender.resume("f" * 64)
