"""The whole answer: every guard runs, nothing raises, whatever is not proven denies, tightening never loosens."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.digest import GENESIS
from domain.portfolio import Portfolio, Position
from domain.units import UINT256_MAX
from domain.verdict import Economics, Evidence, TradingState
from guards import GUARDS, check
from guards.finding import Ruler, exact, measured, text
from guards.render import COLUMNS, describe_batch, summary_rows, verdict_rows, verdict_sentence
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
    make_plan,
    redeem,
    supply,
    swap,
    withdraw,
)

SAMPLE = make_evidence()
NAN = Decimal("NaN")


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
    ghost = SAMPLE.before.model_copy(update={"positions": (Position(strategy="ghost", shares=1, amount=1),)})

    verdict = check(SAMPLE.model_copy(update={"before": ghost}))

    faults = {denial.subject: denial.observed for denial in verdict.denials if denial.code == "guard_fault"}
    assert {"exposure", "budgets", "approval"} <= set(faults)
    assert all("'ghost' is not in the catalog" in observed for observed in faults.values())
    assert not verdict.is_exit


def test_digests_that_cannot_be_taken_deny_and_name_nothing():
    freshness = SAMPLE.policy.freshness.model_copy(update={"max_rate_age_seconds": 2**53})
    policy = SAMPLE.policy.model_copy(update={"freshness": freshness})

    verdict = check(SAMPLE.model_copy(update={"policy": policy}))

    assert verdict.policy_digest == GENESIS
    assert [denial.subject for denial in verdict.denials] == ["binding"]


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise ValueError


class Trap:
    """A value that fails however it is touched, even while it explains itself."""

    def __getattr__(self, name: str) -> object:
        raise Unspeakable


class Mute(int):
    """A number that cannot be written down."""

    def __str__(self) -> str:
        raise Unspeakable


def test_what_cannot_be_written_down_denies():
    before = SAMPLE.before.model_copy(update={"native_wei": Mute(1)})

    for evidence in (SAMPLE.model_copy(update={"before": before}), SAMPLE.model_copy(update={"now": Trap()}), Trap()):
        (denial,) = check(evidence).denials
        assert (denial.code, denial.subject) == ("evidence_invalid", "evidence")


@pytest.mark.parametrize("nothing", [None, 0, "", (), math.nan, object(), {}, [SAMPLE], SAMPLE.policy])
def test_what_is_no_evidence_at_all_is_one_denial_and_nothing_else_runs(nothing):
    verdict = check(nothing)

    assert codes(verdict.denials) == {"evidence_invalid"}
    assert (len(verdict.findings), verdict.is_exit, verdict.batch_digest) == (1, False, GENESIS)


def test_a_value_that_would_read_back_differently_denies():
    report = SAMPLE.simulation.model_copy(update={"block_hash": "0x" + "AB" * 32})

    (denial,) = check(SAMPLE.model_copy(update={"simulation": report})).denials

    assert denial.code == "evidence_invalid"
    assert "became" in denial.observed


GARBAGE = (None, NAN, Decimal("Infinity"), math.nan, math.inf, -1, True, "", "NaN", (), 10**400, object(), Trap())


@given(
    st.dictionaries(st.sampled_from(sorted(Evidence.model_fields)), st.sampled_from(GARBAGE), min_size=1, max_size=4)
)
@settings(max_examples=150, deadline=None)
def test_garbage_anywhere_never_raises_and_never_passes_for_truth(garbage):
    fields = {name: getattr(SAMPLE, name) for name in Evidence.model_fields}
    allowed = {"risk_before", "risk_after", "economics", "approval", "scores"}

    verdict = check(Evidence.model_construct(**{**fields, **garbage}))

    assert verdict.is_pass <= all(name in allowed and value in (None, ()) for name, value in garbage.items())


PARTS = ("policy", "plan", "batch", "simulation", "snapshot", "before", "after", "risk_after", "economics", "budget")


@given(st.sampled_from(PARTS), st.data())
@settings(max_examples=250, deadline=None)
def test_garbage_inside_a_part_never_raises_and_never_passes_for_truth(part, data):
    value = getattr(SAMPLE, part)
    name = data.draw(st.sampled_from(sorted(type(value).model_fields)))
    junk = data.draw(st.sampled_from(GARBAGE[:-2]))

    verdict = check(SAMPLE.model_copy(update={part: value.model_copy(update={name: junk})}))

    # Only a value that the field itself allows may pass: it reads back equal.
    assert not verdict.is_pass or reads_back(value, name, junk)


def reads_back(value, name, junk):
    fields = {field: getattr(value, field) for field in type(value).model_fields}
    try:
        type(value).model_validate({**fields, name: junk})
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_statistic_that_is_no_number_is_refused_and_not_taken_for_unknown(bad):
    economics = Economics.model_construct(lower_gain_usd=120.0, cost_usd=bad, break_even_days=5.0)

    (denial,) = check(SAMPLE.model_copy(update={"economics": economics})).denials

    assert (denial.code, denial.observed) == (
        "evidence_invalid",
        "evidence.economics.cost_usd: Input should be a finite number",
    )


@pytest.mark.parametrize("value", [True, 0.5, "1"])
def test_money_that_is_no_decimal_is_refused(value):
    budget = SAMPLE.budget.model_copy(update={"value_day_usd": value})

    assert codes(check(SAMPLE.model_copy(update={"budget": budget})).denials) == {"evidence_invalid"}


def test_lookups_that_a_catalog_carries_along_are_not_believed():
    carried = SAMPLE.catalog.model_copy()
    carried.token("usdc")
    lies = {token.id: token.model_copy(update={"decimals": 0}) for token in SAMPLE.catalog.tokens}
    carried.__dict__["_tokens_by_id"] = lies

    assert check(SAMPLE.model_copy(update={"catalog": carried})) == check(SAMPLE)


class Liar(Portfolio):
    """Equal to whatever it is compared with, and richer than it says."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None

    def position_of(self, strategy_id: str) -> int:
        return 10**30


