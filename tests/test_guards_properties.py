"""What holds for every batch, policy and circumstance that can be drawn, not only for the ones we thought of."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from domain.abi import AAVE_WITHDRAW, TRANSFER
from domain.policy import Policy
from domain.transaction import BalanceDelta, LeftoverApproval, UnsignedCall
from domain.verdict import TradingState, Verdict
from guards import GUARDS, check
from guards.decode import decode_batch
from tests.builders import CONTRACTS, address, make_snapshot
from tests.builders_evidence import (
    DAI,
    LIMITS,
    codes,
    deposit,
    make_evidence,
    make_limits,
    make_plan,
    supply,
    swap,
    withdraw,
)
from tests.strategies import (
    CATALOG,
    FREE_SETTINGS,
    as_planned,
    batches,
    circumstances,
    exits,
    gifts,
    is_tighter_when_higher,
    numeric_limits,
    policies,
    spoiled,
    tightened,
    with_gift,
)
from tools.transactions.safe import wrap_calls

THIEF = address(0xBAD)
SAMPLE = make_evidence()


@given(exits(), circumstances(least=3), st.data())
@settings(max_examples=150, deadline=None)
def test_every_way_out_passes_in_all_circumstances(case, parts, data):
    """Sold for what healthy oracles ask, in whatever state of trading, and whatever somebody gives us meanwhile."""
    moves, before = case
    evidence = make_evidence(as_planned(moves, parts), before=before, **parts)
    gift = data.draw(gifts(before, [move.strategy for move in moves if move.strategy]))

    verdict = check(with_gift(evidence, gift))

    assert codes(verdict.denials) == set()
    assert (verdict.is_exit, verdict.needs_approval) == (True, False)


HARM = {
    "the simulation fails": ({"succeeded": False, "failure": "GS013"}, "simulation_failed"),
    "the simulation is of another batch": ({"batch_digest": "0" * 64}, "simulation_digest"),
    "a stranger gains": (
        {"deltas": (BalanceDelta(holder=THIEF, token=address(0x101), amount=1),)},
        "outflow_to_stranger",
    ),
    "an allowance stays open": (
        {"leftover_approvals": (LeftoverApproval(token=address(0x101), spender=THIEF, amount=1),)},
        "leftover_approval",
    ),
}


@given(exits(), circumstances(), st.sampled_from(sorted(HARM)))
@settings(max_examples=100, deadline=None)
def test_no_circumstance_lets_a_harmful_way_out_pass(case, parts, harm):
    (moves, before), (simulated, code) = case, HARM[harm]

    verdict = check(make_evidence(moves, before=before, simulated=simulated, **parts))

    assert code in codes(verdict.denials)


def with_call(moves, call, position, **parts):
    """Evidence about the calls of these moves with one more call among them, under one envelope."""
    evidence = make_evidence(moves, **parts)
    calls = list(evidence.plan.calls)
    calls.insert(position % (len(calls) + 1), call)
    plan = evidence.plan.model_copy(update={"calls": tuple(calls), "envelope": wrap_calls(calls, CATALOG)})
    batch = decode_batch(plan.envelope, catalog=CATALOG)
    report = evidence.simulation.model_copy(update={"batch_digest": plan.batch_digest()})
    return evidence.model_copy(update={"plan": plan, "batch": batch, "simulation": report})


FORBIDDEN = {
    "selector": UnsignedCall(target=address(0x101), data=TRANSFER.encode(THIEF, 1)),
    "recipient": UnsignedCall(target=CONTRACTS.aave_pool, data=AAVE_WITHDRAW.encode(address(0x103), 1, THIEF)),
    "contract": UnsignedCall(target=THIEF, data="0x"),
    "native_value": UnsignedCall(
        target=CONTRACTS.aave_pool, value_wei=1, data=AAVE_WITHDRAW.encode(address(0x103), 1, address(0xACC))
    ),
}


@given(batches(), st.sampled_from(sorted(FORBIDDEN)), st.integers(min_value=0, max_value=12), circumstances())
@settings(max_examples=100, deadline=None)
def test_no_company_makes_a_forbidden_call_pass(moves, code, position, parts):
    verdict = check(with_call(moves, FORBIDDEN[code], position, **parts))

    assert code in codes(verdict.denials)


ENTRY = make_limits(exposure={"max_strategy_share": Decimal("0.02")}, freshness={"max_rate_age_seconds": 10**9})


@given(batches())
@settings(max_examples=60, deadline=None)
def test_what_comes_along_does_not_let_an_entry_above_its_cap_pass(moves):
    """50,000 of less than 1,000,000 USD in one strategy, whose cap is 2 %."""
    verdict = check(make_evidence([*moves, supply(50_000)], policy=ENTRY))

    assert ("strategy_share", "aave-usdc") in {(denial.code, denial.subject) for denial in verdict.denials}


def allows(verdict: Verdict) -> tuple[bool, bool]:
    """Passing at all, and passing without a human."""
    return verdict.is_pass, verdict.is_pass and not verdict.needs_approval


@pytest.mark.parametrize(("section", "key"), numeric_limits())
@given(st.data())
@settings(max_examples=5, deadline=None)
def test_a_tighter_limit_never_allows_more(section, key, data):
    moves, loose = data.draw(batches()), data.draw(policies())
    current = getattr(getattr(loose, section), key)
    assume(current != "unlimited")
    tight = data.draw(tightened(section, key, current))

    before = check(make_evidence(moves, policy=loose))
    after = check(make_evidence(moves, policy=replaced(loose, section, key, tight)))

    assert allows(after) <= allows(before)
    assert rows_that_deny(before) <= rows_that_deny(after)


def replaced(policy: Policy, section: str, key: str, value: object) -> Policy:
    raw = policy.model_dump()
    raw[section][key] = value
    return Policy.model_validate(raw)


def rows_that_deny(verdict: Verdict) -> set[tuple[str, str]]:
    return {(denial.code, denial.subject) for denial in verdict.denials}


@given(batches(), policies(), st.sampled_from([key for key in numeric_limits() if not is_tighter_when_higher(key[1])]))
@settings(max_examples=50, deadline=None)
def test_lifting_a_limit_altogether_never_allows_less(moves, policy, limit):
    section, key = limit
    assume("unlimited" in str(type(getattr(policy, section)).model_fields[key].annotation))

    limited = check(make_evidence(moves, policy=policy))
    lifted = check(make_evidence(moves, policy=replaced(policy, section, key, "unlimited")))

    assert allows(limited) <= allows(lifted)


def test_every_key_of_a_policy_is_a_limit_that_these_tests_tighten_or_a_setting():
    tested = {key for _, key in numeric_limits()}
    keys = {
        key
        for section, kind in Policy.model_fields.items()
        if section in LIMITS and hasattr(kind.annotation, "model_fields")
        for key in kind.annotation.model_fields
    }

    assert keys - tested == FREE_SETTINGS | {"requires_four_eyes"}


def without_one(evidence, data):
    """The same evidence with one thing less known: a price, a rate, a score, a report, a scenario, a tail."""
    part = data.draw(st.sampled_from(["prices", "rates", "scores", "economics", "risk_after", "stress", "tails"]))
    if part in {"economics", "risk_after"}:
        return evidence.model_copy(update={part: None})
    if part == "scores":
        return evidence.model_copy(update={part: fewer(evidence.scores, data)})
    holder = "snapshot" if part in {"prices", "rates"} else "risk_after"
    value = getattr(evidence, holder)
    changed = value.model_copy(update={part: fewer(getattr(value, part), data)})
    return evidence.model_copy(update={holder: type(value).model_validate(changed.model_dump())})


def fewer(values, data):
    gone = data.draw(st.integers(min_value=0, max_value=len(values) - 1))
    return (*values[:gone], *values[gone + 1 :])


@given(batches(), st.data())
@settings(max_examples=80, deadline=None)
def test_knowing_less_never_allows_more(moves, data):
    evidence = make_evidence(moves)

    assert allows(check(without_one(evidence, data))) <= allows(check(evidence))


@pytest.mark.parametrize("state", TradingState)
@given(batches())
@settings(max_examples=15, deadline=None)
def test_a_lower_trading_state_never_allows_more(state, moves):
    order = list(TradingState)
    lower = order[min(order.index(state) + 1, len(order) - 1)]

    def judged(trading_state):
        return allows(check(make_evidence(moves, trading_state=trading_state)))

    assert judged(lower) <= judged(state)


INDEPENDENT = [
    supply(10_000),
    deposit(9_000 * DAI),
    withdraw("aave-usdx", "usdx", 500 * DAI),
    withdraw("aave-weth", "weth", 10**17),
]


@given(st.permutations(INDEPENDENT), policies())
@settings(max_examples=30, deadline=None)
def test_the_order_of_independent_calls_changes_no_row(order, policy):
    def rows(moves):
        verdict = check(make_evidence(moves, policy=policy))
        digests = {"simulation_digest", "approval_digest"}
        return sorted(row.model_dump_json() for row in verdict.findings if row.code not in digests)

    assert rows(order) == rows(INDEPENDENT)


@given(spoiled(SAMPLE))
@settings(max_examples=250, deadline=None)
def test_junk_in_any_place_gives_a_verdict_and_no_privilege(evidence):
    verdict = check(evidence)

    assert isinstance(verdict, Verdict)
    assert not verdict.is_exit
    assert verdict.is_pass <= is_what_it_says(evidence)


def is_what_it_says(evidence):
    """Junk that the field allows, such as 0 for a block number, is no junk."""
    try:
        return type(SAMPLE).model_validate_json(evidence.model_dump_json(warnings="error")) == evidence
    except (ValueError, ArithmeticError, TypeError, AttributeError):
        return False


@given(batches(), circumstances())
@settings(max_examples=60, deadline=None)
def test_every_verdict_says_what_each_guard_measured(moves, parts):
    verdict = check(make_evidence(moves, **parts))

    denied = [row for row in verdict.findings if not row.passed]
    assert {row.guard for row in verdict.findings} >= set(GUARDS) - {"protocol", "slippage"}
    assert [(row.code, row.subject) for row in denied] == [(d.code, d.subject) for d in verdict.denials]
    assert all(row.limit and row.observed and row.unit and row.subject for row in verdict.findings)


@given(batches(), circumstances())
@settings(max_examples=25, deadline=None)
def test_judging_again_changes_nothing(moves, parts):
    evidence = make_evidence(moves, **parts)

    assert check(evidence) == check(type(evidence).model_validate_json(evidence.model_dump_json()))


def test_two_plans_of_the_same_calls_are_two_batches():
    """Or an approval of one would serve the other."""
    first, second = make_plan(), make_plan(snapshot=make_snapshot(base_fee_wei=1))

    assert first.calls == second.calls
    assert first.batch_digest() != second.batch_digest()


@given(exits())
@settings(max_examples=50, deadline=None)
def test_a_way_out_with_any_entry_in_it_is_none(case):
    moves, before = case
    assume(before.cash_of("usdc") >= 10**6)
    assume(all(move.strategy != "aave-usdc" for move in moves))

    assert not check(make_evidence([*moves, supply(1)], before=before)).is_exit


@given(exits(), st.sampled_from(["dai", "usdx", "weth"]))
@settings(max_examples=50, deadline=None)
def test_buying_anything_but_the_reserve_makes_a_batch_no_way_out(case, bought):
    moves, before = case
    assume(before.cash_of("usdc") >= 10**12)
    venue = {"dai": "usdc-dai-100", "usdx": "usdc-usdx-100", "weth": "usdc-weth-500"}[bought]

    assert not check(make_evidence([*moves, swap("usdc", bought, 10**12, 1, venue=venue)], before=before)).is_exit
