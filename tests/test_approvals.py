"""Approvals: one digest, one person with the role, once, in time."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domain.errors import ApprovalRefused, InvariantBroken
from domain.verdict import Approval, ApprovalStatus
from memory.approvals import SqlApprovalStore
from memory.database import open_database
from tests.builders import NOW

DIGEST = "d" * 64


@pytest.fixture
def database(tmp_path):
    opened = open_database(f"sqlite:///{tmp_path / 'autofi.db'}")
    yield opened
    opened.close()


@pytest.fixture
def store(database):
    return SqlApprovalStore(database, requires_four_eyes=lambda: True)


def make_approval(digest: str = DIGEST, **changes: object) -> Approval:
    fields: dict[str, object] = {
        "batch_digest": digest,
        "run_id": "run-1",
        "status": ApprovalStatus.PENDING,
        "requested_by": "alice",
        "requested_at": NOW,
        "expires_at": NOW + timedelta(minutes=30),
        "summary": "supply 100 usdc",
    }
    return Approval.model_validate({**fields, **changes})


def answer(store, *, approved=True, by="bob", role="approver", at=NOW, digest=DIGEST) -> Approval:
    return store.answer(digest, approved=approved, answered_by=by, role=role, at=at)


def test_a_request_waits_until_it_is_answered(store):
    asked = store.request(make_approval())

    assert store.pending() == (asked,)
    assert store.find(DIGEST) == asked


def test_asking_again_returns_what_is_already_there(store):
    store.request(make_approval())
    answered = answer(store)

    assert store.request(make_approval(summary="another text")) == answered


def test_pending_lists_the_oldest_first(store):
    late = store.request(make_approval("e" * 64, requested_at=NOW + timedelta(seconds=1)))
    early = store.request(make_approval("f" * 64))

    assert store.pending() == (early, late)


def test_an_approval_is_used_exactly_once(store):
    store.request(make_approval())
    approved = answer(store)
    used = store.consume(DIGEST, at=NOW)

    assert (approved.status, approved.answered_by, approved.role) == (ApprovalStatus.APPROVED, "bob", "approver")
    assert used.status is ApprovalStatus.USED
    assert store.find(DIGEST) == used
    assert store.pending() == ()
    with pytest.raises(ApprovalRefused, match=r"^already_used: "):
        store.consume(DIGEST, at=NOW)


def test_a_denied_one_cannot_be_used(store):
    store.request(make_approval())
    answer(store, approved=False)

    with pytest.raises(ApprovalRefused, match=r"^not_approved: .* is denied"):
        store.consume(DIGEST, at=NOW)


def test_a_pending_one_cannot_be_used(store):
    store.request(make_approval())

    with pytest.raises(ApprovalRefused, match=r"^not_approved: .* is pending"):
        store.consume(DIGEST, at=NOW)


def test_nobody_can_answer_what_nobody_asked(store):
    with pytest.raises(ApprovalRefused, match=r"^unknown_digest: "):
        answer(store)


def test_an_approval_of_another_digest_is_of_no_use(store):
    store.request(make_approval())
    answer(store)

    with pytest.raises(ApprovalRefused, match=r"^unknown_digest: "):
        store.consume("a" * 64, at=NOW)


@pytest.mark.parametrize("approved", [True, False])
def test_a_second_answer_is_refused_and_changes_nothing(store, approved):
    store.request(make_approval())
    answer(store, approved=approved)

    with pytest.raises(ApprovalRefused, match=r"^already_answered: .* by bob"):
        answer(store, approved=not approved, by="carol")

    assert store.find(DIGEST).answered_by == "bob"


def test_an_answer_in_the_last_moment_counts_and_one_at_the_expiry_does_not(store):
    store.request(make_approval())
    store.request(make_approval("e" * 64))
    expiry = NOW + timedelta(minutes=30)

    assert answer(store, at=expiry - timedelta(microseconds=1)).status is ApprovalStatus.APPROVED
    with pytest.raises(ApprovalRefused, match=r"^expired: "):
        answer(store, at=expiry, digest="e" * 64)


def test_an_approved_one_expires_too(store):
    store.request(make_approval())
    answer(store)

    with pytest.raises(ApprovalRefused, match=r"^expired: "):
        store.consume(DIGEST, at=NOW + timedelta(minutes=30))


@pytest.mark.parametrize("role", ["operator", "viewer", "Approver", ""])
def test_only_the_approver_role_may_answer(store, role):
    store.request(make_approval())

    with pytest.raises(ApprovalRefused, match=r"^wrong_role: "):
        answer(store, role=role)


@pytest.mark.parametrize("name", ["alice", "Alice", " alice "])
def test_the_proposer_cannot_approve_where_four_eyes_are_required(store, name):
    store.request(make_approval())

    with pytest.raises(ApprovalRefused, match=r"^four_eyes: .* another person must answer: --as NAME$"):
        answer(store, by=name)

    assert store.find(DIGEST).status is ApprovalStatus.PENDING


def test_the_proposer_may_deny_where_four_eyes_are_required(store):
    store.request(make_approval())

    assert answer(store, approved=False, by="alice").status is ApprovalStatus.DENIED
    assert store.find(DIGEST).answered_by == "alice"


def test_the_proposer_may_answer_where_four_eyes_are_not_required(database):
    store = SqlApprovalStore(database, requires_four_eyes=lambda: False)
    store.request(make_approval())

    assert answer(store, by="alice").status is ApprovalStatus.APPROVED


def test_an_answer_needs_a_name(store):
    store.request(make_approval())

    with pytest.raises(ApprovalRefused, match=r"^unnamed: "):
        answer(store, by=" ")


def test_a_request_cannot_arrive_already_approved(store):
    with pytest.raises(InvariantBroken, match="not pending"):
        store.request(make_approval(status=ApprovalStatus.APPROVED, answered_by="model", role="approver"))

    assert store.find(DIGEST) is None