def test_a_subclass_is_judged_by_its_fields_alone():
    liar = Liar.model_validate(SAMPLE.before.model_dump())

    assert check(SAMPLE.model_copy(update={"before": liar})) == check(SAMPLE)


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


RULER = Ruler("sample")


@pytest.mark.parametrize("limit", [None, NAN, Decimal("Infinity"), "many", ""])
def test_a_limit_that_is_missing_or_no_number_denies(limit):
    assert not RULER.at_most("code", "subject", observed=Decimal(0), limit=limit, unit="usd").passed
    assert not RULER.at_least("code", "subject", observed=Decimal(10**9), limit=limit, unit="usd").passed


@pytest.mark.parametrize("observed", [None, NAN, Decimal("-Infinity"), True, "1"])
@pytest.mark.parametrize("limit", [Decimal(10), "unlimited"])
def test_an_observation_that_is_missing_or_no_number_denies(observed, limit):
    assert not RULER.at_most("code", "subject", observed=observed, limit=limit, unit="usd").passed
    assert not RULER.at_least("code", "subject", observed=observed, limit=limit, unit="usd").passed


def test_only_the_word_unlimited_lifts_a_limit():
    assert RULER.at_most("code", "subject", observed=Decimal(10**9), limit="unlimited", unit="usd").passed
    assert RULER.at_least("code", "subject", observed=Decimal(0), limit="unlimited", unit="usd").passed


@given(st.integers(min_value=-UINT256_MAX, max_value=UINT256_MAX), st.integers(min_value=0, max_value=UINT256_MAX))
def test_comparisons_are_exact_at_any_size(observed, limit):
    assert RULER.at_most("code", "s", observed=observed, limit=limit, unit="wei").passed == (observed <= limit)
    assert RULER.at_least("code", "s", observed=observed, limit=limit, unit="wei").passed == (observed >= limit)


def test_headroom_is_what_is_left():
    assert RULER.at_most("code", "s", observed=Decimal("0.3"), limit=Decimal("0.35"), unit="x").headroom == Decimal(
        "0.05"
    )
    assert RULER.at_least("code", "s", observed=7, limit=5, unit="x").headroom == 2
    assert RULER.at_most("code", "s", observed=7, limit="unlimited", unit="x").headroom is None


