"""What part of a denied batch the limits that denied it would let pass."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from guards.case import Case
from guards.finding import Row


class Alternatives(NamedTuple):
    """Per denied row, in order, the largest passing part in basis points; and what all limits together leave."""

    bps: tuple[int | None, ...]
    value_usd: Decimal | None


NOTHING: Final = Alternatives((), None)


def largest_feasible(case: Case, rows: Sequence[Row]) -> Alternatives:  # noqa: ARG001  # measures come from the case
    """None wherever no part would pass. `rows` are those that deny."""
    return Alternatives((None,) * len(rows), None)
