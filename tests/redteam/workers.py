"""Processes that share the attacks. One that an attack takes down is a finding, and another goes on after it."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import NamedTuple, NoReturn

from app.paper import PaperChain
from chain.world import default_cache
from domain.errors import AutofiError
from tests.redteam.attack import Play
from tests.redteam.corpus import Assignment
from tests.redteam.crew import Crew
from tests.redteam.findings import Rule
from tests.redteam.report import Result, result_of


class Task(NamedTuple):
    """What one process works on: its share from a position on, in a folder of its own, until the deadline."""

    share: Sequence[Assignment]
    first: int
    folder: Path
    deadline: float


Work = Callable[[Task, Connection], None]
"""Sends a position before each attack and its result after it."""


class Member(NamedTuple):
    task: Task
    process: BaseProcess


def work(task: Task, line: Connection) -> None:
    """Ends its nodes however it ends, a signal included. An orphan stops by itself."""
    parent = os.getppid()
    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets it, too, and ends us
    with Crew(task.folder, default_cache()) as crew:
        for position in range(task.first, len(task.share)):
            if time.time() > task.deadline or os.getppid() != parent:
                break
            line.send(position)
            line.send(crew.attack(task.share[position]))


def leave(number: int, frame: FrameType | None) -> NoReturn:
    """Ends by the ordinary way, through every `finally`."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: closing the nodes must not be interrupted
    sys.exit(128 + number)


def share_out(
    assignments: Sequence[Assignment], *, workers: int, seconds: float, work: Work = work
) -> Iterator[Result]:
    """Results as they come; nothing new is begun after so many seconds. Raises RuntimeError for a failed start."""
    shares = [assignments[first::workers] for first in range(workers)]
    with TemporaryDirectory(prefix="autofi-redteam-") as folder:
        team = Team(work)
        try:
            for number, share in enumerate(shares):
                if share:
                    team.start(Task(share, 0, Path(folder) / f"{number}-0", time.time() + seconds))
            yield from team.results()
        finally:
            team.end()


class Team:
    """Processes at work, each on a line of its own: a line that ends says that its process did."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._context = multiprocessing.get_context("spawn")
        self._members: dict[Connection, Member] = {}
        self._begun: dict[Connection, int] = {}

    def start(self, task: Task) -> None:
        task.folder.mkdir()
        ours, theirs = self._context.Pipe(duplex=False)
        process = self._context.Process(target=self._work, args=(task, theirs))
        process.start()
        theirs.close()
        self._members[ours] = Member(task, process)

    def results(self) -> Iterator[Result]:
        while self._members:
            for line in wait(list(self._members)):
                if not isinstance(line, Connection):
                    continue
                try:
                    told = line.recv()
                except EOFError:
                    yield from self._bury(line)
                    continue
                if isinstance(told, Result):
                    yield told
                else:
                    self._begun[line] = told

    def _bury(self, line: Connection) -> Iterator[Result]:
        """The attack that a dead process was at took it down; the rest of its share goes to a new one."""
        task, process = self._members.pop(line)
        line.close()
        process.join()
        if process.exitcode == 0:
            return
        stop_nodes(task.folder)
        if line not in self._begun:
            raise RuntimeError(f"a worker ended with exit code {process.exitcode} before its first attack")
        position = self._begun.pop(line)
        yield _taken_down(task.share[position], process.exitcode)
        after = position + 1
        folder = task.folder.with_name(f"{task.folder.name.partition('-')[0]}-{after}")
        self.start(task._replace(first=after, folder=folder))

    def end(self) -> None:
        """Nobody works on, and no node is left."""
        for task, process in self._members.values():
            process.terminate()
            process.join()
            stop_nodes(task.folder)


def _taken_down(assignment: Assignment, exit_code: int | None) -> Result:
    played = Play(runs=1)
    observed = f"the process ended with exit code {exit_code}"
    played.blame(Rule.CRASH, assignment.attack.case.id, observed, "an error of ours")
    return result_of(assignment, played, identical=None, seconds=0.0)


def stop_nodes(folder: Path) -> None:
    """Of a process that could not do it itself."""
    for home in sorted(folder.glob("*/home")):
        with contextlib.suppress(AutofiError):
            PaperChain.of(home).stop()
