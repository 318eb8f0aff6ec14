"""What a run found, as a table per module and a line per survivor, and two figures in build/redteam.json."""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.figures import Figure
from tests.mutation.equivalent import stale_entries
from tests.mutation.judge import Fate, Outcome
from tests.mutation.mutants import Key

LISTED = "listed"
COLUMNS = (Fate.KILLED, Fate.TIMEOUT, LISTED, Fate.SURVIVED)


class Findings(NamedTuple):
    """Everything that decides how a run ends."""

    outcomes: Mapping[Key, Outcome]
    listed: Mapping[Key, str]
    everything: Collection[Key]
    """Keys of all mutants, judged in this run or not."""
    failing: Sequence[str]
    """Tests that fail without any mutant."""

    def survivors(self) -> list[Key]:
        return [key for key, found in self.outcomes.items() if found.fate is Fate.SURVIVED and key not in self.listed]

    def stale(self) -> dict[Key, str]:
        killed = {key for key, found in self.outcomes.items() if found.fate is not Fate.SURVIVED}
        return stale_entries(self.listed, planted=self.everything, killed=killed)


def write_report(findings: Findings, figures: Path | None, *, is_sample: bool) -> int:
    """The exit code: 0 only where every survivor is listed, every entry fits and every test passes without a fault."""
    survivors, note = findings.survivors(), _sentence(findings, is_sample=is_sample)
    sys.stdout.write("\n".join([*_table(findings), *_problems(findings), note, ""]))
    if figures is not None:
        _merge(
            figures,
            [
                Figure("mutants", len(findings.outcomes), "mutants", None, note),
                Figure("mutants_surviving", len(survivors), "mutants", 0, note),
            ],
        )
    return 1 if survivors or findings.stale() or findings.failing else 0


def _table(findings: Findings) -> Iterator[str]:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for key, found in findings.outcomes.items():
        is_listed = found.fate is Fate.SURVIVED and key in findings.listed
        counts[key.module][LISTED if is_listed else found.fate] += 1
    yield f"{'module':28}{'mutants':>10}" + "".join(f"{column:>10}" for column in COLUMNS)
    for module, count in sorted(counts.items()):
        yield f"{module:28}{count.total():>10}" + "".join(f"{count[column]:>10}" for column in COLUMNS)


def _problems(findings: Findings) -> Iterator[str]:
    yield from (f"survives: {key.module} {key}" for key in findings.survivors())
    yield from (f"stale entry, {reason}: {key.module} {key}" for key, reason in findings.stale().items())
    yield from (f"fails without any mutant: {test}" for test in findings.failing)


def _sentence(findings: Findings, *, is_sample: bool) -> str:
    extent = f"a sample of {len(findings.everything)}" if is_sample else "all"
    listed = sum(found.fate is Fate.SURVIVED and key in findings.listed for key, found in findings.outcomes.items())
    return f"{len(findings.outcomes)} mutants of guards/ ({extent}); {listed} survivors listed with a reason"


def _merge(path: Path, figures: Sequence[Figure]) -> None:
    """Into what others have measured: only our two names are replaced."""
    names = {figure.name for figure in figures}
    measured = json.loads(path.read_text()) if path.exists() else []
    kept = [entry for entry in measured if entry["name"] not in names]
    path.write_text(json.dumps([*kept, *(figure._asdict() for figure in figures)], indent=2) + "\n")
