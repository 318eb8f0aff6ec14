"""The second guard and the fuzzer: both guards agree, and a broken one is found within 1,500 cases."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from functools import cache

import pytest

from domain.stress import StressFamily, scenario_set
from domain.verdict import Denial, Evidence, Verdict
from guards import GUARDS, check
from tests.oracle.bases import bases, markets
from tests.oracle.catalogs import SHIPPED
from tests.oracle.compare import Outcome, compare, compared, shrunk
from tests.oracle.generator import Recipe, recipe
from tests.oracle.limits import APPLY_TO_EXITS, WAIVED_BY_EXITS, Judgement, judge
from tests.oracle.run import BAD, CODES, Tally, figures_of, fuzz, fuzz_in_processes, report
from tests.oracle.sample import calls_of, changed, with_calls
from tests.repository import ROOT

SEED = 7
CASES = 1_500
EXPLOITED = (StressFamily.EXPLOIT, "aave-v3")
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

    assert len(found) > 400
    assert {name: one for name, one in found.items() if not one.judgement.allowed or one.codes} == {}


def test_bases_hang_together_in_every_way_that_a_catalog_can():
    catalogs = [market.catalog for market in markets().values()]
    held = {name: scenario_set(market.before, market.catalog) for name, market in markets().items()}

    assert SHIPPED in catalogs
    assert {decimals.decimals for catalog in catalogs for decimals in catalog.tokens} == {6, 8, 18}
    assert any(len({token.issuer for token in catalog.tokens}) < len(catalog.tokens) for catalog in catalogs)
    assert any(len(strategy.oracles) > 1 for catalog in catalogs for strategy in catalog.strategies)
    assert any(len(catalog.venues_between("usdc", "dai")) > 1 for catalog in catalogs)
    assert any(strategy.factors[:1] == ("aave-v3",) for strategy in SHIPPED.strategies)
    assert (StressFamily.EXPLOIT, "aave-v3") in held["shipped"]


@pytest.mark.parametrize("title", ["entangled", "shipped"])
def test_a_protocol_that_is_only_rested_on_must_be_measured_too(title):
    """A vault names Aave as a factor, and nothing else of the book is in Aave."""
    evidence = bases()[f"deposit usdc, pinned, {title}"]
    resting = changed(evidence.before, positions=evidence.before.positions[-1:] if title == "entangled" else ())
    alone = with_calls(changed(evidence, before=resting), calls_of(evidence))
    unmeasured = tuple(hit for hit in alone.risk_after.stress if (hit.family, hit.subject) != EXPLOITED)

    found = compare(changed(alone, risk_after=changed(alone.risk_after, stress=unmeasured)), check)

    assert (found.outcome, found.judgement.codes >= {"stress_loss"}) == (Outcome.AGREES, True)


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
    assert f"{tally.outcomes[Outcome.FAULT]} fault" in lines[0]
    assert {figure.name: figure.value for figure in figures_of(tally, SEED)}["fuzz_violations"] > 0


def test_blocks_of_cases_add_up():
    blocks = list(fuzz_in_processes(seed=SEED, evaluations=30, workers=1))
    total = Tally()
    for block in blocks:
        total.merge(block)

    assert (total.evaluations, total.disagreements) == (30, 0)
