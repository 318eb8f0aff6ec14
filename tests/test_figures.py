"""Measurements are kept as a file for programs and a table for people, and the coverage figure is honest."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path

import pytest

from bench.coverage import coverage_figure, main
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
    totals = {"num_statements": 60, "covered_lines": 57, "num_branches": 40, "covered_branches": 36}

    figure = coverage_figure({"totals": totals})

    assert figure.value == 0.9  # 36 / 40
    assert "with statements 0.9300" in figure.note  # (57 + 36) / (60 + 40)
    assert figure.against == PROJECT["tool"]["coverage"]["report"]["fail_under"] / 100


@pytest.mark.parametrize(
    ("covered_branches", "ending"), [(36, nullcontext()), (35, pytest.raises(SystemExit, match="is required"))]
)
def test_too_few_branches_stop_the_build(tmp_path, monkeypatch, covered_branches, ending) -> None:
    report, target = tmp_path / "coverage.json", tmp_path / "test.json"
    totals = {"num_statements": 60, "covered_lines": 60, "num_branches": 40, "covered_branches": covered_branches}
    report.write_text(json.dumps({"totals": totals}))
    monkeypatch.setattr("sys.argv", ["coverage", str(report), str(target)])

    with ending:
        main()

    assert target.exists()
