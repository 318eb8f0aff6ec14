"""One case through both guards: what they say, whether they agree, and the simplest case where they do not."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final, NamedTuple

from domain.verdict import Evidence, Verdict
from tests.oracle.generator import Recipe
from tests.oracle.limits import Judgement, judge

Check = Callable[[Evidence], Verdict]
BLURRED: Final = frozenset({"batch_mismatch"})
"""Two readings of bytes that nobody can read need not differ in the same place."""
CERTAIN: Final = frozenset({"evidence_invalid", "batch_mismatch"})


class Outcome(StrEnum):
    AGREES = "agrees"
    VIOLATION = "violation"  # check allows what the oracle denies
    OVER_DENIAL = "over_denial"  # check denies what the oracle allows
    CODES = "codes"  # both deny, for other reasons
    FLAGS = "flags"  # one waits for a human or sees an exit where the other does not
    FAULT = "fault"  # both deny, and a guard of check failed inside
    CRASH = "crash"  # check raised: it must answer anything


class Comparison(NamedTuple):
    outcome: Outcome
    judgement: Judgement
    codes: frozenset[str] = frozenset()
    note: str = ""


def compare(evidence: Evidence, check: Check) -> Comparison:
    judgement = judge(evidence)
    try:
        verdict = check(evidence)
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        return Comparison(Outcome.CRASH, judgement, note=repr(error)[:300])
    return compared(judgement, verdict)


def compared(judgement: Judgement, verdict: Verdict) -> Comparison:
    codes = frozenset(denial.code for denial in verdict.denials)
    note = f"exit {verdict.is_exit}, waits {verdict.needs_approval}"
    return Comparison(_outcome(judgement, verdict, codes), judgement, codes, note)


def _outcome(judgement: Judgement, verdict: Verdict, codes: frozenset[str]) -> Outcome:
    if judgement.is_impostor and codes == {"evidence_invalid"}:
        return Outcome.AGREES
    is_allowed = verdict.is_pass and not verdict.needs_approval
    if is_allowed != judgement.allowed:
        return Outcome.VIOLATION if is_allowed else Outcome.OVER_DENIAL
    if "guard_fault" in codes and not judgement.allowed:
        return Outcome.FAULT
    blurred = BLURRED if "undecoded" in codes & judgement.codes else frozenset()
    expected, found = judgement.codes - blurred, codes - blurred
    if not judgement.is_readable:
        return Outcome.AGREES if expected & CERTAIN <= found else Outcome.CODES
    if expected != found:
        return Outcome.CODES
    is_same = (verdict.is_exit, verdict.needs_approval) == (judgement.is_exit, judgement.needs_approval)
    return Outcome.AGREES if is_same else Outcome.FLAGS


def shrunk(recipe: Recipe, check: Check) -> Recipe:
    """The same disagreement with as few steps as possible."""
    outcome = compare(recipe.cook(), check).outcome
    for step in recipe.steps:
        shorter = recipe._replace(steps=tuple(other for other in recipe.steps if other != step))
        if compare(shorter.cook(), check).outcome is outcome:
            return shrunk(shorter, check)
    return recipe
