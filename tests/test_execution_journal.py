"""The execution journal: what was written first stays, and only legal steps are taken."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from domain.errors import InvariantBroken, StoreUnavailable, UnknownSubject
from domain.transaction import BalanceDelta, Intent, IntentStatus, Receipt, SignedTransaction
from memory.database import open_database
from memory.execution_journal import SqlExecutionJournal
from tests.builders import ACCOUNT, CHAIN_ID, NOW, OPERATOR, address

DIGEST, OTHER = "d" * 64, "e" * 64
PLANNED, SIGNED, BROADCAST, CONFIRMED, REVERTED, EXPIRED = IntentStatus


@pytest.fixture
def journal(tmp_path):
    database = open_database(f"sqlite:///{tmp_path / 'autofi.db'}")
    yield SqlExecutionJournal(database)
    database.close()


def make_intent(digest: str = DIGEST, **changes: object) -> Intent:
    fields: dict[str, object] = {
        "batch_digest": digest,
        "run_id": "run-1",
        "chain_id": CHAIN_ID,
        "sender": OPERATOR,
        "status": PLANNED,
        "created_at": NOW,
        "expires_at": NOW + timedelta(minutes=10),
    }
    return Intent.model_validate({**fields, **changes})


def make_signed(byte: str = "aa") -> SignedTransaction:
    return SignedTransaction(raw="0x02" + byte * 40, transaction_hash="0x" + byte * 32)


def make_receipt(digest: str = DIGEST, **changes: object) -> Receipt:
    fields: dict[str, object] = {
        "batch_digest": digest,
        "transaction_hash": make_signed().transaction_hash,
        "chain_id": CHAIN_ID,
        "block_number": 101,
        "block_hash": "0x" + "bc" * 32,
        "succeeded": True,
        "gas_used": 400_000,
        "effective_gas_price_wei": 2**70,
        "deltas": (BalanceDelta(holder=ACCOUNT, token=address(0x101), amount=-(2**255)),),
        "mined_at": NOW,
    }
    return Receipt.model_validate({**fields, **changes})


def bring_to(journal, status: IntentStatus, digest: str = DIGEST, *, nonce: int = 7) -> Intent:
    """Along the shortest legal way."""
    journal.plan(make_intent(digest))
    if status is EXPIRED:
        return journal.mark(digest, EXPIRED)
    if status is not PLANNED:
        journal.assign_nonce(digest, nonce=nonce)
        journal.store_signed(digest, make_signed())
    if status not in {PLANNED, SIGNED}:
        journal.mark(digest, status)
    return journal.find(digest)


def test_an_intent_is_stored_as_planned(journal):
    intent = make_intent()

    assert journal.plan(intent) == intent
    assert journal.find(DIGEST) == intent
    assert journal.find(OTHER) is None


def test_planning_again_returns_how_far_it_got(journal):
    signed = bring_to(journal, SIGNED)

    assert journal.plan(make_intent(created_at=NOW + timedelta(minutes=1))) == signed


@pytest.mark.parametrize(
    "change",
    [{"run_id": "run-2"}, {"chain_id": 1}, {"sender": ACCOUNT}, {"expires_at": NOW + timedelta(minutes=11)}],
)
def test_another_payload_under_the_same_digest_is_a_broken_invariant(journal, change):
    journal.plan(make_intent())

    with pytest.raises(InvariantBroken, match=f"already planned with {next(iter(change))}"):
        journal.plan(make_intent(**change))


@pytest.mark.parametrize("change", [{"status": SIGNED}, {"nonce": 1}, {"signed": make_signed()}])
def test_an_intent_starts_with_nothing_done(journal, change):
    with pytest.raises(InvariantBroken, match="not as planned"):
        journal.plan(make_intent(**change))


def test_a_nonce_stays_once_assigned(journal):
    journal.plan(make_intent())

    assert journal.assign_nonce(DIGEST, nonce=7).nonce == 7
    assert journal.assign_nonce(DIGEST, nonce=8).nonce == 7


def test_a_nonce_belongs_to_one_intent_per_chain_and_sender(journal):
    for digest, changes in ((DIGEST, {}), (OTHER, {}), ("a" * 64, {"chain_id": 1}), ("b" * 64, {"sender": ACCOUNT})):
        journal.plan(make_intent(digest, **changes))
    for digest in (DIGEST, "a" * 64, "b" * 64):
        journal.assign_nonce(digest, nonce=7)

    with pytest.raises(InvariantBroken, match="refused a row"):
        journal.assign_nonce(OTHER, nonce=7)
    assert journal.find(OTHER).nonce is None


def test_signed_bytes_are_on_disk_when_the_call_returns(journal, tmp_path):
    bring_to(journal, SIGNED)

    with closing(sqlite3.connect(tmp_path / "autofi.db")) as connection:
        row = connection.execute("SELECT status, nonce, signed_raw FROM intents").fetchone()
    assert row == ("signed", 7, make_signed().raw)


def test_the_first_bytes_stored_stay(journal):
    bring_to(journal, SIGNED)

    kept = journal.store_signed(DIGEST, make_signed("bb"))

    assert kept.signed == make_signed("aa")
    assert journal.find(DIGEST).signed == make_signed("aa")


def test_nothing_is_signed_without_a_nonce(journal):
    journal.plan(make_intent())

    with pytest.raises(InvariantBroken, match="with nonce None"):
        journal.store_signed(DIGEST, make_signed())


@pytest.mark.parametrize("step", ["assign_nonce", "store_signed"])
def test_an_expired_intent_never_goes_on(journal, step):
    bring_to(journal, EXPIRED)

    with pytest.raises(InvariantBroken, match="is expired"):
        journal.assign_nonce(DIGEST, nonce=7) if step == "assign_nonce" else journal.store_signed(DIGEST, make_signed())


LEGAL = {
    (PLANNED, EXPIRED),
    (SIGNED, BROADCAST),
    (SIGNED, CONFIRMED),
    (SIGNED, REVERTED),
    (BROADCAST, CONFIRMED),
    (BROADCAST, REVERTED),
}
OVERTAKEN = {(CONFIRMED, BROADCAST), (REVERTED, BROADCAST)}


@pytest.mark.parametrize("origin", IntentStatus)
@pytest.mark.parametrize("target", IntentStatus)
def test_a_status_only_moves_along_the_state_machine(journal, origin, target):
    before = bring_to(journal, origin)

    if (origin, target) in LEGAL:
        assert journal.mark(DIGEST, target).status is target
    elif origin is target or (origin, target) in OVERTAKEN:
        assert journal.mark(DIGEST, target) == before
    else:
        with pytest.raises(InvariantBroken, match=f"cannot go from {origin} to {target}"):
            journal.mark(DIGEST, target)
        assert journal.find(DIGEST) == before


def test_an_expired_intent_gives_its_nonce_back(journal):
    journal.plan(make_intent())
    journal.assign_nonce(DIGEST, nonce=7)

    expired = journal.mark(DIGEST, EXPIRED)
    journal.plan(make_intent(OTHER))

    assert expired.nonce is None
    assert journal.highest_nonce(chain_id=CHAIN_ID, sender=OPERATOR) is None
    assert journal.assign_nonce(OTHER, nonce=7).nonce == 7


def test_the_highest_nonce_is_per_chain_and_sender_in_any_spelling(journal):
    bring_to(journal, CONFIRMED, DIGEST, nonce=7)
    journal.plan(make_intent(OTHER, chain_id=1))
    journal.assign_nonce(OTHER, nonce=9)

    assert journal.highest_nonce(chain_id=CHAIN_ID, sender=OPERATOR.upper().replace("0X", "0x")) == 7
    assert journal.highest_nonce(chain_id=CHAIN_ID, sender=ACCOUNT) is None


def test_open_intents_are_those_without_a_final_status_oldest_first(journal):
    journal.plan(make_intent("a" * 64, created_at=NOW + timedelta(seconds=2)))
    journal.plan(make_intent("b" * 64, created_at=NOW + timedelta(seconds=1)))
    journal.plan(make_intent("c" * 64))
    journal.mark("c" * 64, EXPIRED)

    assert [intent.batch_digest for intent in journal.open_intents()] == ["b" * 64, "a" * 64]


def test_a_receipt_comes_back_equal_with_its_largest_numbers(journal):
    bring_to(journal, BROADCAST)
    receipt = make_receipt()

    journal.store_receipt(receipt)
    journal.store_receipt(receipt)

    assert journal.receipt(DIGEST) == receipt
    assert journal.receipt(OTHER) is None


def test_a_second_receipt_that_says_something_else_is_a_broken_invariant(journal):
    bring_to(journal, BROADCAST)
    journal.store_receipt(make_receipt())

    with pytest.raises(InvariantBroken, match="has a receipt from block 101"):
        journal.store_receipt(make_receipt(succeeded=False))


def test_a_receipt_of_another_transaction_is_a_broken_invariant(journal):
    bring_to(journal, BROADCAST)

    with pytest.raises(InvariantBroken, match="is not of intent"):
        journal.store_receipt(make_receipt(transaction_hash="0x" + "99" * 32))


def test_an_unknown_digest_is_an_unknown_subject(journal):
    with pytest.raises(UnknownSubject, match="is not in the execution journal"):
        journal.mark(DIGEST, EXPIRED)


def test_an_unreadable_row_is_store_unavailable(journal, tmp_path):
    journal.plan(make_intent())
    with closing(sqlite3.connect(tmp_path / "autofi.db", isolation_level=None)) as connection:
        connection.execute("UPDATE intents SET status = 'teleported'")

    with pytest.raises(StoreUnavailable, match="unreadable row"):
        journal.find(DIGEST)
