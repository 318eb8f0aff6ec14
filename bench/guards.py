"""What judging costs: CPU of `check` on a large treasury and on the tests' small one, and of two families alone."""

from __future__ import annotations

import time
import timeit
from collections.abc import Callable
from typing import Final

from bench.figures import Figure
from domain.errors import InvariantBroken
from domain.plan import Move
from domain.verdict import Evidence, Verdict
from guards import GUARDS, check
from guards.case import Case
from tests.builders_evidence import DAI, USDC, make_evidence, supply, swap
from tests.builders_wide import make_wide_evidence

ROUNDS: Final = 15
CALLS: Final = 20
MAX_FULL_MS: Final = 5
MAX_BATCH_MS: Final = 0.2
FAMILIES: Final = ("exposure", "allowlist")


def guard_figures() -> list[Figure]:
    wide, small = make_wide_evidence(), make_evidence(_two_moves())
    shown, calls = _passed(wide), len(small.batch.calls)
    _passed(small)
    scenarios = len(wide.risk_after.stress) if wide.risk_after else 0
    story = f"{len(wide.catalog.strategies)} strategies, {scenarios} stress scenarios, {len(shown.findings)} rows"
    method = f"evidence written down and read again each time; best of {ROUNDS} rounds of {CALLS}, as timeit does"
    return [
        Figure("guards_full_cpu_ms", _cpu_ms(lambda: check(wide)), "ms", MAX_FULL_MS, f"{story}; {method}"),
        Figure("guards_small_cpu_ms", _cpu_ms(lambda: check(small)), "ms", None, "the tests' sample treasury"),
        Figure(
            "guards_batch_cpu_ms",
            _cpu_ms(lambda: judge_families(small)),
            "ms",
            MAX_BATCH_MS,
            f"{' and '.join(FAMILIES)} on one batch of {calls} calls",
        ),
    ]


def _two_moves() -> tuple[Move, ...]:
    """Four calls: each move and its approval."""
    return supply(50_000), swap("usdc", "dai", 1_000 * USDC, 996 * DAI)


def judge_families(evidence: Evidence) -> int:
    """Rows that the families write about a case nobody has measured yet."""
    case = Case(evidence)
    return sum(len(GUARDS[family](case)) for family in FAMILIES)


def _passed(evidence: Evidence) -> Verdict:
    """A denied batch would be measured on less, or on more, than one that passes."""
    verdict = check(evidence)
    if not verdict.is_pass:
        raise InvariantBroken(f"the measured batch must pass, it is denied by {verdict.denials}")
    return verdict


def _cpu_ms(measured: Callable[[], object]) -> float:
    """Of the quickest round: what other processes take from the caches is not ours."""
    rounds = timeit.repeat(measured, timer=time.process_time, number=CALLS, repeat=ROUNDS)
    return round(min(rounds) / CALLS * 1e3, 3)
