"""Splits an amount over concave venues so that every venue in use ends at the same marginal price.

In the level s = 1 / sqrt(marginal price) the input of every constant-product range is a straight line, so that the
common level follows from one sweep over sorted range ends: no iteration, no tolerance.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final, NamedTuple

ROUNDING: Final = 1e-13
"""Share of the amount by which a sweep may miss it before the level is corrected."""


class Segment(NamedTuple):
    """One range of one venue: between two levels its input grows by `slope` base units per level."""

    start: float
    stop: float
    slope: float

    @property
    def room(self) -> float:
        """What it takes at most, in base units."""
        return self.slope * (self.stop - self.start)


class Filling(NamedTuple):
    """Where the water stands, and what each venue takes and pays there, in base units. `unsold` found no liquidity."""

    price: float
    """Common marginal price, fee included: base units out per base unit in."""
    amounts_in: list[float]
    amounts_out: list[float]
    unsold: float


def fill(venues: Sequence[Sequence[Segment]], amount: float, chosen: Collection[int]) -> Filling:
    """The split of `amount` base units (above 0) over the chosen venues that pays the most.

    `venues[i]` are the segments of venue i by rising level, each starting where or after the one before stops; the
    result has one entry per venue, 0 for those not chosen. Every unit goes to the best marginal price that is left
    (Boyd and Vandenberghe, Convex Optimization, example 5.2), which is optimal because every output is concave.
    Without enough segments all are full and the rest is `unsold`; without any the price is 0.
    """
    segments = [segment for venue in chosen for segment in venues[venue]]
    if not segments:
        nothing = [0.0] * len(venues)
        return Filling(0.0, nothing, list(nothing), amount)
    level, unsold = _sweep(segments, amount)
    amounts_in, amounts_out = [0.0] * len(venues), [0.0] * len(venues)
    for venue in chosen:
        amounts_in[venue], amounts_out[venue] = _exchange(venues[venue], level)
    return Filling(level**-2, amounts_in, amounts_out, unsold)


def _sweep(segments: Sequence[Segment], amount: float) -> tuple[float, float]:
    """The level at which the segments take `amount`, and what they cannot take at all."""
    ends = [(segment.start, segment.slope) for segment in segments]
    ends += [(segment.stop, -segment.slope) for segment in segments]
    ends.sort()
    level, slope, missing = ends[0][0], 0.0, amount
    for end, turn in ends:
        more = slope * (end - level)
        if more >= missing:
            reached = level + missing / slope
            return _corrected(segments, amount, reached, low=level, high=end), 0.0
        missing -= more
        level = end
        slope += turn
    return level, max(amount - sum(segment.room for segment in segments), 0.0)


def _corrected(segments: Iterable[Segment], amount: float, level: float, *, low: float, high: float) -> float:
    """The level without the rounding of a slope that was added to and taken from at every end before."""
    taken = slope = 0.0
    for start, stop, rise in segments:
        if start < level:
            taken += rise * ((stop if stop < level else level) - start)
            if start <= low and stop >= high:
                slope += rise
    missing = amount - taken
    if abs(missing) <= ROUNDING * amount or not slope:
        return level
    return min(max(level + missing / slope, low), high)


def _exchange(segments: Iterable[Segment], level: float) -> tuple[float, float]:
    """What one venue takes and pays up to a level."""
    taken = paid = 0.0
    for start, stop, slope in segments:
        if start >= level:
            break
        reached = stop if stop < level else level
        part = slope * (reached - start)
        taken += part
        paid += part / (reached * start)
    return taken, paid
