"""The benchmarks measure what they say: the split of a decision's CPU, memory, and nobody's own settings."""

from __future__ import annotations

import os
import time
from types import SimpleNamespace

import numpy as np
import pytest

import graph.nodes.optimizer
from bench.optimizer import SOLVES, race
from bench.overhead import Stopwatch, mathematics_timed, measure_round
from bench.processes import resident_mib
from bench.run import settle_environment


def burn(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_stopwatch_counts_a_nested_call_once() -> None:
    stopwatch = Stopwatch()
    inner = stopwatch.around(burn)
    outer = stopwatch.around(lambda: inner(0.02))

    outer()
    burn(0.02)

    assert 0.02 <= stopwatch.seconds < 0.04


def test_clocks_are_taken_off_again() -> None:
    before = graph.nodes.optimizer.forecast_aprs

    with mathematics_timed():
        during = graph.nodes.optimizer.forecast_aprs

    assert during is not before
    assert graph.nodes.optimizer.forecast_aprs is before


def test_a_round_splits_a_decision_into_mathematics_and_overhead() -> None:
    measured = measure_round()

    assert 0 < measured.mathematics < measured.whole
    assert measured.overhead == measured.whole - measured.mathematics
    assert measured.bare > 0


def test_memory_of_a_process_is_in_mebibytes() -> None:
    assert 20 < resident_mib(os.getpid()) < 10_000


def test_benchmarks_run_without_a_users_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOFI_MODE", "live")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-own")
    monkeypatch.setenv("AUTOFI_CACHE", "kept")
    monkeypatch.setenv("AUTOFI_DATA", "kept")
    monkeypatch.setenv("AUTOFI_REQUIRE_SERVICES", "kept")
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "8")

    settle_environment()

    ours = {name: value for name, value in os.environ.items() if name.startswith(("AUTOFI_", "OPENAI_"))}
    assert ours == dict.fromkeys(("AUTOFI_CACHE", "AUTOFI_DATA", "AUTOFI_REQUIRE_SERVICES"), "kept")
    assert os.environ["OMP_NUM_THREADS"] == "1"


def test_a_race_reports_the_worst_gap_of_all_days() -> None:
    """Ours reaches 0.75 of a bound of 1 on the first day of the first turn, and the bound on all others."""
    solved: list[float] = []

    def kept(_: object) -> SimpleNamespace:
        solved.append(1.0 if solved else 0.75)
        return SimpleNamespace(weights=np.array([solved[-1]]), certificate=SimpleNamespace(bound=1.0))

    result = race(
        np.zeros((2, 1)),
        kept=kept,
        cold=kept,
        peer=lambda _: np.array([0.5]),
        utility=lambda weights, _: float(weights[0]),
    )

    assert len(solved) > SOLVES
    assert (result.gap, result.peer_gap) == (0.25, 0.5)
