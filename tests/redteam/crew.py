"""One process's share of the attacks: its homes, its nodes, its hostile endpoint, and the twins it compares with."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.redteam.arena import Arena, Rules, Stage
from tests.redteam.attack import Attack, Play
from tests.redteam.corpus import Assignment
from tests.redteam.endpoint import Endpoint
from tests.redteam.findings import Rule
from tests.redteam.leaks import ENVIRONMENT
from tests.redteam.player import play
from tests.redteam.report import Result, result_of

LONGEST_EXCUSE = 300
ATTACKS_PER_NODE = 250
"""Then the node and its home are made anew: reverted blocks are not wholly forgotten."""
Home = tuple[Rules, Stage]


class Crew:
    """Plays attacks one after the other; leaving it stops all its nodes."""

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
        return result_of(assignment, played, identical=identical, seconds=time.monotonic() - started)

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
