"""The command's own behaviour: what it is asked, what it chooses, and that playing nothing is no success."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.redteam import runner
from tests.redteam.case import Family
from tests.redteam.collected import data_folder
from tests.redteam.runner import LONG, SHORT, choose, form_of, main, parse, select


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_form_must_be_named() -> None:
    with pytest.raises(SystemExit):
        parse([])


def test_the_short_form_fits_into_three_minutes_with_fuzzing_and_mutants() -> None:
    assert form_of(parse(["--short"])) is SHORT
    assert form_of(parse(["--long"])) is LONG
    assert SHORT.seconds <= 90


def test_families_cases_and_a_limit_narrow_what_is_played(tmp_path: Path) -> None:
    options = parse(["--long", "--family", "schema", "--case", "schema-e", "--limit", "3"])

    narrowed = choose(options, select(options, tmp_path))

    assert len(narrowed) == 3
    assert {assignment.attack.case.family for assignment in narrowed} == {Family.SCHEMA_ABUSE}
    assert all("schema-e" in assignment.attack.case.id for assignment in narrowed)


def test_playing_nothing_is_no_success_and_no_figure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runner, "settle_environment", lambda: None)

    ended = main(["--long", "--case", "no case is called so"])

    assert ended == 1
    assert "0 of 0 attacks" in capsys.readouterr().out
    assert not Path("build/redteam.json").exists()


def test_figures_of_a_whole_form_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "settle_environment", lambda: None)
    monkeypatch.setattr(runner, "choose", lambda options, cases: [])
    suite = len(select(parse(["--short"]), data_folder()))

    main(["--short"])

    figures = json.loads(Path("build/redteam.json").read_text())
    assert [entry["name"] for entry in figures] == ["cases", "runs", "broadcasts", "violations", "secrets_leaked"]
    assert [entry["value"] for entry in figures] == [suite, 0, 0, 0, 0]
    assert suite >= figures[0]["against"] == 1_000
    assert [entry["against"] for entry in figures] == [1_000, "2000 in the long form", None, 0, 0]
    assert all("short form: 0 of 0 attacks" in entry["note"] for entry in figures)
