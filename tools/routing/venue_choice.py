"""Which venues a split uses when each costs a fixed amount of gas: exact, by bounds that need no enumeration.

The value of a set of venues, before gas, is submodular: a venue adds the less, the more others are there. That decides
nearly every venue at once (preservation rules: Goldengorin et al., Data-Correcting Algorithm, 1999); the rest branch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from tools.routing.water_filling import Filling, Ranges, fill

UNSOLD_PENALTY: Final = 1e9
"""What a base unit without liquidity costs, in multiples of the best price, and all gas on top: nothing is worth it."""


def choose_venues(venues: Sequence[Ranges], amount: float, costs: Sequence[float]) -> Filling:
    """The filling whose output after the costs of the venues it uses is the largest; `costs[i]` > 0 in output units.

    At least one venue is used however much it costs. `unsold` is above 0 only when all venues together are too small.
    """
    everything = frozenset(range(len(venues)))
    penalty = UNSOLD_PENALTY * best_price(venues) + sum(costs)
    search = _Search(venues, amount, costs, penalty, best=fill(venues, amount, everything))
    search.fillings[everything] = search.best
    search.explore(frozenset(), everything)
    return search.best


def best_price(venues: Sequence[Ranges]) -> float:
    """Of the first base unit at the best venue, in base units out per base unit in; 0 without liquidity."""
    first = [segment.start for ranges in venues if (segment := ranges.at(0)) is not None]
    return min(first) ** -2 if first else 0.0


@dataclass(slots=True)
class _Search:
    """Depth first; the first descent is greedy, so that its result bounds all others early."""

    venues: Sequence[Ranges]
    amount: float
    costs: Sequence[float]
    penalty: float
    best: Filling
    best_value: float = float("-inf")
    fillings: dict[frozenset[int], Filling] = field(default_factory=dict)

    def explore(self, kept: frozenset[int], open_venues: frozenset[int]) -> None:
        """Find the best set that has all of `kept` and any of `open_venues`."""
        while True:
            filling = self._fill(kept | open_venues)
            used = {venue for venue in kept | open_venues if filling.amounts_in[venue] > 0}
            sure = {venue for venue in used - kept if self._is_sure(venue, filling)}
            kept, open_venues = kept | sure, open_venues - sure
            if used <= kept:
                return self._propose(kept, filling)
            if self._gross(filling) - self._cost(kept) <= self.best_value:
                return None
            poor = self._too_poor(kept, open_venues)
            if not poor:
                break
            open_venues -= poor
        venue = max(used - kept, key=lambda v: filling.amounts_out[v] - self.costs[v])
        self.explore(kept | {venue}, open_venues - {venue})
        self.explore(kept, open_venues - {venue})
        return None

    def _is_sure(self, venue: int, filling: Filling) -> bool:
        """Adds more than its cost to the largest set of all that are open, and so to every smaller one.

        Without it the others would buy what it takes at the common price or worse.
        """
        surplus = filling.amounts_out[venue] - filling.price * filling.amounts_in[venue]
        return not filling.unsold and surplus >= self.costs[venue]

    def _too_poor(self, kept: frozenset[int], open_venues: frozenset[int]) -> set[int]:
        """Venues that do not pay even beside the kept ones alone, and so beside none more."""
        if not kept:
            return set()
        base = self._gross(self._fill(kept))
        return {venue for venue in open_venues if self._gross(self._fill(kept | {venue})) - base <= self.costs[venue]}

    def _propose(self, kept: frozenset[int], filling: Filling) -> None:
        value = self._gross(filling) - self._cost(kept)
        if value > self.best_value:
            self.best, self.best_value = filling, value

    def _fill(self, venues: frozenset[int]) -> Filling:
        if venues not in self.fillings:
            self.fillings[venues] = fill(self.venues, self.amount, venues)
        return self.fillings[venues]

    def _gross(self, filling: Filling) -> float:
        return sum(filling.amounts_out) - self.penalty * filling.unsold

    def _cost(self, venues: frozenset[int]) -> float:
        return sum(self.costs[venue] for venue in venues)
