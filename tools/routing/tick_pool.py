"""Swaps of an exact input in a Uniswap v3 pool: exact output by tick walking, and its ranges for water-filling."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator
from typing import Final

from domain.errors import Infeasible
from domain.pools import HALF_LOG_TICK_BASE, MAX_TICK, MIN_TICK, TickPool
from tools.routing.uniswap_v3_math import PIPS_PER_ONE, Q96, sqrt_ratio_at_tick, swap_step
from tools.routing.water_filling import Segment

WORD_BITS: Final = 8
"""A swap looks for initialized ticks in one word of 256 bits of the bitmap at a time, and rounds at its end."""
WORD_MASK: Final = (1 << WORD_BITS) - 1


def tick_pool_output(pool: TickPool, amount_in: int, *, zero_for_one: bool) -> int:
    """Base units that the pool pays for exactly `amount_in`, equal to UniswapV3Pool.swap (v3-core 1.0.1) to the digit.

    0 for 0, and where the input is too small to pay one base unit. Raises Infeasible when the swap would leave the
    ticks that are known. Whether pool.ticks are complete is for who read them to know.
    """
    price, liquidity, fee_pips = pool.sqrt_price_x96, pool.liquidity, pool.fee_pips
    remaining, paid = amount_in, 0
    for tick, added in _stops_down(pool) if zero_for_one else _stops_up(pool):
        if not remaining:
            return paid
        target = sqrt_ratio_at_tick(tick)
        step = swap_step(price, target, liquidity=liquidity, amount=remaining, fee_pips=fee_pips)
        price = step.sqrt_price_x96
        if not (pool.lowest_tick <= tick <= pool.highest_tick or _is_known(pool, price)):
            break
        remaining -= step.amount_in + step.fee
        paid += step.amount_out
        if price != target:
            return paid  # what was left of the input is the fee
        liquidity += added
    raise Infeasible(
        f"venue {pool.venue} cannot take {amount_in} base units: the swap leaves its known ticks "
        f"{pool.lowest_tick}..{pool.highest_tick}"
    )


def tick_pool_segments(pool: TickPool, *, zero_for_one: bool) -> Iterator[Segment]:
    """Ranges of constant liquidity from the price outwards to where knowledge ends; none without liquidity.

    A segment's level is 1 / sqrt(marginal price, fee included), in which the input of a range of liquidity L grows by
    L / sqrt(1 - fee) per level (Uniswap v3 whitepaper, section 6.2, with virtual reserve x = L * level).
    """
    after_fee = math.sqrt(1 - pool.fee_pips / PIPS_PER_ONE)
    start = pool.sqrt_price_x96 / Q96
    level = (1 / start if zero_for_one else start) / after_fee
    step = -HALF_LOG_TICK_BASE if zero_for_one else HALF_LOG_TICK_BASE
    for tick, liquidity in _ranges_down(pool) if zero_for_one else _ranges_up(pool):
        stop = math.exp(tick * step) / after_fee
        if stop > level:
            if liquidity:
                yield Segment(level, stop, liquidity / after_fee)
            level = stop


def _stops_down(pool: TickPool) -> Iterator[tuple[int, int]]:
    """Where steps of a falling price end, as TickBitmap.nextInitializedTickWithinOneWord finds them: the next
    initialized tick or the end of the word, with what crossing it adds to the liquidity. Ends with the last tick."""
    ticks, spacing, tick = pool.ticks, pool.tick_spacing, pool.tick
    row = bisect_right(ticks, tick, key=lambda entry: entry.tick) - 1
    while tick >= MIN_TICK:
        end = (tick // spacing >> WORD_BITS << WORD_BITS) * spacing
        if row >= 0 and ticks[row].tick >= end:
            tick = ticks[row].tick - 1
            yield ticks[row].tick, -ticks[row].liquidity_net
            row -= 1
        else:
            tick = end - 1
            yield max(end, MIN_TICK), 0


def _stops_up(pool: TickPool) -> Iterator[tuple[int, int]]:
    """The same for a rising price."""
    ticks, spacing, tick = pool.ticks, pool.tick_spacing, pool.tick
    row = bisect_right(ticks, tick, key=lambda entry: entry.tick)
    while tick < MAX_TICK:
        tick = ((tick // spacing + 1) | WORD_MASK) * spacing
        if row < len(ticks) and ticks[row].tick <= tick:
            tick = ticks[row].tick
            yield tick, ticks[row].liquidity_net
            row += 1
        else:
            yield min(tick, MAX_TICK), 0


def _ranges_down(pool: TickPool) -> Iterator[tuple[int, int]]:
    """The tick at which each range ends, and the liquidity up to there; the last one ends where knowledge does."""
    liquidity = pool.liquidity
    for row in range(bisect_right(pool.ticks, pool.tick, key=lambda entry: entry.tick) - 1, -1, -1):
        yield pool.ticks[row].tick, liquidity
        liquidity -= pool.ticks[row].liquidity_net
    yield pool.lowest_tick, liquidity


def _ranges_up(pool: TickPool) -> Iterator[tuple[int, int]]:
    liquidity = pool.liquidity
    for row in range(bisect_right(pool.ticks, pool.tick, key=lambda entry: entry.tick), len(pool.ticks)):
        yield pool.ticks[row].tick, liquidity
        liquidity += pool.ticks[row].liquidity_net
    yield pool.highest_tick, liquidity


def _is_known(pool: TickPool, price: int) -> bool:
    return sqrt_ratio_at_tick(pool.lowest_tick) <= price <= sqrt_ratio_at_tick(pool.highest_tick)
