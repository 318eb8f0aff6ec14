"""One evidence on its way through the guards: whatever is measured on it is measured once."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

from domain.verdict import Evidence

Measured = TypeVar("Measured")


class Case:
    """Evidence and the measures taken of it so far. A measure never changes: evidence is frozen."""

    __slots__ = ("evidence", "taken")

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.taken: dict[Callable[[Case], object], object] = {}


def once(measure: Callable[[Case], Measured]) -> Callable[[Case], Measured]:
    """A measure that each case takes when it is first asked for, and keeps."""

    @wraps(measure)
    def kept(case: Case) -> Measured:
        if measure not in case.taken:
            case.taken[measure] = measure(case)
        return case.taken[measure]  # type: ignore[return-value]  # kept under its own measure

    return kept
