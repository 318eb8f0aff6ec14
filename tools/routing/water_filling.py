"""Splits an amount over concave venues so that every venue in use ends at the same marginal price.

In the level s = 1 / sqrt(marginal price) the input of every constant-product range is a straight line, so that the
common level follows from one sweep over the ends of ranges: no iteration, no tolerance.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from heapq import heapify, heappop, heapreplace
from typing import Final, NamedTuple

INFINITY: Final = float("inf")
"""The level at which a base unit is worth nothing."""


class Segment(NamedTuple):
    """One range of one venue: between two levels its input grows by `slope` base units per level."""

    start: float
    stop: float
    slope: float

    @property
    def room(self) -> float:
        """What it takes at most, in base units."""
        return self.slope * (self.stop - self.start)

    def exchange(self, base: float, rise: float) -> tuple[float, float]:
        """What it takes and pays up to the level base + rise, which is within it; exact for the smallest rise."""
        taken = self.slope * (rise - (self.start - base))
        return taken, taken / (self.start * (base + rise))


class Ranges:
    """Segments of one venue by rising level, each found when the water first comes near it."""

    def __init__(self, segments: Iterable[Segment]) -> None:
        self._rest: Iterator[Segment] = iter(segments)
        self._found: list[Segment] = []

    def at(self, position: int) -> Segment | None:
        """None behind the last one."""
        while len(self._found) <= position:
            segment = next(self._rest, None)
            if segment is None:
                return None
            self._found.append(segment)
        return self._found[position]


class Filling(NamedTuple):
    """What each venue takes and pays, in base units; `unsold` found no liquidity."""

    price: float
    """Common marginal price, fee included: base units out per base unit in; 0 without liquidity."""
    amounts_in: list[float]
    amounts_out: list[float]
    full: list[bool]
    """Venues that can take no more."""
    unsold: float


def fill(venues: Sequence[Ranges], amount: float, chosen: Iterable[int]) -> Filling:
    """The split of `amount` base units (above 0) over the chosen venues that pays the most.

    Every unit goes to the best marginal price that is left (Boyd and Vandenberghe, Convex Optimization, example 5.2),
    which is optimal because every output is concave. The result has one entry per venue, 0 for those not chosen. When
    all are full the rest is `unsold`.
    """
    taken, paid, full = [0.0] * len(venues), [0.0] * len(venues), [True] * len(venues)
    positions = [0] * len(venues)
    open_segments: dict[int, Segment] = {}
    first = [(segment.start, venue) for venue in chosen if (segment := venues[venue].at(0)) is not None]
    base = min(first)[0] if first else INFINITY
    ends = [(start - base, venue) for start, venue in first]
    heapify(ends)
    rise, slope, missing = 0.0, 0.0, amount  # the level is base + rise: dust would drown in the rounding of a sum
    while ends:
        end, venue = ends[0]  # where the next segment opens or closes
        more = slope * (end - rise)
        if more >= missing:
            rise += missing / slope
            missing = 0.0
            break
        missing -= more
        rise = end
        if venue in open_segments:
            _settle(venue, open_segments.pop(venue).exchange(base, end), taken, paid)
            positions[venue] += 1
        _follow(venues[venue].at(positions[venue]), base, venue, open_segments, ends)
        slope = sum([segment.slope for segment in open_segments.values()])
    for venue, segment in open_segments.items():
        _settle(venue, segment.exchange(base, rise), taken, paid)
    for _, venue in ends:
        full[venue] = False
    return Filling((base + rise) ** -2, taken, paid, full, missing)


def _settle(venue: int, exchange: tuple[float, float], taken: list[float], paid: list[float]) -> None:
    taken[venue] += exchange[0]
    paid[venue] += exchange[1]


def _follow(
    segment: Segment | None, base: float, venue: int, open_segments: dict[int, Segment], ends: list[tuple[float, int]]
) -> None:
    """Replace the first end by the venue's next one: the segment's stop once it is open, its start before."""
    if segment is None:
        heappop(ends)
    elif segment.start - base > ends[0][0]:
        heapreplace(ends, (segment.start - base, venue))
    else:
        open_segments[venue] = segment
        heapreplace(ends, (segment.stop - base, venue))
