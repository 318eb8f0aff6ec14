"""`python -m tests.oracle.run --evaluations N`: N cases through both guards; counts and prints where they disagree."""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Final, NamedTuple

from bench.figures import Figure, merge_figures
from guards import check
from tests.oracle.bases import bases
from tests.oracle.compare import Check, Comparison, Outcome, compare, shrunk
from tests.oracle.generator import Recipe, recipe
from tests.oracle.limits import APPLY_TO_EXITS, WAIVED_BY_EXITS
from tests.repository import ROOT

CODES: Final = APPLY_TO_EXITS | WAIVED_BY_EXITS
FIGURES: Final = ROOT / "build" / "redteam.json"
BLOCK: Final = 500
"""Cases that a worker judges before it reports."""
SHOWN: Final = 20
"""Disagreements printed; the rest is only counted."""
BAD: Final = (Outcome.VIOLATION, Outcome.OVER_DENIAL, Outcome.CODES, Outcome.FLAGS, Outcome.CRASH)


class Finding(NamedTuple):
    number: int
    shortest: Recipe
    comparison: Comparison


@dataclass
class Tally:
    """What a number of cases came to."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    alone: Counter[str] = field(default_factory=Counter)
    """How often each code was the only denial, both guards agreeing."""
    seen: Counter[str] = field(default_factory=Counter)
    """How often each code was among the denials, both guards agreeing."""
    allowed: int = 0
    exits: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def evaluations(self) -> int:
        return self.outcomes.total()

    @property
    def disagreements(self) -> int:
        return sum(self.outcomes[outcome] for outcome in BAD)

    def add(self, number: int, made: Recipe, check: Check) -> None:
        found = compare(made.cook(), check)
        self.outcomes[found.outcome] += 1
        self.allowed += found.judgement.allowed
        self.exits += found.judgement.is_exit
        if found.outcome is Outcome.AGREES:
            self.seen.update(found.judgement.codes)
            self.alone.update(found.judgement.codes if len(found.judgement.codes) == 1 else ())
        if found.outcome in BAD and len(self.findings) < SHOWN:
            shortest = shrunk(made, check)
            self.findings.append(Finding(number, shortest, compare(shortest.cook(), check)))

    def merge(self, other: Tally) -> None:
        self.outcomes += other.outcomes
        self.alone += other.alone
        self.seen += other.seen
        self.allowed += other.allowed
        self.exits += other.exits
        self.findings += other.findings


def fuzz(seed: int, numbers: range, judged_by: Check = check) -> Tally:
    tally = Tally()
    for number in numbers:
        tally.add(number, recipe(seed, number), judged_by)
    return tally


def _fuzz_block(block: tuple[int, range]) -> Tally:
    return fuzz(*block)


def collect_rarely() -> None:
    """Cases are short trees without cycles: looking for cycles as often as usual costs a fifth of the time."""
    bases()
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)


def fuzz_in_processes(*, seed: int, evaluations: int, workers: int) -> Iterator[Tally]:
    """Block by block; which worker judges a case changes nothing about it."""
    starts = range(0, evaluations, BLOCK)
    blocks = ((seed, range(start, min(start + BLOCK, evaluations))) for start in starts)
    if workers == 1:
        yield from map(_fuzz_block, blocks)
        return
    with get_context("spawn").Pool(workers, collect_rarely) as pool:
        yield from pool.imap_unordered(_fuzz_block, blocks)


def report(tally: Tally, seed: int, seconds: float) -> Iterator[str]:
    counts = ", ".join(f"{tally.outcomes[outcome]} {outcome.value}" for outcome in (*BAD, Outcome.FAULT))
    yield f"{tally.evaluations} evaluations in {seconds:.0f} s, {tally.evaluations / seconds:.0f} per second: {counts}"
    yield f"allowed by both {tally.allowed}, exits {tally.exits}; each code as the only denial:"
    yield "  " + ", ".join(f"{code} {times}" for code, times in sorted(tally.alone.items()))
    together = {code: tally.seen[code] for code in sorted(CODES - tally.alone.keys())}
    yield "only with others: " + (", ".join(f"{code} {times}" for code, times in together.items()) or "none")
    for found in tally.findings[:SHOWN]:
        yield f"{found.comparison.outcome.value}: seed {seed} case {found.number}, {found.shortest}"
        yield f"  oracle {found.comparison.judgement}"
        yield f"  check {sorted(found.comparison.codes)}, {found.comparison.note}"


def figures_of(tally: Tally, seed: int) -> list[Figure]:
    note = f"against a second guard in exact fractions, seed {seed}"
    return [
        Figure("fuzz_evaluations", tally.evaluations, "cases", None, note),
        Figure(
            "fuzz_violations", tally.outcomes[Outcome.VIOLATION], "cases", 0, "allowed, and forbidden by the oracle"
        ),
        Figure(
            "fuzz_over_denials", tally.outcomes[Outcome.OVER_DENIAL], "cases", 0, "denied, and allowed by the oracle"
        ),
        Figure("fuzz_crashes", tally.outcomes[Outcome.CRASH], "cases", 0, "check raised"),
        Figure("fuzz_faults", tally.outcomes[Outcome.FAULT], "cases", None, "denied because a guard failed inside"),
    ]


def tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evaluations", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    chosen = parser.parse_args()
    tally, start = Tally(), time.monotonic()
    blocks = fuzz_in_processes(seed=chosen.seed, evaluations=chosen.evaluations, workers=chosen.workers)
    for done, block in enumerate(blocks, start=1):
        tally.merge(block)
        if done % 40 == 0:
            rate = tally.evaluations / (time.monotonic() - start)
            tell(f"{tally.evaluations} judged, {rate:.0f} per second, {tally.disagreements} disagree")
    for line in report(tally, chosen.seed, time.monotonic() - start):
        tell(line)
    merge_figures(FIGURES, figures_of(tally, chosen.seed))
    return 1 if tally.disagreements else 0


if __name__ == "__main__":
    sys.exit(main())
