"""Case number n of a seed, always the same: a consistent base and nought to four changes, each with its own dice."""

from __future__ import annotations

from itertools import accumulate
from random import Random
from typing import Final, NamedTuple

from domain.verdict import Evidence
from tests.oracle.bases import bases
from tests.oracle.garbage import plant
from tests.oracle.mutations_bytes import BYTE_MUTATIONS
from tests.oracle.mutations_calls import CALL_MUTATIONS
from tests.oracle.mutations_effects import EFFECT_MUTATIONS
from tests.oracle.mutations_market import MARKET_MUTATIONS
from tests.oracle.mutations_reports import REPORT_MUTATIONS
from tests.oracle.sample import Mutate, calls_of, revalued

WEIGHTED: Final = (*CALL_MUTATIONS, *BYTE_MUTATIONS, *MARKET_MUTATIONS, *EFFECT_MUTATIONS, *REPORT_MUTATIONS)
MUTATIONS: Final[dict[str, Mutate]] = {mutate.__name__: mutate for mutate, _ in (*WEIGHTED, (plant, 0))}
NEED_CALLS: Final = frozenset(mutate.__name__ for mutate, _ in (*CALL_MUTATIONS, *BYTE_MUTATIONS))
MISSTATE_VALUE: Final = frozenset({"change_subject", "plant"})
"""After any other change the report is about the book that it left: else nothing but that would be found."""
NAMES: Final = [mutate.__name__ for mutate, _ in WEIGHTED]
WEIGHTS: Final = list(accumulate(weight for _, weight in WEIGHTED))
CHANGES: Final = (0, 1, 1, 1, 1, 2, 2, 2, 3, 4)
"""How many changes a case has; most have few, so that one limit decides alone."""
GARBAGE_SHARE: Final = 0.06


class Recipe(NamedTuple):
    """What makes a case; dropping a step makes a simpler one."""

    base: str
    steps: tuple[tuple[str, int], ...]
    """Mutation and the seed of its dice."""

    def cook(self) -> Evidence:
        evidence = bases()[self.base]
        for name, seed in self.steps:
            if name not in NEED_CALLS or calls_of(evidence):
                evidence = MUTATIONS[name](Random(seed), evidence)
            if name not in MISSTATE_VALUE:
                evidence = revalued(evidence)
        return evidence


def recipe(seed: int, number: int) -> Recipe:
    rng = Random((seed << 40) | number)
    names = rng.choices(NAMES, cum_weights=WEIGHTS, k=rng.choice(CHANGES))
    if rng.random() < GARBAGE_SHARE:
        names.append("plant")  # last: no other change can work with it
    base = rng.choice(_names())
    return Recipe(base, tuple((name, rng.getrandbits(40)) for name in names))


def _names() -> list[str]:
    found = bases()
    if len(_BASE_NAMES) != len(found):
        _BASE_NAMES.extend(found)
    return _BASE_NAMES


_BASE_NAMES: list[str] = []
