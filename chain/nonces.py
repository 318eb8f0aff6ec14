"""Which nonce comes next, by the journal and the chain together, and what it means when one was used up."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from chain.parsing import MinedTransaction
from domain.errors import BroadcastUnknown, ChainUnavailable, InvariantBroken
from domain.ports import ExecutionJournal
from domain.transaction import Intent, IntentStatus, SignedTransaction


class NonceReads(Protocol):
    def nonce(self, address: str) -> int: ...
    def receipt(self, transaction_hash: str) -> MinedTransaction | None: ...


def next_nonce(intent: Intent, *, journal: ExecutionJournal, node: NonceReads, now: datetime) -> int:
    """The chain's count of mined transactions, as long as the journal agrees that nothing of ours is before it.

    Raises BroadcastUnknown while another batch of the sender is open, ChainUnavailable when the chain lags behind.
    """
    nonce = node.nonce(intent.sender)
    for other in journal.open_intents():
        is_same_sender = (other.chain_id, other.sender) == (intent.chain_id, intent.sender)
        if is_same_sender and other.batch_digest != intent.batch_digest and other.nonce is not None:
            _require_out_of_the_way(other, intent, nonce, journal=journal, now=now)
    highest = journal.highest_nonce(chain_id=intent.chain_id, sender=intent.sender)
    if highest is not None and highest != intent.nonce and nonce <= highest:
        raise ChainUnavailable(
            f"the node says {intent.sender} has used {nonce} nonces, but nonce {highest} is in the journal: "
            "the node lags, or its chain was reset or reorganized"
        )
    return nonce


def _require_out_of_the_way(
    other: Intent, intent: Intent, nonce: int, *, journal: ExecutionJournal, now: datetime
) -> None:
    """Whatever is sent after an open batch waits for its nonce, or takes its place."""
    if other.nonce is not None and other.nonce < nonce:
        return
    if other.signed is None and expire_if_due(other, journal=journal, now=now):
        return
    raise BroadcastUnknown(
        f"batch {other.batch_digest} with nonce {other.nonce} of {other.sender} is still open ({other.status}); "
        f"it must be settled before batch {intent.batch_digest}"
    )


def check_nonce_is_free(intent: Intent, *, node: NonceReads, now: datetime) -> None:
    """Raises InvariantBroken when somebody else used the nonce: without it the transaction can never be mined."""
    transaction_hash = signed_bytes(intent).transaction_hash
    if intent.nonce is None or node.nonce(intent.sender) <= intent.nonce:
        return
    if node.receipt(transaction_hash) is not None:
        return  # it was mined meanwhile, or waits for its confirmations
    if now >= intent.expires_at:
        return  # how an operator frees the nonce of a batch that expired in flight; it stays open for the eye
    raise InvariantBroken(
        f"nonce {intent.nonce} of {intent.sender} was used by a transaction that the journal does not know, "
        f"expected {transaction_hash} of batch {intent.batch_digest}"
    )


def expire_if_due(intent: Intent, *, journal: ExecutionJournal, now: datetime) -> bool:
    """For a batch that was never signed: it never left and never will."""
    if now < intent.expires_at:
        return False
    journal.mark(intent.batch_digest, IntentStatus.EXPIRED)
    return True


def signed_bytes(intent: Intent) -> SignedTransaction:
    if intent.signed is None:
        raise InvariantBroken(f"batch {intent.batch_digest} is {intent.status} without signed bytes")
    return intent.signed
