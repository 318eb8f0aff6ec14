"""Above the threshold a human is asked; an answer counts for one digest, once, in time, from the right person."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from domain.errors import InvariantBroken
from domain.verdict import ApprovalStatus
from guards import check
from guards.certificate import issue_certificate
from tests.builders import NOW
from tests.builders_evidence import codes, exit_moves, make_approval, make_evidence, make_limits, rows_of, supply

POLICY = make_limits(approval={"min_value_without_approval_usd": Decimal(49_999)})


def ask(**parts):
    return check(make_evidence(policy=POLICY, **parts))


def answered(**changes):
    evidence = make_evidence(policy=POLICY)
    return evidence.model_copy(update={"approval": make_approval(evidence.plan, **changes)})


def test_at_the_threshold_nobody_is_asked():
    policy = make_limits(approval={"min_value_without_approval_usd": Decimal(50_000)})

    verdict = check(make_evidence(policy=policy))

    assert (verdict.is_pass, verdict.needs_approval) == (True, False)


def test_above_the_threshold_a_human_is_asked_and_nothing_is_denied():
    verdict = ask()

    assert (verdict.is_pass, verdict.needs_approval) == (True, True)
    assert [row.observed for row in verdict.findings if row.code == "approval_required"] == ["50000"]


def test_unlimited_asks_nobody():
    policy = make_limits(approval={"min_value_without_approval_usd": "unlimited"})

    assert not check(make_evidence(policy=policy)).needs_approval


def test_a_question_without_an_answer_still_waits():
    assert check(answered(status=ApprovalStatus.PENDING, answered_by=None, role=None)).needs_approval


def test_an_answer_for_this_digest_passes():
    verdict = check(answered())

    assert (verdict.is_pass, verdict.needs_approval) == (True, False)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"batch_digest": "0" * 64}, "approval_digest"),
        ({"run_id": "run-2"}, "approval_digest"),
        ({"status": ApprovalStatus.USED}, "approval_used"),
        ({"status": ApprovalStatus.DENIED}, "approval_denied"),
        ({"expires_at": NOW}, "approval_expired"),
        ({"role": "operator"}, "approval_role"),
        ({"role": None}, "approval_role"),
        ({"answered_by": None}, "approval_role"),
        ({"answered_by": ""}, "approval_role"),
        ({"answered_by": " \u200b"}, "approval_role"),
        ({"answered_by": "scheduler"}, "four_eyes"),
        ({"answered_by": " SCHEDULER "}, "four_eyes"),
        ({"answered_by": "\uff53chedu\u200bler"}, "four_eyes"),
    ],
)
def test_an_answer_with_anything_wrong_denies(changes, code):
    assert codes(check(answered(**changes)).denials) == {code}


def test_an_answer_counts_until_the_second_it_expires():
    assert check(answered(expires_at=NOW + timedelta(seconds=1))).is_pass


def test_one_pair_of_eyes_is_enough_where_the_policy_says_so():
    policy = make_limits(
        approval={"min_value_without_approval_usd": Decimal(49_999), "requires_four_eyes": False},
    )
    evidence = make_evidence(policy=policy)
    alone = make_approval(evidence.plan, answered_by="scheduler")

    assert check(evidence.model_copy(update={"approval": alone})).is_pass


def test_what_cannot_be_valued_is_denied_and_not_asked_about():
    evidence = make_evidence(policy=POLICY)
    unpriced = evidence.model_copy(update={"snapshot": evidence.snapshot.model_copy(update={"prices": ()})})

    rows = rows_of("approval", unpriced)

    assert codes(rows) == {"approval_threshold"}


def test_a_way_out_never_waits():
    policy = make_limits(approval={"min_value_without_approval_usd": Decimal(0)})

    verdict = check(make_evidence(exit_moves(), policy=policy))

    assert (verdict.is_exit, verdict.is_pass, verdict.needs_approval) == (True, True, False)


def test_a_certificate_names_batch_simulation_and_verdict():
    evidence = make_evidence()
    verdict = check(evidence)

    certificate = issue_certificate(verdict, evidence)

    assert certificate.batch_digest == evidence.plan.batch_digest()
    assert certificate.simulation_digest == evidence.simulation.digest()
    assert certificate.verdict_digest == verdict.digest()
    assert (certificate.account, certificate.expires_at) == (evidence.catalog.account, evidence.plan.expires_at)


def test_a_denied_batch_gets_no_certificate():
    evidence = make_evidence(economics=None)

    with pytest.raises(InvariantBroken, match=r"denied by .*net_gain"):
        issue_certificate(check(evidence), evidence)


def test_a_batch_that_waits_gets_no_certificate():
    evidence = make_evidence(policy=POLICY)

    with pytest.raises(InvariantBroken, match="waits for an approval"):
        issue_certificate(check(evidence), evidence)


def test_a_verdict_certifies_no_other_batch():
    evidence = make_evidence()

    with pytest.raises(InvariantBroken, match="does not certify"):
        issue_certificate(check(make_evidence([supply(49_999)])), evidence)
