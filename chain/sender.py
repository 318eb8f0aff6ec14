"""Settles one batch over the execution journal: each step is committed before the next, so a crash resumes it.

The receipt decides what happened, never an error text. The same bytes may be sent again; other bytes never are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Final, Protocol

from chain.client import BroadcastAnswer, BroadcastOutcome
from chain.logs import net_transfers
from chain.nonces import NonceReads, check_nonce_is_free, expire_if_due, next_nonce, signed_bytes
from chain.parsing import MinedTransaction
from domain.errors import (
    BroadcastUnknown,
    ChainUnavailable,
    ExecutionFailed,
    InvariantBroken,
    SigningRefused,
    UnknownSubject,
)
from domain.plan import RebalancePlan
from domain.ports import BlockHeader, Clock, ExecutionJournal, Sender, Signer
from domain.transaction import (
    TERMINAL_STATUSES,
    FeeQuote,
    Intent,
    IntentStatus,
    Receipt,
    SignedTransaction,
    UnsignedTransaction,
)
from domain.verdict import Certificate

RECEIPT_POLLS: Final = 60
POLL_SECONDS: Final = 1.0

Step = Callable[[str], None]
"""Called with the name of each step of the journal as it is passed; tests kill the process there."""


class Broadcaster(NonceReads, Protocol):
    """What settling needs of a node; chain.client.ChainClient has it."""

    def header(self, block_number: int | None = None) -> BlockHeader: ...
    def send_raw(self, raw: str) -> BroadcastAnswer: ...


class JournalSender(Sender):
    """One batch in flight per sender; `wait` passes the time between two looks for a receipt."""

    def __init__(
        self,
        journal: ExecutionJournal,
        node: Broadcaster,
        signer: Signer,
        quote_fees: Callable[[RebalancePlan], FeeQuote],
        clock: Clock,
        *,
        wait: Callable[[float], None],
        confirmations: int = 0,
        on_step: Step = lambda _: None,
    ) -> None:
        self._journal = journal
        self._node = node
        self._signer = signer
        self._quote_fees = quote_fees
        self._clock = clock
        self._wait = wait
        self._confirmations = confirmations
        self._on_step = on_step

    def progress(self, batch_digest: str) -> Intent | None:
        return self._journal.find(batch_digest)

    def receipt(self, batch_digest: str) -> Receipt | None:
        return self._journal.receipt(batch_digest)

    def start(self, plan: RebalancePlan) -> Intent:
        intent = self._journal.plan(self._new_intent(plan))
        self._on_step("after_plan")
        return intent

    def settle(self, plan: RebalancePlan, certificate: Certificate) -> Receipt:
        intent = self.start(plan)
        if intent.status is IntentStatus.PLANNED:
            intent = self._sign(intent, plan, certificate)
        return self._finish(intent)

    def resume(self, batch_digest: str) -> Receipt:
        intent = self._found(batch_digest)
        if intent.status is IntentStatus.PLANNED:
            raise ExecutionFailed(f"batch {batch_digest} is planned but not signed, and resuming signs nothing")
        return self._finish(intent)

    def reconcile(self) -> tuple[Intent, ...]:
        """Never signs. Looks for receipts, sends stored bytes again while their plan is valid, drops what expired."""
        for intent in self._journal.open_intents():
            if intent.signed is None:
                self._expire_if_due(intent)
            else:
                self._look_after(intent)
        return tuple(self._journal.open_intents())

    def _finish(self, intent: Intent) -> Receipt:
        if intent.status in TERMINAL_STATUSES:
            return self._final_receipt(intent)
        self._broadcast(intent)
        return self._await_receipt(intent)

    def _look_after(self, intent: Intent) -> None:
        """One look and at most one broadcast, without waiting."""
        if self._record_if_mined(intent) is not None:
            return
        if not self._is_expired(intent):
            with contextlib.suppress(ExecutionFailed):  # refused for now: it stays open and is reported as such
                self._broadcast(intent)
        if self._record_if_mined(intent) is None:
            check_nonce_is_free(intent, node=self._node, now=self._clock.now())

    def _new_intent(self, plan: RebalancePlan) -> Intent:
        return Intent(
            batch_digest=plan.batch_digest(),
            run_id=plan.run_id,
            chain_id=plan.chain_id,
            sender=self._signer.address,
            status=IntentStatus.PLANNED,
            created_at=self._clock.now(),
            expires_at=plan.expires_at,
        )

    def _sign(self, intent: Intent, plan: RebalancePlan, certificate: Certificate) -> Intent:
        """A batch that the signer refuses never left and never will; bytes of a faster worker are kept."""
        if self._expire_if_due(intent):
            raise ExecutionFailed(f"batch {intent.batch_digest} expired at {intent.expires_at.isoformat()} unsigned")
        fees = self._quote_fees(plan)
        intent = self._assign_nonce(intent)
        transaction = _transaction(intent, plan, fees)
        try:
            signed = self._signer.sign(transaction, plan=plan, certificate=certificate, now=self._clock.now())
        except SigningRefused:
            known = self._found(intent.batch_digest)
            if known.signed is None:
                self._journal.mark(intent.batch_digest, IntentStatus.EXPIRED)
                raise
            return known
        self._on_step("after_sign_before_persist")
        return self._store_first(intent, signed)

    def _store_first(self, intent: Intent, signed: SignedTransaction) -> Intent:
        known = self._found(intent.batch_digest)
        stored = known if known.signed is not None else self._journal.store_signed(intent.batch_digest, signed)
        self._on_step("after_persist_before_broadcast")
        return stored

    def _assign_nonce(self, intent: Intent) -> Intent:
        nonce = next_nonce(intent, journal=self._journal, node=self._node, now=self._clock.now())
        assigned = self._journal.assign_nonce(intent.batch_digest, nonce=nonce)
        self._on_step("after_assign_nonce")
        return assigned

    def _broadcast(self, intent: Intent) -> None:
        """Hand the stored bytes to the node; every answer but a clear refusal leads to looking for the receipt."""
        if self._node.receipt(signed_bytes(intent).transaction_hash) is not None:
            return
        if self._is_expired(intent):
            raise BroadcastUnknown(_expired_message(intent))
        answer = self._node.send_raw(signed_bytes(intent).raw)
        self._on_step("after_broadcast_before_record")
        if answer.outcome is BroadcastOutcome.REFUSED:
            raise ExecutionFailed(
                f"the node refused batch {intent.batch_digest} with nonce {intent.nonce}: {answer.message}; "
                "the same bytes may be sent again until it expires"
            )
        if self._found(intent.batch_digest).status is IntentStatus.SIGNED:  # else another worker is ahead
            self._journal.mark(intent.batch_digest, IntentStatus.BROADCAST)

    def _await_receipt(self, intent: Intent) -> Receipt:
        for _ in range(RECEIPT_POLLS):
            with contextlib.suppress(ChainUnavailable):  # it is out: only the receipt or the deadline ends this
                if self._record_if_mined(intent) is not None:
                    return self._final_receipt(self._found(intent.batch_digest))
            self._wait(POLL_SECONDS)
        check_nonce_is_free(intent, node=self._node, now=self._clock.now())
        raise BroadcastUnknown(
            f"batch {intent.batch_digest} as transaction {signed_bytes(intent).transaction_hash} has no receipt after "
            f"{RECEIPT_POLLS} looks; it is reconciled by hash and nonce {intent.nonce}, never sent under another"
        )

    def _record_if_mined(self, intent: Intent) -> Receipt | None:
        mined = self._node.receipt(signed_bytes(intent).transaction_hash)
        if mined is None or self._node.header().number - mined.block_number < self._confirmations:
            return None
        self._on_step("after_receipt_before_persist")
        receipt = self._receipt(intent, mined)
        self._journal.store_receipt(receipt)
        status = IntentStatus.CONFIRMED if receipt.succeeded else IntentStatus.REVERTED
        self._journal.mark(intent.batch_digest, status)
        return receipt

    def _receipt(self, intent: Intent, mined: MinedTransaction) -> Receipt:
        return Receipt(
            batch_digest=intent.batch_digest,
            transaction_hash=signed_bytes(intent).transaction_hash,
            chain_id=intent.chain_id,
            block_number=mined.block_number,
            block_hash=mined.block_hash,
            succeeded=mined.succeeded,
            gas_used=mined.gas_used,
            effective_gas_price_wei=mined.effective_gas_price_wei,
            deltas=net_transfers(mined.logs),
            mined_at=self._node.header(mined.block_number).time,
        )

    def _final_receipt(self, intent: Intent) -> Receipt:
        receipt = self._journal.receipt(intent.batch_digest)
        if intent.status is IntentStatus.EXPIRED:
            raise ExecutionFailed(f"batch {intent.batch_digest} expired without leaving; nothing was executed")
        if receipt is None:
            raise InvariantBroken(f"batch {intent.batch_digest} is {intent.status} without a receipt")
        if not receipt.succeeded:
            raise ExecutionFailed(
                f"batch {intent.batch_digest} reverted in block {receipt.block_number} as {receipt.transaction_hash}; "
                f"only {receipt.gas_cost_wei} wei of gas were spent"
            )
        return receipt

    def _expire_if_due(self, intent: Intent) -> bool:
        return expire_if_due(intent, journal=self._journal, now=self._clock.now())

    def _is_expired(self, intent: Intent) -> bool:
        return self._clock.now() >= intent.expires_at

    def _found(self, batch_digest: str) -> Intent:
        intent = self._journal.find(batch_digest)
        if intent is None:
            raise UnknownSubject(f"batch {batch_digest} is not in the execution journal")
        return intent


def _transaction(intent: Intent, plan: RebalancePlan, fees: FeeQuote) -> UnsignedTransaction:
    if intent.nonce is None:
        raise InvariantBroken(f"batch {intent.batch_digest} has no nonce to be signed with")
    return UnsignedTransaction(
        chain_id=intent.chain_id,
        sender=intent.sender,
        nonce=intent.nonce,
        target=plan.envelope.target,
        value_wei=plan.envelope.value_wei,
        data=plan.envelope.data,
        fees=fees,
    )


def _expired_message(intent: Intent) -> str:
    return (
        f"batch {intent.batch_digest} was signed with nonce {intent.nonce} and expired at "
        f"{intent.expires_at.isoformat()} without a receipt: it may still be mined, and is not sent again; "
        f"use up the nonce with another transaction of {intent.sender}, then reconcile"
    )
