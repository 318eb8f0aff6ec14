"""Routing against the convex optimum: what our exact integer split pays less, and how much sooner it is there.

The peer solves the same split with cvxpy and Clarabel, from the same pool states, without the contracts' rounding.
`python -m bench.routing` prints every case.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from bench.figures import Figure
from domain.pools import MAX_TICK, PairPool, TickPool
from tools.routing.routing import Pool, pool_segments, split_swap
from tools.routing.water_filling import Segment

ROUNDS: Final = 5
OURS_PER_ROUND: Final = 20
PEERS_PER_ROUND: Final = 2
"""Both are measured in their stride: after the other one the first call finds cold caches."""
ORDERS_USD: Final = (10_000, 100_000, 1_000_000, 3_000_000)
POOL_COUNTS: Final = (1, 2, 3, 4)
SEED: Final = 4
USDC: Final = 10**6
ETHER: Final = 10**18
PRICE_USD: Final = 3_500
TICK_STEPS: Final = 100
"""Initialized ticks on each side of a generated pool's price, a tenth of a percent or their spacing apart."""
LEAST_GAP_TICKS: Final = 10
MAX_GAP_BP: Final = 0.01
MIN_SPEEDUP: Final = 100
BPS_PER_ONE: Final = 10_000


class Case(NamedTuple):
    """One order over some pools."""

    pools: tuple[Pool, ...]
    amount_in: int


class Timing(NamedTuple):
    """CPU seconds of one case, and the outputs in base units."""

    ours: float
    peer: float
    spared_peer: float
    """Of the peer when it gets only the ranges that the order could reach."""
    paid: int
    optimum: float

    @property
    def gap_bp(self) -> float:
        return (self.optimum - self.paid) / self.optimum * BPS_PER_ONE


def routing_figures() -> list[Figure]:
    timings = [_measure(case) for case in cases()]
    ratios = [timing.peer / timing.ours for timing in timings]
    worst = max(abs(timing.gap_bp) for timing in timings)
    sizes = f"{len(timings)} orders of 10 k to 3 M USD over 1-4 pools, {2 * TICK_STEPS} ticks per v3 pool"
    ours = statistics.median(timing.ours for timing in timings) * 1e6
    peer = statistics.median(timing.peer for timing in timings) * 1e3
    spared = statistics.median(timing.spared_peer / timing.ours for timing in timings)
    speed = (
        f"median, from pool states to exact amounts: {ours:.0f} us, {peer:.1f} ms; least {min(ratios):.0f}; "
        f"{spared:.0f} when the peer gets only the ticks that the order could reach"
    )
    return [
        Figure(
            "routing_gap_bp",
            round(worst, 8),
            "bp",
            MAX_GAP_BP,
            f"largest distance either way, {sizes}; ours in whole base units",
        ),
        Figure("routing_speedup_vs_cvxpy", round(statistics.median(ratios), 0), "ratio", MIN_SPEEDUP, speed),
    ]


def cases() -> list[Case]:
    """Every order size over every number of pools."""
    pools = (
        tick_pool("tier-500", fee_pips=500, depth_usd=400e6, seed=SEED),
        tick_pool("tier-3000", fee_pips=3_000, depth_usd=150e6, seed=SEED + 1),
        pair_pool("pair", reserve_usd=8_000_000),
        tick_pool("tier-100", fee_pips=100, depth_usd=40e6, seed=SEED + 2),
    )
    return [Case(pools[:count], usd * USDC) for count in POOL_COUNTS for usd in ORDERS_USD]


def tick_pool(venue: str, *, fee_pips: int, depth_usd: float, seed: int) -> TickPool:
    """USDC for ether, liquidity thinning out from the price in random steps; depth_usd is L as full-range dollars."""
    random = np.random.default_rng(seed)
    spacing = {100: 1, 500: 10, 3_000: 60}[fee_pips]
    root = math.sqrt(ETHER / (PRICE_USD * USDC)) * (1 + 1e-4 * random.standard_normal())
    tick = math.floor(2 * math.log(root) / math.log(1.0001))
    middle, gap = tick // spacing * spacing, max(spacing, LEAST_GAP_TICKS)
    scale = depth_usd * USDC * root
    nets = [int(net) for net in scale * random.exponential(size=TICK_STEPS) / TICK_STEPS]
    rising = [(middle - gap * step, net) for step, net in enumerate(nets)]
    falling = [(middle + gap * (step + 1), -net) for step, net in enumerate(nets)]
    edge = MAX_TICK // spacing * spacing
    return TickPool(
        venue=venue,
        token_0="usdc",
        token_1="weth",
        fee_pips=fee_pips,
        block_number=1,
        tick_spacing=spacing,
        sqrt_price_x96=int(root * 2**96),
        tick=tick,
        liquidity=sum(nets),
        ticks=tuple({"tick": tick, "liquidity_net": net} for tick, net in (*rising[::-1], *falling)),
        lowest_tick=-edge,
        highest_tick=edge,
    )


