"""Where to sell: the exact split of one amount over Uniswap v3 pools and constant-product pairs.

A pool is used only when what it adds pays for its own gas; amounts are integers and their outputs are what the
contracts will pay, to the digit, at the block of the pool states.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from domain.errors import Infeasible, InvariantBroken, StaleOrDisputed
from domain.pools import PairPool, TickPool
from tools.routing.pair_pool import pair_pool_output, pair_pool_segments
from tools.routing.tick_pool import tick_pool_output, tick_pool_segments
from tools.routing.venue_choice import best_price, choose_venues
from tools.routing.water_filling import Filling, Ranges, Segment

Pool = TickPool | PairPool

MAX_POOLS: Final = 10
MAX_AMOUNT_IN: Final = 2**128 - 1
CAPACITY_MARGIN: Final = 1e-9
"""A pool is never filled to its last unit: at the end of its liquidity floats and the contract differ by less."""

DUST: Final = 1e9
"""Below so many roundings of a leg an order is so small that rounding decides: every pool is then asked alone too."""


class RouteLeg(NamedTuple):
    """One swap of a route, in base units."""

    venue: str
    amount_in: int
    amount_out: int


class Route(NamedTuple):
    """Legs by falling amount; their amounts_in add up to the order."""

    legs: tuple[RouteLeg, ...]
    gas_cost: int
    """Of all legs, in base units of what is bought."""

    @property
    def amount_in(self) -> int:
        return sum(leg.amount_in for leg in self.legs)

    @property
    def amount_out(self) -> int:
        return sum(leg.amount_out for leg in self.legs)

    def net(self) -> int:
        return self.amount_out - self.gas_cost

    def is_paid(self) -> bool:
        """A swap for nothing would revert."""
        return all(leg.amount_out for leg in self.legs)


def split_swap(
    pools: Sequence[Pool], *, token_in: str, token_out: str, amount_in: int, gas_costs: Mapping[str, int] | None = None
) -> Route:
    """The route that pays the most of token_out after gas for exactly `amount_in` base units of token_in.

    `gas_costs` is what a swap at each venue costs, in base units of token_out; a venue that is not named is free.
    Water-filling over marginal prices (Angeris et al., Optimal Routing for Constant Function Market Makers, 2022),
    with the used pools chosen exactly; outputs are those of the contracts. Short of the convex optimum by what
    contracts round, about one base unit of both tokens for each range crossed, and by the rounding of 64-bit floats,
    which is of second order.

    Raises Infeasible when the pools together cannot take the amount or pay nothing for it, UnknownSubject for a pool
    of other tokens, StaleOrDisputed for pool states of different blocks, InvariantBroken for an amount that is
    not a whole number within 1..2^128-1, a cost that is negative or not whole, no pool, more than MAX_POOLS of them,
    or one venue twice.
    """
    costs = [(gas_costs or {}).get(pool.venue, 0) for pool in pools]
    _check_order(pools, token_in, token_out, amount_in, costs)
    venues = [Ranges(pool_segments(pool, token_in)) for pool in pools]
    least_cost = 1 + best_price(venues)  # a leg rounds one base unit of both tokens
    filling = choose_venues(venues, float(amount_in), [max(cost, least_cost) for cost in costs])
    if filling.unsold > 0:
        room, names = int(sum(filling.amounts_in)), ", ".join(pool.venue for pool in pools)
        raise Infeasible(f"venues {names} together take about {room} base units of {token_in}, not {amount_in}")
    route = _route(pools, costs, token_in, whole_amounts(filling, amount_in))
    if route.is_paid() and route.amount_out >= DUST * least_cost:
        return route
    singles = _single_routes(pools, costs, token_in, amount_in)
    sound = [candidate for candidate in (route, *singles) if candidate.is_paid()]
    if not sound:
        raise Infeasible(f"{amount_in} base units of {token_in} are too few to buy one of {token_out}")
    return max(sound, key=Route.net)


def _route(pools: Sequence[Pool], costs: Sequence[int], token_in: str, amounts: Sequence[int]) -> Route:
    used = [(pool, cost, amount) for pool, cost, amount in zip(pools, costs, amounts, strict=True) if amount]
    legs = [RouteLeg(pool.venue, amount, pool_output(pool, token_in, amount)) for pool, _, amount in used]
    legs.sort(key=lambda leg: -leg.amount_in)
    return Route(tuple(legs), sum(cost for _, cost, _ in used))


def _single_routes(pools: Sequence[Pool], costs: Sequence[int], token_in: str, amount_in: int) -> Iterator[Route]:
    """The whole amount at each pool that can take it."""
    for pool, cost in zip(pools, costs, strict=True):
        try:
            yield _route([pool], [cost], token_in, [amount_in])
        except Infeasible:
            continue


def pool_output(pool: Pool, token_in: str, amount_in: int) -> int:
    """Exact base units that one pool pays for `amount_in`; 0 for 0. Raises Infeasible, UnknownSubject."""
    zero_for_one = pool.sells_token_0(token_in)
    if isinstance(pool, TickPool):
        return tick_pool_output(pool, amount_in, zero_for_one=zero_for_one)
    return pair_pool_output(pool, amount_in, zero_for_one=zero_for_one)


def pool_segments(pool: Pool, token_in: str) -> Iterator[Segment]:
    """Ranges of the pool in the direction of a sale of token_in, best price first. Raises UnknownSubject.

    None without liquidity; fewer where liquidity or knowledge of it ends.
    """
    zero_for_one = pool.sells_token_0(token_in)
    if isinstance(pool, TickPool):
        return tick_pool_segments(pool, zero_for_one=zero_for_one)
    return pair_pool_segments(pool, zero_for_one=zero_for_one)


def whole_amounts(filling: Filling, total: int) -> list[int]:
    """What each venue takes as integers that add up to `total`: rounded, the remainder to the largest with room."""
    pairs = list(zip(filling.amounts_in, filling.full, strict=True))
    amounts = [round(share * (1 - CAPACITY_MARGIN) if full else share) for share, full in pairs]
    roomy = [venue for venue, (share, full) in enumerate(pairs) if share > 0 and not full]
    largest = max(roomy or range(len(amounts)), key=amounts.__getitem__)
    amounts[largest] += total - sum(amounts)
    return amounts


def _check_order(pools: Sequence[Pool], token_in: str, token_out: str, amount_in: int, costs: Sequence[int]) -> None:
    if not 1 <= len(pools) <= MAX_POOLS:
        raise InvariantBroken(f"a route needs 1..{MAX_POOLS} pools, got {len(pools)}")
    if not isinstance(amount_in, int) or not 1 <= amount_in <= MAX_AMOUNT_IN:
        raise InvariantBroken(f"amount_in of {token_in} must be a whole number within 1..2^128-1, got {amount_in}")
    if token_in == token_out:
        raise InvariantBroken(f"a swap needs two tokens, got {token_in} twice")
    first = pools[0].block_number
    for row, (pool, cost) in enumerate(zip(pools, costs, strict=True)):
        pool.sells_token_0(token_in)
        pool.sells_token_0(token_out)
        if not isinstance(cost, int) or cost < 0:
            raise InvariantBroken(f"gas cost of {pool.venue} must be a whole number from 0, got {cost}")
        if pool.block_number != first:
            raise StaleOrDisputed(f"pools[{row}] {pool.venue} is of block {pool.block_number}, pools[0] of {first}")
    venues = [pool.venue for pool in pools]
    if len(set(venues)) < len(venues):
        raise InvariantBroken(f"every venue may be named once, got {venues}")
