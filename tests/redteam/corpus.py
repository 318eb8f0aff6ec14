"""Every attack there is to play, and which of them a short or a long form plays."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import NamedTuple

from tests.redteam.arena import Stage
from tests.redteam.attack import Attack
from tests.redteam.case import Case, Family, Place
from tests.redteam.cases import CASES
from tests.redteam.collected import Injections
from tests.redteam.forgeries import FORGERIES


class Assignment(NamedTuple):
    """One attack and what the treasury holds when it begins."""

    attack: Attack
    stage: Stage


def forged_cases() -> tuple[Case, ...]:
    """Somebody writes into the checkpoint of a waiting run; a deceived approver says yes, or nobody does."""
    return tuple(
        Case(
            id=f"{Family.MEMORY_POISONING}-forged-{forgery.name}{'-approved' if answer else ''}",
            family=Family.MEMORY_POISONING,
            places=(Place.MEMORY,),
            needs_approval=True,
            answer=answer,
            forgery=forgery.name,
        )
        for forgery in FORGERIES
        for answer in ("", "approve")
    )


def long_form(cases: Sequence[Case]) -> list[Assignment]:
    """Every case at every place of its own; the two books in turn."""
    attacks = [Attack(case, (place,)) for case in cases for place in dict.fromkeys(case.places)]
    stages = tuple(Stage)
    return [Assignment(attack, stages[index % len(stages)]) for index, attack in enumerate(attacks)]


def short_form(cases: Sequence[Case], *, per_family: int, seed: int) -> list[Assignment]:
    """A sample of each family, each case at all its places at once, families in turn."""
    dice = random.Random(seed)
    by_family: dict[Family, list[Case]] = defaultdict(list)
    for case in cases:
        by_family[case.family].append(case)
    samples = [dice.sample(family, min(per_family, len(family))) for family in by_family.values()]
    attacks = [Attack(case, case.places) for case in _in_turn(samples)]
    stages = tuple(Stage)
    return [Assignment(attack, stages[index // len(by_family) % 2]) for index, attack in enumerate(attacks)]


def _in_turn(samples: Sequence[Sequence[Case]]) -> Iterator[Case]:
    return (case for row in zip_longest(*samples) for case in row if case is not None)


def all_cases(injections: Injections) -> tuple[Case, ...]:
    return (*CASES, *forged_cases(), *injections.cases)
