"""Processes that share the attacks, each with its own homes, nodes and hostile endpoint."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from multiprocessing.queues import Queue
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any, NoReturn

from chain.world import default_cache
from tests.redteam.arena import Arena, Rules, Stage
from tests.redteam.attack import Attack, Play
from tests.redteam.corpus import Assignment
from tests.redteam.endpoint import Endpoint
from tests.redteam.findings import Rule
from tests.redteam.leaks import ENVIRONMENT
from tests.redteam.player import play
from tests.redteam.report import Result

LONGEST_EXCUSE = 300
ATTACKS_PER_NODE = 250
"""Then the node and its home are made anew: reverted blocks are not wholly forgotten."""
Home = tuple[Rules, Stage]


class Crew:
    """One process's share of the work."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self._folder, self._cache = folder, cache
        self._arenas: dict[Home, Arena] = {}
        self._played: Counter[Home] = Counter()
        self._twins: dict[tuple[Home, Attack], Play] = {}
        self.endpoint = Endpoint()

    def __enter__(self) -> Crew:
        os.environ.update(ENVIRONMENT)
        self.endpoint.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        for arena in self._arenas.values():
            arena.close()
        self.endpoint.__exit__(*error)

    def attack(self, assignment: Assignment) -> Result:
        """What came of it; where it could not even be played, that is said, and its home is thrown away."""
        attack, started = assignment.attack, time.monotonic()
        home = (attack.rules, assignment.stage)
        try:
            played, identical = self._play(attack, home)
        except Exception as error:  # noqa: BLE001  # told as the attack's result, and the next one goes on
            played, identical = Play(unplayable=f"{type(error).__name__}: {error}"[:LONGEST_EXCUSE]), None
            self._close(home)
        return Result(
            case_id=attack.case.id,
            family=attack.case.family,
            where=f"{'+'.join(attack.places)}, {assignment.stage}",
            runs=played.runs,
            chats=played.chats,
            model_calls=played.model_calls,
            broadcasts=len(played.batches),
            identical=identical,
            exposures=played.exposures,
            statuses=tuple(played.statuses),
            failures=tuple(played.failures),
            violations=tuple(map(str, played.violations)),
            leaks=tuple(played.leaks),
            unplayable=played.unplayable,
            seconds=time.monotonic() - started,
        )

    def _play(self, attack: Attack, home: Home) -> tuple[Play, bool | None]:
        """The attack, and whether it led to the same as its twin, where it has one."""
        played, identical = play(attack, self._arena(home), self.endpoint), None
        if attack.is_comparable:
            twin = self._twin(home, attack.twin())
            played.violations += twin.violations  # harmless words must break nothing, either
            identical = not played.differs_from(twin)
            if not identical:
                played.blame(Rule.BATCH_DIFFERS, attack.case.id, "another batch than with a harmless text", "the same")
        if self.endpoint.failures:
            raise RuntimeError(f"the hostile endpoint failed: {self.endpoint.failures.pop()[-LONGEST_EXCUSE:]}")
        return played, identical

    def _arena(self, home: Home) -> Arena:
        self._played[home] += 1
        if self._played[home] % ATTACKS_PER_NODE == 0:
            self._close(home)
        if home not in self._arenas:
            rules, stage = home
            folder = self._folder / f"{rules}-{stage}-{self._played[home]}"
            self._arenas[home] = Arena(folder, cache=self._cache, stage=stage, rules=rules).__enter__()
        return self._arenas[home]

    def _close(self, home: Home) -> None:
        if home in self._arenas:
            self._arenas.pop(home).close()

    def _twin(self, home: Home, twin: Attack) -> Play:
        key = (home, twin)
        if key not in self._twins:
            self._twins[key] = play(twin, self._arena(home), self.endpoint)
        return self._twins[key]


def share_out(assignments: Sequence[Assignment], *, workers: int, seconds: float) -> Iterator[Result]:
    """Results as they come; nothing new is begun after so many seconds. Raises RuntimeError when a worker fails."""
    context = multiprocessing.get_context("spawn")
    results: Queue[Result | str | None] = context.Queue()
    deadline = time.time() + seconds
    shares = [list(assignments[first::workers]) for first in range(workers)]
    processes = [context.Process(target=_work, args=(share, results, deadline)) for share in shares if share]
    for process in processes:
        process.start()
    try:
        yield from _collected(results, len(processes))
    except BaseException:
        for process in processes:
            process.terminate()
        raise
    finally:
        for process in processes:
            process.join()


def _collected(results: Queue[Result | str | None], working: int) -> Iterator[Result]:
    while working:
        found = results.get()
        if isinstance(found, Result):
            yield found
        elif found is None:
            working -= 1
        else:
            raise RuntimeError(f"a worker failed:\n{found}")


def _work(share: Sequence[Assignment], results: Queue[Result | str | None], deadline: float) -> None:
    """Ends its nodes however it ends, a signal included, and says so last. An orphan stops by itself."""
    parent = os.getppid()
    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets it, too, and ends us
    try:
        with TemporaryDirectory(prefix="autofi-redteam-") as folder, Crew(Path(folder), default_cache()) as crew:
            for assignment in share:
                if time.time() > deadline or os.getppid() != parent:
                    break
                results.put(crew.attack(assignment))
    except Exception:  # noqa: BLE001  # handed to the parent, which raises it
        results.put(traceback.format_exc())
    results.put(None)


def leave(number: int, frame: FrameType | None) -> NoReturn:
    """Ends by the ordinary way, through every `finally`."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: closing the nodes must not be interrupted
    sys.exit(128 + number)
