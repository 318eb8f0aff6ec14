"""Swaps of an exact input in a constant-product pair (Uniswap v2)."""

from __future__ import annotations

import math
from collections.abc import Iterator

from domain.errors import Infeasible
from domain.pools import MAX_RESERVE, PairPool
from tools.routing.uniswap_v3_math import PIPS_PER_ONE
from tools.routing.water_filling import Segment


def pair_pool_output(pool: PairPool, amount_in: int, *, zero_for_one: bool) -> int:
    """Base units that the pair pays for exactly `amount_in`, as UniswapV2Library.getAmountOut rounds.

    0 for 0, and where the input is too small to pay one base unit. Raises Infeasible when the reserve would not fit
    the pair's uint112.
    """
    reserve_in, reserve_out = _reserves(pool, zero_for_one=zero_for_one)
    if reserve_in + amount_in > MAX_RESERVE:
        raise Infeasible(
            f"venue {pool.venue} cannot take {amount_in} base units: its reserve {reserve_in} is at most {MAX_RESERVE}"
        )
    after_fee = amount_in * (PIPS_PER_ONE - pool.fee_pips)
    return after_fee * reserve_out // (reserve_in * PIPS_PER_ONE + after_fee)


def pair_pool_segments(pool: PairPool, *, zero_for_one: bool) -> Iterator[Segment]:
    """One range, from the price to where the reserve is full; levels as in tick_pool_segments.

    With liquidity L = sqrt(x * y) the marginal price, fee included, is (1 - fee) * L^2 / x^2.
    """
    reserve_in, reserve_out = _reserves(pool, zero_for_one=zero_for_one)
    after_fee = math.sqrt(1 - pool.fee_pips / PIPS_PER_ONE)
    liquidity = math.sqrt(reserve_in) * math.sqrt(reserve_out)
    full = reserve_in + (MAX_RESERVE - reserve_in) * after_fee**2
    start, stop = (amount / (liquidity * after_fee) for amount in (reserve_in, full))
    if stop > start:
        yield Segment(start, stop, liquidity / after_fee)


def _reserves(pool: PairPool, *, zero_for_one: bool) -> tuple[int, int]:
    """Of the token that is sold, and of the one that is bought."""
    return (pool.reserve_0, pool.reserve_1) if zero_for_one else (pool.reserve_1, pool.reserve_0)
