"""Processes that die are findings: the attack they were at is blamed, and the rest is played by another."""

from __future__ import annotations

import os
import signal
from collections import Counter

import pytest

from tests.redteam.arena import Stage
from tests.redteam.attack import Attack, Play
from tests.redteam.case import Case, Family, Place
from tests.redteam.corpus import Assignment
from tests.redteam.report import result_of
from tests.redteam.workers import share_out

DEADLY = "exhaustion-deadly-003"


def assignments(count: int) -> list[Assignment]:
    names = [DEADLY if number == 3 else f"exhaustion-x-{number:03}" for number in range(count)]
    cases = [Case(id=name, family=Family.EXHAUSTION, text="x", places=(Place.NEWS,)) for name in names]
    return [Assignment(Attack(case, case.places), Stage.CASH) for case in cases]


def tell_of(task, line):
    """Plays nothing, and dies of one case as a library does that runs out of stack."""
    for position in range(task.first, len(task.share)):
        line.send(position)
        if task.share[position].attack.case.id == DEADLY:
            os.kill(os.getpid(), signal.SIGSEGV)
        line.send(result_of(task.share[position], Play(runs=1), identical=None, seconds=0.0))


def die_at_once(task, line):
    os._exit(3)


def test_an_attack_that_takes_the_process_down_is_blamed_and_the_others_are_played() -> None:
    results = list(share_out(assignments(8), workers=2, seconds=60, work=tell_of))

    assert Counter(result.case_id for result in results) == {a.attack.case.id: 1 for a in assignments(8)}
    blamed = {result.case_id: result.violations for result in results if result.violations}
    assert list(blamed) == [DEADLY]
    assert "crash" in blamed[DEADLY][0]
    assert f"exit code -{int(signal.SIGSEGV)}" in blamed[DEADLY][0]


def test_a_process_that_never_began_is_an_error_of_the_runner() -> None:
    with pytest.raises(RuntimeError, match="exit code 3 before its first attack"):
        list(share_out(assignments(2), workers=1, seconds=60, work=die_at_once))
