"""Written policies that contradict themselves: each rule once over its edge, and once exactly on it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from domain.policy_change import limits_of
from domain.policy_rules import BOUNDS, CEILINGS, contradictions
from tests.builders import make_policy
from tests.builders_evidence import make_limits
from tests.policy_samples import with_limits

DEMO = make_policy()
WORDS_REFUSED = [
    rule for rule in CEILINGS if not (rule.allows_the_word or isinstance(limits_of(DEMO)[rule.child], int))
]
UNDER_WORDS = [rule for rule in WORDS_REFUSED if not isinstance(limits_of(DEMO)[rule.parent], int)]
STEP = {"share": Decimal("0.01"), "usd": Decimal(1), "bps": 1, "days": Decimal(1)}


def keys_named(policy):
    return {found.key for found in contradictions(policy)}


def test_the_policies_that_ship_and_that_guards_are_tested_with_contradict_nothing_of_their_own():
    assert contradictions(DEMO) == ()
    assert contradictions(make_limits()) == ()


@pytest.mark.parametrize("rule", CEILINGS, ids=lambda rule: rule.child + " under " + rule.parent)
def test_a_limit_may_equal_its_parents_and_not_exceed_it(rule):
    parent = limits_of(DEMO)[rule.parent]
    step = STEP[rule.child.rpartition("_")[2]]
    is_whole = isinstance(limits_of(DEMO)[rule.child], int)
    at_the_edge = int(parent) if is_whole else parent

    equal = with_limits(DEMO, {rule.child: at_the_edge})
    above = with_limits(DEMO, {rule.child: at_the_edge + step})

    broken = {(found.key, found.allowed) for found in contradictions(above)}
    assert (rule.child, f"at most {parent}, which is {rule.parent}") in broken
    assert (rule.child, f"at most {parent}, which is {rule.parent}") not in {
        (found.key, found.allowed) for found in contradictions(equal)
    }


@pytest.mark.parametrize("rule", WORDS_REFUSED, ids=lambda rule: rule.child + " under " + rule.parent)
def test_the_word_unlimited_is_above_any_number(rule):
    broken = contradictions(with_limits(DEMO, {rule.child: "unlimited"}))

    allowed = f"at most {limits_of(DEMO)[rule.parent]}, which is {rule.parent}"
    assert (rule.child, "unlimited", allowed) in {(found.key, found.value, found.allowed) for found in broken}


@pytest.mark.parametrize("rule", UNDER_WORDS, ids=lambda rule: rule.child + " under " + rule.parent)
def test_the_word_unlimited_may_stand_under_itself(rule):
    both = with_limits(DEMO, {rule.child: "unlimited", rule.parent: "unlimited"})

    assert (rule.child, rule.parent) not in {
        (found.key, found.allowed.rpartition(" ")[2]) for found in contradictions(both)
    }


@pytest.mark.parametrize("key", ["approval.min_value_without_approval_usd", "exposure.min_reserve_share"])
def test_asking_nobody_and_keeping_no_reserve_can_be_meant(key):
    assert key not in keys_named(with_limits(DEMO, {key: "unlimited"}))


@pytest.mark.parametrize("rule", BOUNDS, ids=lambda rule: f"{rule.key} {rule.low} {rule.high}")
def test_a_limit_may_lie_on_its_bound_and_not_beyond(rule):
    edge, beyond = (rule.low, rule.low - 1) if rule.low is not None else (rule.high, rule.high + 1)

    inside, outside = with_limits(DEMO, {rule.key: edge}), with_limits(DEMO, {rule.key: beyond})

    assert rule.reason in {found.reason for found in contradictions(outside)}
    assert rule.reason not in {found.reason for found in contradictions(inside)}


def test_a_contradiction_says_what_is_allowed_and_why():
    (found,) = contradictions(with_limits(DEMO, {"budgets.max_transaction_value_usd": "1500001"}))

    assert found.key == "budgets.max_transaction_value_usd"
    assert found.value == "1500001"
    assert found.allowed == "at most 1500000, which is budgets.max_day_value_usd"
    assert found.reason == "a longer window holds the shorter one"


def test_every_rule_speaks_of_keys_that_exist():
    named = {key for rule in CEILINGS for key in (rule.child, rule.parent)} | {rule.key for rule in BOUNDS}

    assert named - set(limits_of(DEMO)) == set()
