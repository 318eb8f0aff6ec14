"""The command: plant every mutant of guards/ (or a sample), judge, report; exit 1 on an unlisted survivor.

python -m tests.mutation.run [--module guards/exposure.py] [--sample N --seed S] [--workers 2] [--fresh]
"""

from __future__ import annotations

import argparse
import fcntl
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tests.mutation.equivalent import LIST, read_equivalent
from tests.mutation.judge import Outcome, judge, load_ahead
from tests.mutation.ledger import Ledger, Sources
from tests.mutation.mutants import Key, Mutant, mutants_of
from tests.mutation.reach import Reach, read_reach, record_reach
from tests.mutation.report import Findings, write_report
from tests.mutation.snapshot import take_snapshot
from tests.mutation.uses import Uses
from tests.mutation.vocabulary import read_vocabulary
from tests.mutation.workers import share_out
from tests.repository import ROOT

SNAPSHOT: Final = ROOT / "build" / "mutation" / "tree"
SUITE: Final = (
    "tests/test_guards_*.py",
    "tests/test_decode*.py",
    "tests/test_registry.py",
    "tests/test_words.py",
    "tests/test_alternatives.py",
    "tests/test_what_if.py",
    "tests/test_breakers.py",
    "tests/test_last_look.py",
)
LEFT_OUT: Final = {"tests/test_guards_properties.py", "tests/test_guards_bench.py"}
"""Drawn examples kill by luck and take two thirds of the time: a fault deserves a test that names it."""
ENVIRONMENT: Final = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",  # whether a mutant that forgets to sort is noticed must not depend on luck
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
}


def main(arguments: Sequence[str]) -> int:
    options = _parse(arguments)
    if (ROOT.name, ROOT.parent.name) != (SNAPSHOT.name, SNAPSHOT.parent.name):
        return _run_in_snapshot(arguments)
    files = sorted({str(path.relative_to(ROOT)) for pattern in SUITE for path in ROOT.glob(pattern)} - LEFT_OUT)
    kept = ROOT.parent
    sources = Sources(ROOT)
    mutants = _choose(options)
    reach = _reach(kept / f"reach-{sources.digest()}.json", files)
    ledger = Ledger(kept / "results.json", sources)
    outcomes = {} if options.fresh else {m.key: found for m in mutants if (found := ledger.find(m.key))}
    for key, outcome in _judge([m for m in mutants if m.key not in outcomes], reach, workers=options.workers):
        outcomes[key] = outcome
        ledger.keep(key, outcome)
    ledger.write()
    everything = {m.key for m in _all_mutants()}
    findings = Findings(outcomes, read_equivalent(LIST.read_text()), everything, reach.failing)
    figures = None if options.module else kept.parent / "redteam.json"
    return write_report(findings, figures, is_sample=len(outcomes) < len(everything))


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation.run", description=__doc__)
    parser.add_argument("--module", action="append", default=[], help="judge this module only; may be repeated")
    parser.add_argument("--sample", type=int, help="judge so many mutants, drawn by the seed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--fresh", action="store_true", help="judge again what earlier runs found")
    return parser.parse_args(arguments)


def _run_in_snapshot(arguments: Sequence[str]) -> int:
    SNAPSHOT.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, **ENVIRONMENT}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # every child would compile the tests again
    command = [sys.executable, "-m", "tests.mutation.run", *arguments]
    with (SNAPSHOT.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second run waits: both would write the snapshot and the results
        take_snapshot(SNAPSHOT)
        return subprocess.run(command, cwd=SNAPSHOT, env=environment, check=False).returncode


def _all_mutants() -> list[Mutant]:
    paths = sorted((ROOT / "guards").glob("*.py"))
    vocabulary = read_vocabulary([*paths, *(ROOT / "domain").glob("*.py")])
    return [m for path in paths for m in mutants_of(str(path.relative_to(ROOT)), path.read_text(), vocabulary)]


def _choose(options: argparse.Namespace) -> list[Mutant]:
    mutants = [m for m in _all_mutants() if not options.module or m.key.module in options.module]
    if options.sample is None or options.sample >= len(mutants):
        return mutants
    drawn = random.Random(options.seed).sample(range(len(mutants)), options.sample)
    return [mutants[index] for index in sorted(drawn)]


def _reach(path: Path, files: Sequence[str]) -> Reach:
    if not path.exists():
        for older in path.parent.glob("reach-*.json"):
            older.unlink()
        record_reach(path, files=files, packages=ROOT / "guards")
    return read_reach(path)


def _judge(mutants: Sequence[Mutant], reach: Reach, *, workers: int) -> Iterator[tuple[Key, Outcome]]:
    if mutants:
        load_ahead(reach)
    uses = Uses({str(path.relative_to(ROOT)): path.read_text() for path in (ROOT / "guards").glob("*.py")})

    def run(share: Sequence[Mutant]) -> Iterator[tuple[Key, Outcome]]:
        return zip((mutant.key for mutant in share), judge(share, reach, uses, root=ROOT), strict=True)

    return share_out(mutants, run, workers=workers)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
