"""The whole answer: every guard runs, every denial is listed, tightening never loosens."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.digest import GENESIS
from domain.verdict import TradingState
from guards import GUARDS, check
from tests.builders_evidence import (
    DAI,
    LIMITS,
    USDC,
    codes,
    deposit,
    exit_moves,
    make_budget,
    make_evidence,
    make_limits,
    supply,
    swap,
    withdraw,
)

SAMPLE = make_evidence()


def test_a_sound_batch_passes_every_guard_and_shows_what_was_measured():
    verdict = check(SAMPLE)

    assert codes(verdict.denials) == set()
    assert (verdict.is_pass, verdict.is_exit, verdict.needs_approval) == (True, False, False)
    assert {row.guard for row in verdict.findings} == {"soundness", *GUARDS}
    assert verdict.batch_digest == SAMPLE.plan.batch_digest()
    assert verdict.policy_digest == SAMPLE.policy.digest()


def test_the_same_evidence_gives_the_same_verdict():
    assert check(SAMPLE).digest() == check(make_evidence()).digest()


def test_every_guard_runs_and_every_denial_is_listed():
    evidence = make_evidence(
        trading_state=TradingState.HALTED, economics=None, risk_after=None, scores=(), head_block_number=10**6
    )

    assert codes(check(evidence).denials) == {
        "trading_state_halted",
        "net_gain",
        "break_even",
        "risk_missing",
        "protocol_score",
        "open_incident",
        "block_lag",
        "simulation_stale",
    }


def test_a_guard_that_fails_inside_denies_and_names_itself():
    snapshot = SAMPLE.snapshot.model_copy(update={"base_fee_wei": 1, "block_number": 2**53})

    verdict = check(SAMPLE.model_copy(update={"snapshot": snapshot}))

    (fault,) = (denial for denial in verdict.denials if denial.code == "guard_fault")
    assert (fault.subject, fault.limit) == ("binding", "a judgement")
    assert str(2**53) in fault.observed


def test_digests_that_cannot_be_taken_deny_and_name_nothing():
    freshness = SAMPLE.policy.freshness.model_copy(update={"max_rate_age_seconds": 2**53})
    policy = SAMPLE.policy.model_copy(update={"freshness": freshness})

    verdict = check(SAMPLE.model_copy(update={"policy": policy}))

    assert verdict.policy_digest == GENESIS
    assert [denial.subject for denial in verdict.denials] == ["binding"]


MAXIMA = [
    (section, key)
    for section, keys in LIMITS.items()
    for key in keys
    if key.startswith(("max_", "min_")) and key != "min_value_without_approval_usd"
]
batches = st.sampled_from(
    [
        [supply(50_000)],
        [supply(300_000)],
        [swap("usdc", "dai", 10_000 * USDC, 9_960 * DAI), deposit(9_960 * DAI)],
        [withdraw("aave-weth", "weth", 10**18), swap("weth", "usdc", 10**18, 3_490 * USDC, venue="usdc-weth-500")],
        list(exit_moves()),
    ]
)


@given(batches, st.sampled_from(MAXIMA), st.fractions(min_value=0, max_value=1, max_denominator=100))
@settings(max_examples=150, deadline=None)
def test_tightening_a_limit_never_turns_a_denial_into_a_pass(moves, limit, strictness):
    section, key = limit
    current = Decimal(str(LIMITS[section][key]))
    factor = 1 - strictness if key.startswith("max_") else 1 + strictness
    stricter = current * factor.numerator / factor.denominator
    tight = int(stricter) if isinstance(LIMITS[section][key], int) else min(stricter, Decimal("0.999"))

    loose_verdict = check(make_evidence(moves))
    tight_verdict = check(make_evidence(moves, policy=make_limits(**{section: {key: tight}})))

    assert codes(loose_verdict.denials) <= codes(tight_verdict.denials)


@given(batches, st.integers(min_value=0, max_value=10**7), st.integers(min_value=0, max_value=10**7))
@settings(max_examples=60, deadline=None)
def test_a_fuller_ledger_never_turns_a_denial_into_a_pass(moves, used, more):
    def judged(amount):
        names = [name for name in type(make_budget()).model_fields if name.endswith("_usd")]
        return codes(check(make_evidence(moves, budget=make_budget(**dict.fromkeys(names, amount)))).denials)

    assert judged(used) <= judged(used + more)
