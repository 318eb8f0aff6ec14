"""Which tests run which lines of guards/, recorded once per state of the sources."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from coverage import Coverage

from tests.mutation.mutants import Mutant
from tests.mutation.suite import Recorder, run_suite
from tests.mutation.uses import Line, Uses

IMPORTED: Final = "import"
"""The context of what runs while guards/ is imported."""
OURS: Final = {"guards", "tests", "bench", "graph", "app", "backtest", "collectors", "chain", "memory", "prompts"}
"""Packages that may import guards/, and what the tests bring themselves: nothing of these is loaded ahead."""


class Reach(NamedTuple):
    """What one run of the whole suite showed."""

    seconds: Mapping[str, float]
    """Processor time per test that passes."""
    failing: Sequence[str]
    """Tests that fail without any fault planted: they can judge nothing."""
    lines: Mapping[str, Mapping[str, Sequence[str]]]
    """Per module and line (text, as JSON keys are): tests, or test files whose own lines reach it."""
    libraries: Sequence[str]
    """Modules worth loading ahead."""

    def tests_of(self, mutant: Mutant, uses: Uses) -> dict[str, float]:
        """Seconds of every test that may notice the mutant, fastest first; all of them where nobody can tell."""
        lines = [Line(mutant.key.module, number) for number in mutant.lines]
        touched = self._contexts(lines)
        if IMPORTED in touched:
            touched = self._contexts(uses.lines_of(mutant.names))
            chosen = list(self.seconds) if not touched or IMPORTED in touched else self._tests(touched)
        else:
            chosen = self._tests(touched)
        return {test: self.seconds[test] for test in sorted(chosen, key=self.seconds.__getitem__)}

    def _tests(self, contexts: set[str]) -> list[str]:
        return [test for test in self.seconds if test in contexts or file_of(test) in contexts]

    def _contexts(self, lines: Iterable[Line]) -> set[str]:
        return {context for line in lines for context in self.lines.get(line.module, {}).get(str(line.number), ())}


def file_of(test: str) -> str:
    return test.partition("::")[0]


def read_reach(path: Path) -> Reach:
    return Reach(**json.loads(path.read_text()))


def record_reach(path: Path, *, files: Sequence[str], packages: Path) -> None:
    """In a process of its own, so that this one stays free of guards/."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            _record(path, files=files, packages=packages)
            status = 0
        finally:
            os._exit(status)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0:
        raise RuntimeError("the run of the suite that records lines ended early")


def _record(path: Path, *, files: Sequence[str], packages: Path) -> None:
    coverage = Coverage(data_file=None, config_file=False, include=[str(packages / "*.py")])
    coverage.start()
    coverage.switch_context(IMPORTED)
    for module in sorted(packages.glob("*.py")):
        importlib.import_module(packages.name if module.stem == "__init__" else f"{packages.name}.{module.stem}")
    recorder = Recorder(coverage)
    run_suite(files, recorder, "--continue-on-collection-errors")
    coverage.stop()
    recorded = Reach(
        seconds={test: spent for test, spent in recorder.seconds.items() if test not in recorder.failing},
        failing=sorted(recorder.failing),
        lines=dict(_lines_by_module(coverage, packages)),
        libraries=[name for name in sys.modules if name.partition(".")[0] not in {*OURS, "__main__"}],
    )
    path.write_text(json.dumps(recorded._asdict()))


def _lines_by_module(coverage: Coverage, packages: Path) -> Iterator[tuple[str, dict[str, list[str]]]]:
    measured = coverage.get_data()
    for file in measured.measured_files():
        yield (
            str(Path(file).relative_to(packages.parent)),
            {str(line): contexts for line, contexts in measured.contexts_by_lineno(file).items()},
        )