def pair_pool(venue: str, *, reserve_usd: int) -> PairPool:
    reserves = {"reserve_0": reserve_usd * USDC, "reserve_1": reserve_usd * ETHER // PRICE_USD}
    return PairPool(venue=venue, token_0="usdc", token_1="weth", fee_pips=3_000, block_number=1, **reserves)


def _measure(case: Case) -> Timing:
    whole = [segment for pool in case.pools for segment in pool_segments(pool, "usdc")]
    near = [segment for pool in case.pools for segment in within_reach(pool, case.amount_in)]
    rounds = [
        (
            _cpu_seconds(lambda: _paid(case), OURS_PER_ROUND),
            _cpu_seconds(lambda: convex_optimum(whole, case.amount_in), PEERS_PER_ROUND),
            _cpu_seconds(lambda: convex_optimum(near, case.amount_in), PEERS_PER_ROUND),
        )
        for _ in range(ROUNDS)
    ]
    ours, peer, spared = (statistics.median(column) for column in zip(*rounds, strict=True))
    return Timing(ours, peer, spared, _paid(case), convex_optimum(near, case.amount_in))


def _cpu_seconds(call: Callable[[], object], count: int) -> float:
    start = time.process_time()
    for _ in range(count):
        call()
    return (time.process_time() - start) / count


def _paid(case: Case) -> int:
    return split_swap(case.pools, token_in="usdc", token_out="weth", amount_in=case.amount_in).amount_out


def convex_optimum(segments: Sequence[Segment], amount_in: int) -> float:
    """Base units of ether that the best split of `amount_in` USDC pays, by cvxpy and Clarabel.

    Range by range, a share x of the order pays price * (x - x^2 / (reserve + x)), which is concave. The variables are
    x over the range's room, and the square over 1 + x / reserve, which a cone bounds: so all numbers are near one.
    """
    import cvxpy

    starts, stops, slopes = np.array(segments).T
    best_price = starts.min() ** -2
    rooms = np.minimum(slopes * (stops - starts) / amount_in, 1.0)
    reserves = slopes * starts / amount_in
    used = cvxpy.Variable(len(segments), nonneg=True)
    squares = cvxpy.Variable(len(segments), nonneg=True)
    total = 1 + cvxpy.multiply(rooms / reserves, used)
    cone = cvxpy.SOC(squares + total, cvxpy.vstack([2 * used, squares - total]))
    prices = starts**-2 / best_price
    paid = (prices * rooms) @ used - (prices * rooms**2 / reserves) @ squares
    problem = cvxpy.Problem(cvxpy.Maximize(paid), [rooms @ used == 1, used <= 1, cone])
    problem.solve(solver=cvxpy.CLARABEL)
    return float(problem.value) * best_price * amount_in


def within_reach(pool: Pool, amount_in: int) -> Iterator[Segment]:
    """The pool's ranges until it could take the whole order: no split needs more of them."""
    missing = float(amount_in)
    for segment in pool_segments(pool, "usdc"):
        yield segment
        missing -= segment.room
        if missing < 0:
            return


def main() -> None:
    print("| pools | order USD | used | ours us | cvxpy ms | cvxpy, near ticks ms | distance bp |")
    print("|---|---|---|---|---|---|---|")
    for case in cases():
        timing = _measure(case)
        route = split_swap(case.pools, token_in="usdc", token_out="weth", amount_in=case.amount_in)
        order = f"{len(case.pools)} | {case.amount_in // USDC:,} | {len(route.legs)}"
        times = f"{timing.ours * 1e6:.0f} | {timing.peer * 1e3:.1f} | {timing.spared_peer * 1e3:.1f}"
        print(f"| {order} | {times} | {abs(timing.gap_bp):.0e} |")


if __name__ == "__main__":
    main()
