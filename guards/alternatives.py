"""What part of a denied batch the limits that denied it would let pass."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from domain.units import EXACT
from guards.case import Case
from guards.finding import Row
from guards.lines import Entry, Line, budget_lines, economics_lines, exposure_lines, slippage_lines, stress_lines
from guards.measures import moved_usd

FAMILIES: Final[tuple[Callable[[Case], Iterator[Entry]], ...]] = (
    exposure_lines,
    stress_lines,
    economics_lines,
    slippage_lines,
    budget_lines,
)
"""All other rows ask for facts that no part of a batch changes."""


class Alternatives(NamedTuple):
    """Per denied row, in order, the largest passing part in basis points; and what all limits together leave."""

    bps: tuple[int | None, ...]
    value_usd: Decimal | None


def nothing_feasible(rows: Sequence[Row]) -> Alternatives:
    return Alternatives((None,) * len(rows), None)


def largest_feasible(case: Case, rows: Sequence[Row]) -> Alternatives:
    """None wherever no part would pass. `rows` are those that deny, at least one."""
    lines = {key: line for family in FAMILIES for key, line in family(case)}
    straight = (lines.get((row.code, row.subject)) for row in rows)
    bps = tuple((line.most_bps or None) if line else None for line in straight)
    moved = moved_usd(case)
    if moved is None or not all(bps):
        return Alternatives(bps, None)
    value = EXACT.multiply(moved, Decimal(_within(lines.values())).scaleb(-4))
    return Alternatives(bps, value or None)


def _within(lines: Collection[Line]) -> int:
    """In basis points, 0 for none. Rows that the whole batch passes count too: half a way out may still exceed."""
    part = min(line.most_bps for line in lines if line.most_bps)
    return part if all(line.least_bps <= part for line in lines) else 0
