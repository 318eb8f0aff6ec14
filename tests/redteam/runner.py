"""`python -m tests.redteam.runner --short | --long`: attacks the product, prints counts, exits 1 on any violation."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bench.figures import merge_figures
from bench.run import settle_environment
from tests.redteam.case import Case, Family
from tests.redteam.collected import data_folder, read_injections

if TYPE_CHECKING:
    from tests.redteam.corpus import Assignment
    from tests.redteam.report import Tally

TARGET = Path("build/redteam.json")
SHORT_PER_FAMILY = 12
SEED = 20_261_122
WORKERS = 2
PROGRESS_SECONDS = 10.0


class Form(NamedTuple):
    """No attack is begun after so many seconds."""

    name: str
    seconds: float


SHORT = Form("short", 85.0)  # of three minutes, of which fuzzing and mutants have the rest
LONG = Form("long", 6 * 3_600.0)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.redteam.runner", description=__doc__)
    form = parser.add_mutually_exclusive_group(required=True)
    form.add_argument("--short", action="store_true", help="a sample of every family, for CI")
    form.add_argument("--long", action="store_true", help="every case at every place")
    parser.add_argument("--per-family", type=int, default=SHORT_PER_FAMILY, help="size of the short form's sample")
    parser.add_argument("--seed", type=int, default=SEED, help="of the short form's sample")
    parser.add_argument("--family", choices=[*Family], action="append", help="only this family; may be repeated")
    parser.add_argument("--case", help="only cases whose id contains this")
    parser.add_argument("--limit", type=int, help="at most so many attacks")
    parser.add_argument("--workers", type=int, default=WORKERS)
    parser.add_argument("--seconds", type=float, help="begin no attack after so long")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    options, folder = parse(arguments), data_folder()  # before the environment that names it is settled
    settle_environment()
    # Imported only now: numerical libraries read their number of threads when they are loaded.
    from tests.redteam.workers import leave

    signal.signal(signal.SIGTERM, leave)
    started = time.monotonic()
    cases = select(options, folder)
    assignments = choose(options, cases)
    tally = attack(assignments, workers=options.workers, seconds=options.seconds or form_of(options).seconds)
    played, seconds = tally.total("attacks"), time.monotonic() - started
    note = f"{form_of(options).name} form: {played} of {len(assignments)} attacks in {seconds:.0f} s"
    if not (options.family or options.case or options.limit):  # a part of the attacks is no figure of the whole
        merge_figures(TARGET, tally.figures(note, suite=len(cases)))
    sys.stdout.write("\n".join([*tally.lines(), note, ""]))
    return 0 if tally.is_clean and played else 1


def form_of(options: argparse.Namespace) -> Form:
    return SHORT if options.short else LONG


def select(options: argparse.Namespace, folder: Path) -> list[Case]:
    """The suite, narrowed where that was asked."""
    from tests.redteam.corpus import all_cases

    injections = read_injections(folder)
    cases = [case for case in all_cases(injections) if not options.family or case.family in options.family]
    cases = [case for case in cases if not options.case or options.case in case.id]
    say(f"{len(cases)} cases; {injections.absence or 'collected strings included'}")
    return cases


def choose(options: argparse.Namespace, cases: Sequence[Case]) -> list[Assignment]:
    from tests.redteam.corpus import long_form, short_form

    short = short_form(cases, per_family=options.per_family, seed=options.seed)
    return (short if options.short else long_form(cases))[: options.limit]


def attack(assignments: Sequence[Assignment], *, workers: int, seconds: float) -> Tally:
    """Plays all of them and tells how far it is, and of every violation at once."""
    from tests.redteam.report import Tally
    from tests.redteam.workers import share_out

    tally, told = Tally(), time.monotonic()
    for result in share_out(assignments, workers=workers, seconds=seconds):
        tally.add(result)
        for violation in result.violations:
            say(f"{result.case_id} at {result.where}: {violation}")
        if time.monotonic() - told > PROGRESS_SECONDS:
            told = time.monotonic()
            say(f"{tally.total('attacks')} of {len(assignments)} attacks, {tally.total('violations')} violations")
    return tally


def say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
