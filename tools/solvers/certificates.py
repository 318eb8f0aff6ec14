"""The last word on a solver's answer: how far it is from the best possible, by weak duality and our own arithmetic."""

from __future__ import annotations

from typing import Final

from domain.errors import InvariantBroken
from domain.plan import Certificate

MAX_VIOLATION: Final = 1e-7
MAX_GAP: Final = 1e-6
LEAST_SIZE: Final = 1e-4
"""A basis point of what is invested: a gap is judged against no less, a ten-billionth of the whole."""


def is_proven(*, objective: float, bound: float, violation: float, size: float, least_size: float = LEAST_SIZE) -> bool:
    """Whether certify would accept: for those who can solve again in another way."""
    return violation <= MAX_VIOLATION and abs(bound - objective) <= MAX_GAP * max(size, least_size)


def certify(
    solver: str, *, objective: float, bound: float, violation: float, size: float, least_size: float = LEAST_SIZE
) -> Certificate:
    """`bound` is at least the best objective; `size` the larger of the objective's parts, which the gap is held to.

    Raises InvariantBroken when the answer breaks a limit or is not proven to be the best.
    """
    limit = MAX_GAP * max(size, least_size)
    if not violation <= MAX_VIOLATION:  # also catches NaN
        raise InvariantBroken(
            f"{solver}: solver's answer violates a constraint by {violation:.3g}, limit {MAX_VIOLATION:.0e}"
        )
    if not abs(bound - objective) <= limit:
        raise InvariantBroken(f"{solver}: objective {objective:.9g}, proven is at most {bound:.9g}, limit {limit:.1e}")
    gap = max(bound - objective, 0.0)
    return Certificate(solver=solver, objective=objective, bound=bound, gap=gap, violation=violation)
