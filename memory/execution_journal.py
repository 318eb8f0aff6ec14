"""The execution journal: one batch digest, one nonce, one signed transaction, one effect; written before it happens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from domain.digest import canonical_json
from domain.errors import InvariantBroken, UnknownSubject
from domain.ports import ExecutionJournal
from domain.transaction import TERMINAL_STATUSES, Intent, IntentStatus, Receipt, SignedTransaction
from memory.database import Database
from memory.tables import intents, receipts

_NEXT: Final = {
    IntentStatus.PLANNED: frozenset({IntentStatus.SIGNED, IntentStatus.EXPIRED}),
    IntentStatus.SIGNED: frozenset({IntentStatus.BROADCAST, IntentStatus.CONFIRMED, IntentStatus.REVERTED}),
    IntentStatus.BROADCAST: frozenset({IntentStatus.CONFIRMED, IntentStatus.REVERTED}),
}
_IDENTITY: Final = ("run_id", "chain_id", "sender", "expires_at")


class SqlExecutionJournal(ExecutionJournal):
    """Every method is harmless when repeated, also by the slower of two workers: what was written first stays."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def plan(self, intent: Intent) -> Intent:
        """Insert, or return the row already there for this digest."""
        if (intent.status, intent.nonce, intent.signed) != (IntentStatus.PLANNED, None, None):
            raise InvariantBroken(f"intent {intent.batch_digest} starts as {intent.status}, not as planned")
        with self._database.writing() as connection:
            known = _find(connection, intent.batch_digest)
            if known is None:
                row = intent.model_dump(exclude={"signed"})
                connection.execute(insert(intents).values(**{**row, "status": intent.status.value}))
                return intent
        _require_same_payload(known, intent)
        return known

    def assign_nonce(self, batch_digest: str, *, nonce: int) -> Intent:
        """The row unchanged when it has a nonce. A nonce that another intent owns raises InvariantBroken."""
        with self._database.writing() as connection:
            known = _require(connection, batch_digest)
            if known.nonce is not None:
                return known
            if known.status is not IntentStatus.PLANNED:
                raise InvariantBroken(f"intent {batch_digest} is {known.status} and gets no nonce, {nonce} was asked")
            return _update(connection, known, {"nonce": nonce})

    def store_signed(self, batch_digest: str, signed: SignedTransaction) -> Intent:
        """On disk when this returns: only then may a byte leave. The first bytes stored stay."""
        with self._database.writing() as connection:
            known = _require(connection, batch_digest)
            if known.signed is not None:
                return known
            if known.status is not IntentStatus.PLANNED or known.nonce is None:
                raise InvariantBroken(
                    f"intent {batch_digest} is {known.status} with nonce {known.nonce}: nothing may be signed for it"
                )
            row = {"signed_raw": signed.raw, "transaction_hash": signed.transaction_hash}
            return _update(connection, known, {**row, "status": IntentStatus.SIGNED.value})

    def mark(self, batch_digest: str, status: IntentStatus) -> Intent:
        with self._database.writing() as connection:
            known = _require(connection, batch_digest)
            if known.status is status or _is_overtaken(known.status, status):
                return known
            if status is IntentStatus.SIGNED or status not in _NEXT.get(known.status, frozenset()):
                raise InvariantBroken(f"intent {batch_digest} cannot go from {known.status} to {status}")
            # An expired intent gives its nonce back: the chain will want it from the next one.
            freed = {"nonce": None} if status is IntentStatus.EXPIRED else {}
            return _update(connection, known, {"status": status.value, **freed})

    def store_receipt(self, receipt: Receipt) -> None:
        with self._database.writing() as connection:
            intent = _require(connection, receipt.batch_digest)
            known = _receipt(connection, receipt.batch_digest)
            if known is not None and known != receipt:
                raise InvariantBroken(f"intent {receipt.batch_digest} has a receipt from block {known.block_number}")
            if intent.signed is None or intent.signed.transaction_hash != receipt.transaction_hash:
                raise InvariantBroken(f"receipt {receipt.transaction_hash} is not of intent {receipt.batch_digest}")
            if known is None:
                _insert_receipt(connection, receipt)

    def receipt(self, batch_digest: str) -> Receipt | None:
        with self._database.reading() as connection:
            return _receipt(connection, batch_digest)

    def find(self, batch_digest: str) -> Intent | None:
        with self._database.reading() as connection:
            return _find(connection, batch_digest)

    def open_intents(self) -> Sequence[Intent]:
        """Oldest first: what a start must finish or classify before anything new."""
        closed = [status.value for status in TERMINAL_STATUSES]
        chosen = select(intents).where(intents.c.status.not_in(closed))
        with self._database.reading() as connection:
            rows = connection.execute(chosen.order_by(intents.c.created_at, intents.c.batch_digest)).mappings()
            return tuple(_intent(row) for row in rows)

    def highest_nonce(self, *, chain_id: int, sender: str) -> int | None:
        of_sender = (intents.c.chain_id == chain_id, intents.c.sender == sender.lower())
        with self._database.reading() as connection:
            highest: int | None = connection.execute(select(func.max(intents.c.nonce)).where(*of_sender)).scalar()
            return highest


def _find(connection: Connection, batch_digest: str) -> Intent | None:
    row = connection.execute(select(intents).where(intents.c.batch_digest == batch_digest)).mappings().one_or_none()
    return None if row is None else _intent(row)


def _require(connection: Connection, batch_digest: str) -> Intent:
    known = _find(connection, batch_digest)
    if known is None:
        raise UnknownSubject(f"intent {batch_digest} is not in the execution journal")
    return known


def _intent(row: RowMapping) -> Intent:
    fields = dict(row)
    raw, transaction_hash = fields.pop("signed_raw"), fields.pop("transaction_hash")
    signed = None if raw is None else {"raw": raw, "transaction_hash": transaction_hash}
    return Intent.model_validate({**fields, "signed": signed})


def _update(connection: Connection, known: Intent, values: dict[str, object]) -> Intent:
    connection.execute(update(intents).where(intents.c.batch_digest == known.batch_digest).values(**values))
    return _require(connection, known.batch_digest)


def _is_overtaken(known: IntentStatus, status: IntentStatus) -> bool:
    """A worker notes its broadcast after another one has already seen the receipt."""
    return status is IntentStatus.BROADCAST and known in {IntentStatus.CONFIRMED, IntentStatus.REVERTED}


def _require_same_payload(known: Intent, intent: Intent) -> None:
    for name in _IDENTITY:
        if getattr(known, name) != getattr(intent, name):
            raise InvariantBroken(
                f"intent {intent.batch_digest} is already planned with {name} {getattr(known, name)}, "
                f"got {getattr(intent, name)}"
            )


def _receipt(connection: Connection, batch_digest: str) -> Receipt | None:
    text = connection.execute(select(receipts.c.receipt).where(receipts.c.batch_digest == batch_digest)).scalar()
    return None if text is None else Receipt.model_validate_json(text)


def _insert_receipt(connection: Connection, receipt: Receipt) -> None:
    row = {
        "batch_digest": receipt.batch_digest,
        "block_number": receipt.block_number,
        "succeeded": receipt.succeeded,
        "receipt": canonical_json(receipt).decode(),
    }
    connection.execute(insert(receipts).values(**row))
