"""The second guard and the fuzzer: both guards agree, and a broken one is found within 1,500 cases."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from functools import cache

import pytest

from domain import abi
from domain.transaction import BalanceDelta
from domain.verdict import Denial, Evidence, Verdict
from guards import GUARDS, check
from tests.oracle.actions import wrappers_of
from tests.oracle.bases import CATALOG, bases
from tests.oracle.calldata import BY_NAME, Call, read_envelope, read_words, write_words
from tests.oracle.compare import Outcome, compare, compared, shrunk
from tests.oracle.exact import age, pair_of_statistic, raised
from tests.oracle.garbage import BAD_VALUES, Twin
from tests.oracle.generator import Recipe, recipe
from tests.oracle.limits import APPLY_TO_EXITS, WAIVED_BY_EXITS, Judgement, judge
from tests.oracle.run import BAD, CODES, Tally, figures_of, fuzz, fuzz_in_processes, report
from tests.oracle.sample import changed, with_policy, with_snapshot
from tests.repository import ROOT

SEED = 7
CASES = 1_500
ENTRY, EXIT = "supply, pinned, plain", "leave usdx, pinned, plain"


@cache
def judged() -> tuple[tuple[Judgement, Verdict], ...]:
    """What both guards say of the first cases, so that a broken guard is one that changes these verdicts."""
    evidence = (recipe(SEED, number).cook() for number in range(CASES))
    return tuple((judge(case), check(case)) for case in evidence)


def outcomes_of(broken: Callable[[Verdict], Verdict]) -> Counter[Outcome]:
    return Counter(compared(judgement, broken(verdict)).outcome for judgement, verdict in judged())


def without(codes: set[str]) -> Callable[[Verdict], Verdict]:
    """A check that never denies for these codes."""
    return lambda verdict: changed(verdict, denials=tuple(d for d in verdict.denials if d.code not in codes))


def test_both_guards_say_the_same_of_every_case():
    found = outcomes_of(lambda verdict: verdict)

    assert [found[outcome] for outcome in BAD] == [0] * len(BAD)
    assert found[Outcome.AGREES] > CASES * 0.98


def test_the_cases_are_near_the_edge_of_what_is_allowed():
    allowed = sum(judgement.allowed for judgement, _ in judged())
    alone = {code for judgement, _ in judged() if len(judgement.codes) == 1 for code in judgement.codes}

    assert CASES * 0.3 < allowed < CASES * 0.7
    assert len(alone) > 50


def test_every_base_passes_both_guards():
    found = {name: compare(evidence, check) for name, evidence in bases().items()}

    assert len(found) > 150
    assert {name: one for name, one in found.items() if not one.judgement.allowed or one.codes} == {}


def test_a_case_is_the_same_whoever_makes_it():
    made, again = recipe(3, 41), recipe(3, 41)

    assert made == again
    assert made.cook().model_dump_json() == again.cook().model_dump_json()
    assert recipe(4, 41) != made


CASES_OF_A_PROCESS = """
import hashlib
from tests.oracle.generator import recipe
made = [recipe(5, number).cook() for number in range(120)]
print(hashlib.sha256("".join(map(repr, made)).encode()).hexdigest())
"""


def test_a_case_is_the_same_in_every_process():
    """Sets of text change their order with the seed of the process's hashes."""
    command = [sys.executable, "-c", CASES_OF_A_PROCESS]
    digests = [
        subprocess.run(
            command, cwd=ROOT, env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    ]

    assert digests[0] == digests[1]


@pytest.mark.parametrize("family", ["soundness", *GUARDS])
def test_a_check_without_one_family_is_found(family):
    codes = {finding.code for _, verdict in judged() for finding in verdict.findings if finding.guard == family}

    found = outcomes_of(without(codes))

    assert found[Outcome.VIOLATION] > 0


def test_a_check_that_denies_at_the_limit_is_found():
    def strict(verdict: Verdict) -> Verdict:
        at_limit = [f for f in verdict.findings if f.passed and not f.waived and f.limit == f.observed != "0"]
        denials = (Denial(**f.model_dump(include=set(Denial.model_fields))) for f in at_limit if f.unit != "fact")
        return changed(verdict, denials=(*verdict.denials, *denials))

    assert outcomes_of(strict)[Outcome.OVER_DENIAL] > 0


def test_a_check_that_rounds_to_eight_places_is_found():
    def rounding(verdict: Verdict) -> Verdict:
        kept = (d for d in verdict.denials if d.unit == "fact" or d.limit != d.observed)
        return changed(verdict, denials=tuple(kept))

    assert outcomes_of(rounding)[Outcome.VIOLATION] > 0


def test_a_check_that_lets_exits_wait_or_calls_nothing_an_exit_is_found():
    def blocking(verdict: Verdict) -> Verdict:
        waived = (f for f in verdict.findings if f.waived)
        denials = (Denial(**f.model_dump(include=set(Denial.model_fields))) for f in waived)
        return changed(verdict, denials=(*verdict.denials, *denials))

    assert outcomes_of(blocking)[Outcome.OVER_DENIAL] > 0
    assert outcomes_of(lambda verdict: changed(verdict, is_exit=False))[Outcome.FLAGS] > 0


def test_a_check_that_waits_for_nobody_is_found():
    found = outcomes_of(lambda verdict: changed(verdict, needs_approval=False))

    assert found[Outcome.VIOLATION] > 0


def test_a_check_that_raises_is_found_and_its_case_shrunk():
    def raising(evidence: Evidence) -> Verdict:
        if evidence.head_block_number != 100:
            raise ArithmeticError
        return check(evidence)

    made = Recipe(ENTRY, (("change_state", 1), ("shift_head", 17), ("change_budget", 2)))

    shortest = shrunk(made, raising)

    assert compare(made.cook(), raising).outcome is Outcome.CRASH
    assert [name for name, _ in shortest.steps] == ["shift_head"]


CHAIN_IDS = ("plan", "batch", "simulation", "snapshot", "before", "after", "catalog")


@pytest.mark.parametrize("place", CHAIN_IDS)
@pytest.mark.parametrize("base", [ENTRY, EXIT])
def test_a_decimal_that_equals_the_chain_id_passes_no_allowlist(base, place):
    """`Decimal("31337") in {31337}` is true; an allowlist that asks so lets text of any kind become a chain."""
    evidence = bases()[base]
    trap = Decimal(evidence.catalog.chain_id)
    planted = changed(evidence, **{place: changed(getattr(evidence, place), chain_id=trap)})

    verdict = check(planted)

    assert trap in {evidence.catalog.chain_id}
    assert (judge(planted).allowed, [denial.code for denial in verdict.denials]) == (False, ["evidence_invalid"])


def test_a_check_that_falls_into_the_membership_trap_is_found():
    evidence = bases()[ENTRY]
    planted = changed(evidence, batch=changed(evidence.batch, chain_id=Decimal(evidence.batch.chain_id)))

    def trapped(judged: Evidence) -> Verdict:
        is_listed = judged.batch.chain_id in {judged.catalog.chain_id}
        return check(evidence) if is_listed else check(judged)

    assert compare(planted, trapped).outcome is Outcome.VIOLATION


@pytest.mark.parametrize("bad", BAD_VALUES, ids=lambda value: repr(value)[:24])
def test_a_bad_value_in_place_of_any_part_is_no_evidence(bad):
    for name in Evidence.model_fields:
        if bad is None and name in {"risk_before", "risk_after", "economics", "approval"}:
            continue
        evidence = changed(bases()[ENTRY], **{name: bad})
        assert compare(evidence, check).outcome is Outcome.AGREES
        assert not judge(evidence).allowed


@pytest.mark.parametrize("nothing", [None, 0, "", [], object(), Evidence])
def test_the_oracle_answers_whatever_it_is_asked(nothing):
    assert judge(nothing).codes == {"evidence_invalid"}


def test_a_number_of_another_class_is_judged_by_what_its_text_says_or_refused():
    evidence = bases()[ENTRY]
    planted = changed(evidence, head_block_number=Twin(evidence.head_block_number))

    judgement = judge(planted)

    assert (judgement.is_impostor, judgement.allowed) == (True, True)


@pytest.mark.parametrize("number", [1.0, 2.5, "100", True, None])
def test_an_amount_that_is_no_integer_is_unsound(number):
    evidence = bases()[ENTRY]

    judgement = judge(changed(evidence, before=changed(evidence.before, native_wei=number)))

    assert judgement.is_impostor or judgement.codes == {"evidence_invalid"}


def test_a_share_above_its_limit_by_the_last_digit_of_any_limit_is_denied():
    evidence = bases()["supply dai, open, plain"]
    below_third, above_third = Decimal("0." + "3" * 60), Decimal("0." + "3" * 59 + "4")
    pool = evidence.after.position_of("aave-dai") * 3
    rates = tuple(changed(r, withdrawable=pool) if r.strategy == "aave-dai" else r for r in evidence.snapshot.rates)
    lent = with_snapshot(evidence, rates=rates)

    below = compare(with_policy(lent, "exposure", max_pool_withdrawable_share=below_third), check)
    above = compare(with_policy(lent, "exposure", max_pool_withdrawable_share=above_third), check)

    assert (below.outcome, set(below.codes)) == (Outcome.AGREES, {"pool_withdrawable_share"})
    assert (above.outcome, above.judgement.allowed) == (Outcome.AGREES, True)


def test_a_gain_that_the_book_does_not_show_is_denied():
    evidence = bases()[ENTRY]
    receipt = CATALOG.strategy("aave-dai").receipt
    gift = BalanceDelta(holder=CATALOG.account, token=receipt, amount=1)
    simulation = changed(evidence.simulation, deltas=(*evidence.simulation.deltas, gift))

    found = compare(changed(evidence, simulation=simulation), check)

    assert (found.outcome, set(found.codes)) == (Outcome.AGREES, {"delta_mismatch"})


def test_of_two_scores_for_a_protocol_the_worse_one_counts():
    evidence = bases()[ENTRY]
    doubted = changed(evidence.scores[0], score=1.0, has_open_incident=True)

    for scores in ((*evidence.scores, doubted), (doubted, *evidence.scores)):
        found = compare(changed(evidence, scores=scores), check)
        assert (found.outcome, set(found.codes)) == (Outcome.AGREES, {"protocol_score", "open_incident"})


def test_what_was_read_or_measured_twice_is_unknown():
    evidence = bases()[ENTRY]
    rates, tails = evidence.snapshot.rates, evidence.risk_after.tails
    twice_read = with_snapshot(evidence, rates=(*rates, *(rate for rate in rates if rate.strategy == "aave-usdc")))
    twice_measured = changed(evidence, risk_after=changed(evidence.risk_after, tails=(*tails, tails[0])))

    read, measured = compare(twice_read, check), compare(twice_measured, check)

    assert (read.outcome, measured.outcome) == (Outcome.AGREES, Outcome.AGREES)
    assert {"rate_stale", "pool_supplied_share", "pool_withdrawable_share"} <= read.codes
    assert {"var_95", "cvar_95", "sample_too_small"} <= measured.codes


@pytest.mark.parametrize(
    "function",
    [
        abi.APPROVE,
        abi.TRANSFER,
        abi.AAVE_SUPPLY,
        abi.AAVE_WITHDRAW,
        abi.VAULT_DEPOSIT,
        abi.VAULT_REDEEM,
        abi.SWAP_EXACT_INPUT_SINGLE,
    ],
    ids=lambda function: function.name,
)
def test_the_oracles_own_reader_agrees_with_the_codec(function):
    signature = BY_NAME[function.name]
    values = [CATALOG.account if kind == "address" else index for index, (kind, _) in enumerate(signature.fields)]
    is_struct = function.types[0].startswith("(")

    encoded = function.encode(tuple(values)) if is_struct else function.encode(*values)

    assert signature.selector == function.selector_hex
    assert write_words(function.name, *values).hex() == encoded[2:]
    assert list((read_words(bytes.fromhex(encoded[2:])) or {}).values()) == values


def test_bytes_beyond_the_arguments_are_not_explained():
    data = write_words("approve", CATALOG.account, 1)

    assert [read_words(other) for other in (data + b"\0", data[:-1], b"", data[:4])] == [None] * 4


def test_any_flipped_byte_of_an_envelope_is_seen():
    envelope, around = bytes.fromhex(bases()[EXIT].plan.envelope.data[2:]), wrappers_of(CATALOG)
    original = read_envelope(envelope, around)

    for place in range(len(envelope)):
        flipped = envelope[:place] + bytes([envelope[place] ^ 1]) + envelope[place + 1 :]
        assert read_envelope(flipped, around) != original


def test_a_call_knows_its_signature_only_by_all_four_bytes():
    assert Call(CATALOG.account, 0, False, b"\x09\x5e\xa7").selector is None
    assert Call(CATALOG.account, 0, False, bytes(4)).signature is None


def test_numbers_are_what_their_shortest_text_names():
    assert pair_of_statistic(0.1) == (1, 10)
    assert raised(1, 10) == 2
    evidence = bases()[ENTRY]
    assert age(evidence.now, evidence.now) == 0


def test_every_code_is_either_waived_by_exits_or_not():
    seen = {finding.code for _, verdict in judged() for finding in verdict.findings}

    assert APPLY_TO_EXITS.isdisjoint(WAIVED_BY_EXITS)
    assert seen - CODES <= {"approval_required", "trading_state", "guard_fault"}


def test_a_run_counts_reports_and_shrinks_what_it_finds():
    def careless(evidence: Evidence) -> Verdict:
        verdict = check(evidence)
        common = {"delta_mismatch", "unplanned_outflow", "batch_mismatch", "approval_amount", "chain_id"}
        return changed(verdict, denials=tuple(d for d in verdict.denials if d.code not in common))

    tally = fuzz(SEED, range(60), careless)
    lines = list(report(tally, SEED, 1.0))

    assert tally.evaluations == 60
    assert tally.disagreements >= tally.outcomes[Outcome.VIOLATION] > 0
    assert any(line.startswith("violation: seed 7 case") for line in lines)
    assert {figure.name: figure.value for figure in figures_of(tally, SEED)}["fuzz_violations"] > 0


def test_blocks_of_cases_add_up():
    blocks = list(fuzz_in_processes(seed=SEED, evaluations=30, workers=1))
    total = Tally()
    for block in blocks:
        total.merge(block)

    assert (total.evaluations, total.disagreements) == (30, 0)
