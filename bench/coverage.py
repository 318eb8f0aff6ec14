"""Turns coverage.py's JSON report into the figure `coverage_core`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from bench.figures import Figure, write_figures

REQUIRED_SHARE = 0.9
"""The same limit as fail_under in pyproject.toml, which is what stops the build."""


def coverage_figure(report: dict[str, dict[str, float]]) -> Figure:
    """Statements and branches together, as coverage.py counts them; the note splits them."""
    totals = report["totals"]
    covered = totals["covered_lines"] + totals["covered_branches"]
    possible = totals["num_statements"] + totals["num_branches"]
    lines = totals["covered_lines"] / totals["num_statements"]
    branches = totals["covered_branches"] / totals["num_branches"]
    note = f"domain, tools, guards; statements {lines:.4f}, branches {branches:.4f}"
    return Figure("coverage_core", round(covered / possible, 4), "fraction", REQUIRED_SHARE, note)


def main() -> None:
    report, target = (Path(argument) for argument in sys.argv[1:3])
    write_figures(target, [coverage_figure(json.loads(report.read_text()))])


if __name__ == "__main__":
    main()
