"""What part of a denied batch the limits that denied it would let pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Final, NamedTuple

from domain.units import EXACT
from guards.case import Case
from guards.finding import Row
from guards.lines import Entry, Line, budget_lines, economics_lines, exposure_lines, slippage_lines, stress_lines
from guards.measures import moved_usd

LINES: Final[Mapping[str, Callable[[Case], Iterator[Entry]]]] = MappingProxyType(
    {
        "exposure": exposure_lines,
        "risk": stress_lines,
        "economics": economics_lines,
        "slippage": slippage_lines,
        "budgets": budget_lines,
    }
)
"""By guard. The others ask for facts that no part of a batch changes."""


class Alternatives(NamedTuple):
    """Per denied row, in order, the largest passing part in basis points; and what all limits together leave."""

    bps: tuple[int | None, ...]
    value_usd: Decimal | None


def nothing_feasible(rows: Sequence[Row]) -> Alternatives:
    return Alternatives((None,) * len(rows), None)


def largest_feasible(case: Case, rows: Sequence[Row]) -> Alternatives:
    """None wherever no part would pass. `rows` are those that deny."""
    if not rows:
        return nothing_feasible(rows)
    families = {guard: dict(LINES[guard](case)) for guard in {row.guard for row in rows} & LINES.keys()}
    lines = (families.get(row.guard, {}).get((row.code, row.subject)) for row in rows)
    bps = tuple((line.most_bps or None) if line else None for line in lines)
    if not all(bps):
        return Alternatives(bps, None)
    families |= {guard: dict(lines_of(case)) for guard, lines_of in LINES.items() if guard not in families}
    part, moved = _within([line for family in families.values() for line in family.values()]), moved_usd(case)
    return Alternatives(bps, EXACT.multiply(moved, Decimal(part).scaleb(-4)) if moved and part else None)


def _within(lines: Sequence[Line]) -> int:
    """In basis points, 0 for none. Rows that the whole batch passes count too: half a way out may still exceed."""
    part = min((line.most_bps for line in lines if line.before <= 0), default=0)
    return part if all(line.least_bps <= part for line in lines) else 0
