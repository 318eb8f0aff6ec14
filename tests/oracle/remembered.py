"""Results about objects that never change, kept by identity: the fuzzer meets the same policy many times."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from domain.market import MarketSnapshot
from domain.plan import RebalancePlan
from domain.policy import Policy

Subject = TypeVar("Subject")
Result = TypeVar("Result")
REMEMBERED: Final = 512
UNSPEAKABLE: Final = ""
"""Digest of what canonical JSON cannot say, such as an integer beyond 2^53; nothing names it."""


def remembering(compute: Callable[[Subject], Result]) -> Callable[[Subject], Result]:
    """The object is kept with its result, so that its identity is not given to another one."""
    known: dict[int, tuple[Subject, Result]] = {}

    def look_up(subject: Subject) -> Result:
        found = known.get(id(subject))
        if found is None:
            if len(known) >= REMEMBERED:
                known.clear()
            found = known[id(subject)] = (subject, compute(subject))
        return found[1]

    return look_up


def _spoken(digest: Callable[[Subject], str]) -> Callable[[Subject], str]:
    def or_nothing(subject: Subject) -> str:
        try:
            return digest(subject)
        except ValueError:
            return UNSPEAKABLE

    return or_nothing


digest_of_policy: Final = remembering(_spoken(Policy.digest))
digest_of_snapshot: Final = remembering(_spoken(MarketSnapshot.digest))
digest_of_plan: Final = remembering(_spoken(RebalancePlan.batch_digest))
