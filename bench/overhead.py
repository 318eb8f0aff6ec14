"""What we add around a decision: CPU of the machinery without the mathematics, against a bare LangGraph.

Both run in this process by turns, on fresh SQLite files. The mathematics are the calls from `graph` into `tools` and
`guards`; a clock around each of them takes their time out.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from types import FunctionType
from typing import Final, NamedTuple, ParamSpec, TypedDict, TypeVar

from langgraph.graph import END, START, StateGraph

from bench.figures import Figure
from domain.errors import InvariantBroken
from domain.run import RunStatus
from graph.conduct import DURABILITY
from memory.checkpoints import open_checkpointer
from tests.fakes import Treasury

ROUNDS: Final = 9
WARMUP_ROUNDS: Final = 2
BARE_NODES: Final = 12
MAX_OVERHEAD_MS: Final = 100
PURE_PACKAGES: Final = {"tools", "guards"}

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class Round(NamedTuple):
    """CPU seconds of one turn."""

    whole: float
    mathematics: float
    bare: float

    @property
    def overhead(self) -> float:
        return self.whole - self.mathematics


class Stopwatch:
    """CPU seconds within the outermost call of every function it is put around."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._is_running = False

    def around(self, function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
        @wraps(function)
        def timed(*arguments: Parameters.args, **named: Parameters.kwargs) -> Result:
            if self._is_running:
                return function(*arguments, **named)
            self._is_running, start = True, time.thread_time()
            try:
                return function(*arguments, **named)
            finally:
                self.seconds += time.thread_time() - start
                self._is_running = False

        return timed


def overhead_figures() -> list[Figure]:
    rounds = [measure_round() for _ in range(WARMUP_ROUNDS + ROUNDS)][WARMUP_ROUNDS:]
    overhead = statistics.median(each.overhead for each in rounds) * 1e3
    ratio = statistics.median(each.overhead / each.bare for each in rounds)
    whole, mathematics, bare = (statistics.median(column) * 1e3 for column in zip(*rounds, strict=True))
    note = (
        f"median of {ROUNDS}; graph, checkpoints, stores, journal, prompts, offline policy and a fake market; "
        f"without tools and guards ({mathematics:.0f} ms); the whole decision takes {whole:.0f} ms"
    )
    peer = f"{BARE_NODES} empty nodes, same saver and durability, by turns: {bare:.1f} ms"
    return [
        Figure("decision_cpu_ms", round(overhead, 1), "ms", MAX_OVERHEAD_MS, note),
        Figure("decision_cpu_over_bare_graph", round(ratio, 2), "ratio", "bare LangGraph", peer),
    ]


def measure_round() -> Round:
    with tempfile.TemporaryDirectory(prefix="autofi-bench-") as folder:
        whole, mathematics = _decide(Path(folder))
        return Round(whole, mathematics, bare=_walk_bare(Path(folder)))


def _decide(folder: Path) -> tuple[float, float]:
    treasury = Treasury(folder)
    try:
        with mathematics_timed() as stopwatch:
            start = time.process_time()
            status = treasury.conductor.start(treasury.request())
            whole = time.process_time() - start
    finally:
        treasury.close()
    if status is not RunStatus.EXECUTED:
        raise InvariantBroken(f"the measured decision must end {RunStatus.EXECUTED}, it is {status}")
    return whole, stopwatch.seconds


@contextmanager
def mathematics_timed() -> Iterator[Stopwatch]:
    """A clock around every function of the pure packages, at the names by which `graph` calls it."""
    stopwatch = Stopwatch()
    found = [
        (module, name, value)
        for path, module in list(sys.modules.items())
        if path.startswith("graph.")
        for name, value in list(vars(module).items())
        if isinstance(value, FunctionType) and value.__module__.partition(".")[0] in PURE_PACKAGES
    ]
    for module, name, function in found:
        setattr(module, name, stopwatch.around(function))
    try:
        yield stopwatch
    finally:
        for module, name, function in found:
            setattr(module, name, function)


class _Count(TypedDict):
    steps: int


def _walk_bare(folder: Path) -> float:
    saver = open_checkpointer(folder / "bare.db")
    try:
        machine = StateGraph(_Count)
        names = [f"node{number}" for number in range(BARE_NODES)]
        for name in names:
            machine.add_node(name, _step)
        for before, after in zip([START, *names], [*names, END], strict=True):
            machine.add_edge(before, after)
        graph = machine.compile(checkpointer=saver)
        start = time.process_time()
        graph.invoke(_Count(steps=0), {"configurable": {"thread_id": "bare"}}, durability=DURABILITY)
        return time.process_time() - start
    finally:
        saver.conn.close()


def _step(state: _Count) -> _Count:
    return _Count(steps=state["steps"] + 1)
