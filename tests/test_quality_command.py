"""`make quality` as a command: what it cannot score it skips or refuses in one line, and old figures never stay."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench import quality
from tests.market_data import LENDING
from tests.test_quality_scores import write_market
from tests.test_risk_prices import START, write_prices

pytest.importorskip("pyarrow", reason="Parquet files need pyarrow")


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Figures of an older run are there already."""
    for name in quality.THREADS:
        monkeypatch.setenv(name, "1")
    path = tmp_path / "quality.json"
    path.write_text("[]")
    monkeypatch.setattr(quality, "TARGET", path)
    return path


def run(monkeypatch: pytest.MonkeyPatch, data: Path, test: Path) -> None:
    monkeypatch.setattr("sys.argv", ["quality", "--data", str(data), "--test", str(test)])
    quality.main()


def refused(monkeypatch: pytest.MonkeyPatch, data: Path, test: Path) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(monkeypatch, data, test)
    assert stopped.value.code == 2


def test_nothing_to_score_is_refused_and_older_figures_are_gone(
    tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_prices(tmp_path / "data", ["BTC"], 200)
    later = write_prices(tmp_path / "later", ["BTC"], 150, start=START + timedelta(days=200))

    refused(monkeypatch, data, later)

    assert "nothing was scored" in capsys.readouterr().err
    assert not target.exists()


def test_table_without_a_row_is_skipped(
    tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_market(tmp_path / "data", np.full(60, 0.5), np.ones(60))
    later = write_market(tmp_path / "later", np.full(60, 0.5), np.ones(60), first="2024-03-01")
    pd.read_parquet(later / LENDING).head(0).to_parquet(later / LENDING)

    refused(monkeypatch, data, later)

    assert f"skipped: {later / LENDING} has no row" in capsys.readouterr().out
    assert not target.exists()


def test_market_of_two_asset_classes_is_refused_in_one_line(
    tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_market(tmp_path / "data", np.full(60, 0.5), np.ones(60))
    later = write_market(tmp_path / "later", np.full(60, 0.5), np.ones(60), first="2024-03-01")
    pd.read_parquet(later / LENDING).assign(asset_class="other").to_parquet(later / LENDING)

    refused(monkeypatch, data, later)

    assert capsys.readouterr().err == "market made:USDC is in 2 groups; a market belongs to one group\n"
    assert not target.exists()


def test_file_that_is_no_table_is_refused(
    tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_market(tmp_path / "data", np.full(60, 0.5), np.ones(60))
    (data / LENDING).write_text("no table")

    refused(monkeypatch, data, data)

    assert f"{data / LENDING} is no readable Parquet file" in capsys.readouterr().err
    assert not target.exists()