def test_numbers_are_shown_plainly():
    assert [text(value) for value in (None, NAN, 7, "unlimited", Decimal("1E+3"), Decimal("0.10"))] == [
        "unknown",
        "unknown",
        "7",
        "unlimited",
        "1000",
        "0.1",
    ]
    assert (text(10**400), text(10**5000), text("x" * 200)) == ("1.00000000e+400", "1.00000000e+5000", "x" * 120)


def test_a_statistic_is_the_decimal_that_its_text_names():
    assert (measured(0.02), measured(None), measured(math.nan)) == (Decimal("0.02"), None, None)
    assert (exact(True), exact(3)) == (None, Decimal(3))


def test_rows_put_denials_first_and_name_the_result():
    rows = verdict_rows(check(make_evidence(economics=None)))

    results = [row[COLUMNS.index("result")] for row in rows]
    assert {len(row) for row in rows} == {len(COLUMNS)}
    assert results == sorted(results)
    assert results.count("DENY") == 2
    assert {row[-1] for row in verdict_rows(check(make_evidence(exit_moves(), economics=None)))} == {"PASS", "WAIVED"}


def test_the_summary_keeps_every_denial_and_one_row_per_passing_code():
    verdict = check(make_evidence(economics=None))

    rows = summary_rows(verdict)

    passing = [row[1] for row in rows if row[-1] == "PASS"]
    assert len(passing) == len(set(passing))
    assert {row[1] for row in rows if row[-1] == "DENY"} == codes(verdict.denials)
    assert {row[1] for row in rows} == {row.code for row in verdict.findings}


def test_a_denial_is_told_with_code_observed_and_limit():
    policy = make_limits(exposure={"max_strategy_share": Decimal("0.05")})

    sentence = verdict_sentence(check(make_evidence(policy=policy)))

    assert sentence == (
        "Denied: strategy_share (aave-usdc: 0.05154639 of value, limit 0.05);"
        " strategy_share (aave-usdx: 0.10309278 of value, limit 0.05);"
        " strategy_share (aave-weth: 0.07216495 of value, limit 0.05)."
    )


def test_a_long_list_of_denials_is_cut_and_counted():
    verdict = check(make_evidence(economics=None, scores=(), risk_after=None))

    assert verdict_sentence(verdict).endswith(f"; and {len(verdict.denials) - 3} more.")


def test_a_pass_says_how_much_was_measured_waived_and_awaited():
    asking = make_limits(approval={"min_value_without_approval_usd": 0})

    assert verdict_sentence(check(SAMPLE)).startswith("Passed: batch within ")
    assert "waits for a human" in verdict_sentence(check(make_evidence(policy=asking)))
    assert "waived because it is a way out" in verdict_sentence(check(make_evidence(exit_moves(), economics=None)))


def test_a_batch_is_described_from_its_own_bytes():
    moves = [
        withdraw("aave-usdx", "usdx", DAI, is_whole=True),
        withdraw("aave-weth", "weth", 10**18),
        redeem(2 * DAI),
        swap("usdc", "dai", 1_000 * USDC, 996 * DAI),
        deposit(5 * DAI),
    ]

    lines = describe_batch(make_plan(moves), catalog=SAMPLE.catalog).splitlines()

    assert lines == [
        "withdraw all usdx from aave-usdx",
        "withdraw 1 weth from aave-weth",
        "redeem 2 shares of vault-limited-dai",
        "approve 1000 usdc for 0x0000000000000000000000000000000000000051",
        "swap 1000 usdc for at least 996 dai on usdc-dai-100",
        "approve 5 dai for 0x0000000000000000000000000000000000000301",
        "deposit 5 dai to vault-limited-dai",
        "at most 20000000000000000 wei (0.02 ETH) of gas, until 2026-03-01 12:10 UTC",
    ]


def test_an_unreadable_batch_is_described_as_such():
    envelope = SAMPLE.plan.envelope.model_copy(update={"data": "0xdeadbeef"})

    described = describe_batch(SAMPLE.plan.model_copy(update={"envelope": envelope}), catalog=SAMPLE.catalog)

    assert described.startswith(f"UNREADABLE call to {SAMPLE.catalog.account}")
