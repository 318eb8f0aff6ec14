"""The same batch under another policy: only limits make a difference, and the tighter of two allows the least."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.policy_change import Order, meet, order_of
from domain.verdict import ApprovalStatus, TradingState
from guards import check
from guards.what_if import under_policy, unmeasured
from tests.builders import NOW
from tests.builders_evidence import (
    DAI,
    USDC,
    codes,
    deposit,
    exit_moves,
    make_approval,
    make_budget,
    make_evidence,
    make_limits,
    make_plan,
    make_report,
    make_stress,
    make_tail,
    supply,
    swap,
)
from tests.policy_samples import KEYS, policies, with_limits

BASE = make_limits()
OTHER = with_limits(BASE, {"name": "other"})
UNORDERED = frozenset(key for key in KEYS if order_of(key) is Order.NONE)


def measured(evidence):
    """With every stress loss of the book that it would leave."""
    return evidence.model_copy(update={"risk_after": make_report(stress=make_stress(evidence.after))})


BATCHES = {
    "entry": make_evidence(),
    "vault": measured(make_evidence((deposit(20_000 * DAI),))),
    "trade and entry": measured(
        make_evidence((swap("usdc", "dai", 20_000 * USDC, 19_950 * DAI), deposit(19_950 * DAI)))
    ),
    "large": make_evidence((supply(300_000),)),
    "approved": make_evidence(approval=make_approval(make_plan())),
    "way out": make_evidence(exit_moves()),
    "half spent day": make_evidence(budget=make_budget(value_day_usd=700_000, turnover_day_usd=300_000)),
    "risky": make_evidence(risk_after=make_report(tails=(make_tail(0.95, 0.015, 0.02), make_tail(0.99, 0.02, 0.03)))),
    "reducing": make_evidence(trading_state=TradingState.REDUCING),
}


def allows(evidence, policy):
    """Without a human: what waits is not allowed yet."""
    verdict = check(under_policy(evidence, policy))
    return verdict.is_pass and not verdict.needs_approval


@pytest.mark.parametrize("name", BATCHES)
def test_under_its_own_policy_nothing_changes(name):
    evidence = BATCHES[name]

    assert under_policy(evidence, evidence.policy) == evidence
    assert check(under_policy(evidence, evidence.policy)) == check(evidence)


@pytest.mark.parametrize("name", BATCHES)
def test_another_name_changes_digests_and_no_row(name):
    evidence = BATCHES[name]

    renamed = check(under_policy(evidence, OTHER))

    before = check(evidence)
    assert renamed.batch_digest != before.batch_digest
    assert [(row.code, row.passed, row.waived) for row in renamed.findings] == [
        (row.code, row.passed, row.waived) for row in before.findings
    ]


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [
        ("budgets.max_transaction_value_usd", "49999.99", "transaction_value"),
        ("exposure.max_protocol_share", "0.2", "protocol_share"),
        ("risk.max_var_95_share", "0.001", "var_95"),
        ("protocol.min_score_points", "81", "protocol_score"),
        ("economics.min_net_gain_usd", "100.01", "net_gain"),
        ("approval.expiry_seconds", 1_200, "plan_expired"),
    ],
)
def test_a_tighter_limit_denies_by_its_own_code_and_no_other(key, value, code):
    evidence = make_evidence()

    verdict = check(under_policy(evidence, with_limits(BASE, {key: value})))

    assert codes(verdict.denials) == {code}


def test_a_denied_batch_passes_under_the_policy_that_allows_it():
    tight = make_limits(budgets={"max_transaction_value_usd": 1_000})
    denied = make_evidence(policy=tight)

    assert codes(check(denied).denials) == {"transaction_value"}
    assert check(under_policy(denied, BASE)).is_pass


def test_what_did_not_agree_before_does_not_agree_now():
    evidence = make_evidence()
    forged = evidence.model_copy(update={"plan": evidence.plan.model_copy(update={"policy_digest": "0" * 64})})
    other_batch = make_evidence(simulated={"batch_digest": "0" * 64})

    denied = {
        name: codes(check(under_policy(each, OTHER)).denials)
        for name, each in {"forged": forged, "other batch": other_batch}.items()
    }

    assert denied == {"forged": {"policy_digest", "simulation_digest"}, "other batch": {"simulation_digest"}}
    assert codes(check(forged).denials) == denied["forged"]


def test_an_approval_of_this_batch_still_counts_and_one_of_another_does_not():
    asking = with_limits(BASE, {"approval.min_value_without_approval_usd": "1"})
    evidence = make_evidence()
    consent = make_approval(evidence.plan)
    stranger = consent.model_copy(update={"batch_digest": "0" * 64})

    assert check(under_policy(evidence, asking)).needs_approval
    assert allows(evidence.model_copy(update={"approval": consent}), asking)
    assert codes(check(under_policy(evidence.model_copy(update={"approval": stranger}), asking)).denials) == {
        "approval_digest"
    }


def test_an_approval_ends_with_its_plan():
    evidence = make_evidence()
    until_the_end = make_approval(evidence.plan, expires_at=evidence.plan.expires_at)
    shorter = with_limits(BASE, {"approval.expiry_seconds": 1_500})
    longer = with_limits(BASE, {"approval.expiry_seconds": 3_600})

    moved = {
        policy: under_policy(evidence.model_copy(update={"approval": until_the_end}), policy)
        for policy in (shorter, longer)
    }

    assert moved[shorter].plan.expires_at == NOW + timedelta(minutes=5)
    assert moved[longer].plan.expires_at == NOW + timedelta(minutes=40)
    assert all(evidence.approval.expires_at == evidence.plan.expires_at for evidence in moved.values())


def test_an_answer_that_would_outlive_its_shortened_plan_ends_with_it():
    evidence = make_evidence()
    almost_to_the_end = make_approval(evidence.plan, expires_at=evidence.plan.expires_at - timedelta(seconds=1))
    shorter = with_limits(BASE, {"approval.expiry_seconds": 1_500})

    moved = under_policy(evidence.model_copy(update={"approval": almost_to_the_end}), shorter)

    assert moved.approval.expires_at == moved.plan.expires_at == NOW + timedelta(minutes=5)


def test_an_answer_that_ended_before_its_plan_gains_no_time():
    evidence = make_evidence()
    consent = make_approval(evidence.plan, expires_at=NOW + timedelta(minutes=5))

    longer = under_policy(
        evidence.model_copy(update={"approval": consent}), with_limits(BASE, {"approval.expiry_seconds": 3_600})
    )

    assert longer.approval.expires_at == NOW + timedelta(minutes=5)
    assert longer.approval.status is ApprovalStatus.APPROVED


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        (
            "risk.horizon_days",
            10,
            "its tails were measured for horizon_days 1 and not 10: VaR and CVaR are unknown, which denies",
        ),
        ("stress.utilization_days", 30, "for utilization_days 7 and not 30"),
        ("economics.horizon_days", 90, "gain was measured for horizon_days 30 and not 90"),
    ],
)
def test_what_was_measured_for_something_else_is_said(key, value, words):
    assert words in (unmeasured(make_evidence(), with_limits(BASE, {key: value})) or "")
    assert unmeasured(make_evidence(), BASE) is None


def test_tails_over_another_horizon_deny():
    verdict = check(under_policy(make_evidence(), with_limits(BASE, {"risk.horizon_days": 10})))

    assert {"var_95", "var_99", "cvar_95", "cvar_99"} <= codes(verdict.denials)


@settings(max_examples=150)
@given(st.sampled_from(sorted(BATCHES)), policies(without=UNORDERED), policies(without=UNORDERED))
def test_the_tighter_of_two_policies_allows_only_what_both_allow(name, one, other):
    evidence = BATCHES[name]

    if allows(evidence, meet(one, other)):
        assert allows(evidence, one)
        assert allows(evidence, other)


@settings(max_examples=100)
@given(st.sampled_from(sorted(BATCHES)), policies(without=UNORDERED))
def test_a_policy_that_is_tighter_in_every_change_never_allows_more(name, other):
    evidence = BATCHES[name]
    tighter = meet(BASE, other)

    if allows(evidence, tighter):
        assert allows(evidence, BASE)


def test_samples_are_allowed_by_the_pinned_policy_so_that_the_properties_say_something():
    assert {name for name, evidence in BATCHES.items() if allows(evidence, BASE)} >= {
        "entry", "vault", "trade and entry", "large", "approved", "way out", "half spent day",
    }  # fmt: skip
