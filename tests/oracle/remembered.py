"""Digests of objects that never change, remembered by identity: the fuzzer judges the same policy many times."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from domain.market import MarketSnapshot
from domain.plan import RebalancePlan
from domain.policy import Policy

Subject = TypeVar("Subject")
REMEMBERED: Final = 512
UNSPEAKABLE: Final = ""
"""Digest of what canonical JSON cannot say, such as an integer beyond 2^53; nothing names it."""


def _remembering(compute: Callable[[Subject], str]) -> Callable[[Subject], str]:
    """The object is kept with its digest, so that its identity is not given to another one."""
    known: dict[int, tuple[Subject, str]] = {}

    def look_up(subject: Subject) -> str:
        found = known.get(id(subject))
        if found is None:
            if len(known) >= REMEMBERED:
                known.clear()
            found = known[id(subject)] = (subject, _or_nothing(compute, subject))
        return found[1]

    return look_up


def _or_nothing(compute: Callable[[Subject], str], subject: Subject) -> str:
    try:
        return compute(subject)
    except ValueError:
        return UNSPEAKABLE


digest_of_policy: Final = _remembering(Policy.digest)
digest_of_snapshot: Final = _remembering(MarketSnapshot.digest)
digest_of_plan: Final = _remembering(RebalancePlan.batch_digest)
