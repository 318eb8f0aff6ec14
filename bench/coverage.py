"""Turns coverage.py's JSON report into the figure `coverage_core`, and fails when too few branches are taken."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from bench.figures import Figure, write_figures

REQUIRED_SHARE = 0.9
"""The same limit as fail_under in pyproject.toml, which stops the build for statements and branches together."""


def coverage_figure(report: dict[str, dict[str, float]]) -> Figure:
    """The share of branches taken; the note says it together with statements, as coverage.py's own limit counts."""
    totals = report["totals"]
    covered = totals["covered_lines"] + totals["covered_branches"]
    possible = totals["num_statements"] + totals["num_branches"]
    branches = totals["covered_branches"] / totals["num_branches"]
    note = f"branches of domain, tools, guards; with statements {covered / possible:.4f}"
    return Figure("coverage_core", round(branches, 4), "fraction", REQUIRED_SHARE, note)


def main() -> None:
    report, target = (Path(argument) for argument in sys.argv[1:3])
    figure = coverage_figure(json.loads(report.read_text()))
    write_figures(target, [figure])
    if figure.value < REQUIRED_SHARE:
        sys.exit(
            f"branch coverage of domain, tools and guards is {figure.value}, at least {REQUIRED_SHARE} is required"
        )


if __name__ == "__main__":
    main()
