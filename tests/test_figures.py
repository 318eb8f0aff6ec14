"""Measurements are kept as a file for programs and a table for people, and the coverage figure is honest."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path

import pytest

from bench.coverage import coverage_figures, main
from bench.figures import Figure, table, write_figures
from tests.repository import PROJECT

FIGURES = [Figure("decision_cpu_ms", 12.5, "ms", 100, "SQLite"), Figure("runs", 3, "count")]


def test_file_lists_every_field_of_every_figure(tmp_path: Path) -> None:
    target = tmp_path / "build" / "bench.json"

    write_figures(target, FIGURES)

    assert json.loads(target.read_text()) == [
        {"name": "decision_cpu_ms", "value": 12.5, "unit": "ms", "against": 100, "note": "SQLite"},
        {"name": "runs", "value": 3, "unit": "count", "against": None, "note": ""},
    ]


def test_table_shows_the_same_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_figures(tmp_path / "bench.json", FIGURES)

    assert capsys.readouterr().out == table(FIGURES) + "\n"
    assert table(FIGURES).splitlines() == [
        "name             value  unit   against  note",
        "decision_cpu_ms  12.5   ms     100      SQLite",
        "runs             3      count",
    ]


def test_coverage_is_the_share_of_branches_and_notes_it_with_statements() -> None:
    totals = counts(lines=57, branches=36)

    figure, _ = coverage_figures({"totals": totals, "files": {}})

    assert figure.value == 0.9  # 36 / 40
    assert "with statements 0.9300" in figure.note  # (57 + 36) / (60 + 40)
    assert figure.against == PROJECT["tool"]["coverage"]["report"]["fail_under"] / 100


def counts(*, lines: int = 60, branches: int) -> dict[str, int]:
    return {"num_statements": 60, "covered_lines": lines, "num_branches": 40, "covered_branches": branches}


def test_coverage_of_guards_is_of_guards_alone_and_names_what_is_left_out() -> None:
    files = {"guards/risk.py": 40, "guards/case.py": 38, "guards/words.py": 0, "tools/costs.py": 7, "domain/abi.py": 40}
    files = {name: {"summary": counts(branches=branches)} for name, branches in files.items()}

    _, figure = coverage_figures({"totals": counts(branches=36), "files": files})

    assert (figure.name, figure.value, figure.against) == ("coverage_guards", (40 + 38) / 120, 1.0)
    assert figure.note == "branches of guards; left out in: guards/case.py, guards/words.py"


def test_guards_that_were_not_measured_are_not_covered() -> None:
    _, figure = coverage_figures({"totals": counts(branches=36), "files": {}})

    assert figure.value == 0.0


@pytest.mark.parametrize(
    ("core", "guards", "ending"),
    [
        (36, 40, nullcontext()),
        (35, 40, pytest.raises(SystemExit, match=r"at least 0\.9 is required")),
        (36, 39, pytest.raises(SystemExit, match="every branch is required")),
    ],
)
def test_too_few_branches_stop_the_build(tmp_path, monkeypatch, core, guards, ending) -> None:
    report, target = tmp_path / "coverage.json", tmp_path / "test.json"
    files = {"guards/risk.py": {"summary": counts(branches=guards)}}
    report.write_text(json.dumps({"totals": counts(branches=core), "files": files}))
    monkeypatch.setattr("sys.argv", ["coverage", str(report), str(target)])

    with ending:
        main()

    assert target.exists()
