"""How the guards' tests run here: chosen ones, fast ones first, Hypothesis with few and always equal examples."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import pytest
from coverage import Coverage
from hypothesis import HealthCheck, Phase, settings

OPTIONS: Final = ("-q", "-o", "addopts=", "-p", "no:cacheprovider", "-p", "no:logging", "-p", "no:doctest")
QUIET: Final = ("-W", "ignore::pytest.PytestAssertRewriteWarning")
"""Libraries are loaded before pytest could rewrite them, on purpose."""
EXAMPLES: Final = 6
"""Survivors run them all; a fault that only the thousandth example shows deserves a test of its own."""
COLLECTION_SECONDS: Final = 20.0
LEAST_SECONDS: Final = 3.0
TIMES_SLOWER: Final = 10


def run_suite(files: Sequence[str], plugin: object, *options: str) -> int:
    return int(pytest.main([*OPTIONS, *QUIET, *options, *files], plugins=[plugin]))


def _make_quick(items: Sequence[pytest.Item]) -> None:
    """Few examples, the same in every run, and no shrinking of what has already failed."""
    for item in items:
        test = getattr(item, "obj", None)
        current = getattr(test, "_hypothesis_internal_use_settings", None)
        if isinstance(current, settings):
            test._hypothesis_internal_use_settings = settings(  # type: ignore[union-attr]  # a function
                current,
                max_examples=min(current.max_examples, EXAMPLES),
                derandomize=True,
                database=None,
                deadline=None,
                phases=(Phase.explicit, Phase.generate),
                suppress_health_check=list(HealthCheck),
            )


class Recorder:
    """Measures each test and tells coverage whose lines are running; a module's own lines belong to its file."""

    def __init__(self, coverage: Coverage) -> None:
        self.coverage = coverage
        self.seconds: dict[str, float] = {}
        self.failing: set[str] = set()

    def pytest_collectstart(self, collector: pytest.Collector) -> None:
        if isinstance(collector, pytest.Module):
            self.coverage.switch_context(collector.nodeid)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        _make_quick(items)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.coverage.switch_context(item.nodeid)
        start = time.process_time()
        result = yield
        self.seconds[item.nodeid] = time.process_time() - start
        return result

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.failing.add(report.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failing.add(report.nodeid)


class Judge:
    """Runs the tests that reach a mutant in this order, each with so much processor time before it counts as lost."""

    def __init__(self, seconds: Mapping[str, float]) -> None:
        self.seconds = dict(seconds)
        self.rank = {test: rank for rank, test in enumerate(seconds)}
        self.killer: str | None = None

    def pytest_sessionstart(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, COLLECTION_SECONDS)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted((i for i in items if i.nodeid in self.rank), key=lambda item: self.rank[item.nodeid])
        _make_quick(items)

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        signal.setitimer(signal.ITIMER_PROF, LEAST_SECONDS + TIMES_SLOWER * self.seconds[item.nodeid])

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.killer = report.nodeid

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and self.killer is None:
            self.killer = report.nodeid
