"""Turns coverage.py's JSON report into two figures, and fails when the core's or the guards' branches are left out."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final, TypedDict

from bench.figures import Figure, write_figures

REQUIRED_SHARE: Final = 0.9
"""The same limit as fail_under in pyproject.toml, which stops the build for statements and branches together."""
REQUIRED_SHARE_OF_GUARDS: Final = 1.0
GUARDS: Final = "guards/"
MOST_NAMED: Final = 5


class Counts(TypedDict):
    """What coverage.py counts of a file, and of all together."""

    covered_lines: int
    covered_branches: int
    num_statements: int
    num_branches: int


class Measured(TypedDict):
    summary: Counts


class Report(TypedDict):
    totals: Counts
    files: dict[str, Measured]


def coverage_figures(report: Report) -> list[Figure]:
    """The share of branches taken; the notes say it with statements, and which guards leave one out."""
    totals, guards = report["totals"], _guards(report)
    left = [name for name, counts in guards.items() if counts["covered_branches"] < counts["num_branches"]]
    note = f"branches of domain, tools, guards; with statements {_with_statements(totals):.4f}"
    gaps = ", ".join(left[:MOST_NAMED]) or "none"
    return [
        Figure("coverage_core", round(_branches([totals]), 4), "fraction", REQUIRED_SHARE, note),
        Figure(
            "coverage_guards",
            _branches(list(guards.values())),
            "fraction",
            REQUIRED_SHARE_OF_GUARDS,
            f"branches of guards; left out in: {gaps}",
        ),
    ]


def _guards(report: Report) -> dict[str, Counts]:
    return {name: file["summary"] for name, file in sorted(report["files"].items()) if name.startswith(GUARDS)}


def _branches(counts: list[Counts]) -> float:
    """Of nothing measured no branch was taken."""
    possible = sum(each["num_branches"] for each in counts)
    return sum(each["covered_branches"] for each in counts) / possible if possible else 0.0


def _with_statements(counts: Counts) -> float:
    covered = counts["covered_lines"] + counts["covered_branches"]
    return covered / (counts["num_statements"] + counts["num_branches"])


def main() -> None:
    report, target = (Path(argument) for argument in sys.argv[1:3])
    core, guards = coverage_figures(json.loads(report.read_text()))
    write_figures(target, [core, guards])
    if core.value < REQUIRED_SHARE:
        sys.exit(f"branch coverage of domain, tools and guards is {core.value}, at least {REQUIRED_SHARE} is required")
    if guards.value < REQUIRED_SHARE_OF_GUARDS:
        sys.exit(f"branch coverage of guards is {guards.value}, every branch is required ({guards.note})")


if __name__ == "__main__":
    main()
