"""Integer arithmetic of Uniswap v3, digit for digit as its contracts round (TickMath, SqrtPriceMath, SwapMath).

Only what a swap of an exact input needs. Prices are sqrt(token_1 base units per token_0 base unit) * 2^96.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

from domain.errors import InvariantBroken
from domain.pools import MAX_TICK, MIN_TICK
from domain.units import UINT256_MAX

Q96_BITS: Final = 96
Q96: Final = 1 << Q96_BITS
PIPS_PER_ONE: Final = 1_000_000
TICK_RATIOS: Final = (
    0xFFFCB933BD6FAD37AA2D162D1A594001,
    0xFFF97272373D413259A46990580E213A,
    0xFFF2E50F5F656932EF12357CF3C7FDCC,
    0xFFE5CACA7E10E4E61C3624EAA0941CD0,
    0xFFCB9843D60F6159C9DB58835C926644,
    0xFF973B41FA98C081472E6896DFB254C0,
    0xFF2EA16466C96A3843EC78B326B52861,
    0xFE5DEE046A99A2A811C461F1969C3053,
    0xFCBE86C7900A88AEDCFFC83B479AA3A4,
    0xF987A7253AC413176F2B074CF7815E54,
    0xF3392B0822B70005940C7A398E4B70F3,
    0xE7159475A2C29B7443B29C7FA6E889D9,
    0xD097F3BDFD2022B8845AD8F792AA5825,
    0xA9F746462D870FDF8A65DC1F90E061E5,
    0x70D869A156D2A1B890BB3DF62BAF32F7,
    0x31BE135F97D08FD981231505542FCFA6,
    0x9AA508B5B7A84E1C677DE54F3E99BC9,
    0x5D6AF8DEDB81196699C329225EE604,
    0x2216E584F5FA1EA926041BEDFE98,
    0x48A170391F7DC42444E8FA2,
)
"""sqrt(1.0001)^-(2^i) * 2^128 for i = 0..19, TickMath.getSqrtRatioAtTick."""


TICKS_KEPT: Final = 16_384
"""Prices of ticks that are remembered: the same few hundred matter block after block."""


class SwapStep(NamedTuple):
    """One step inside a range of constant liquidity, amounts in base units; the fee is part of what is paid."""

    sqrt_price_x96: int
    amount_in: int
    amount_out: int
    fee: int


@lru_cache(maxsize=TICKS_KEPT)
def sqrt_ratio_at_tick(tick: int) -> int:
    """sqrt(1.0001^tick) * 2^96, rounded up (TickMath.getSqrtRatioAtTick). Raises InvariantBroken out of range."""
    if not MIN_TICK <= tick <= MAX_TICK:
        raise InvariantBroken(f"tick must be within {MIN_TICK}..{MAX_TICK}, got {tick}")
    ratio, bits = 1 << 128, abs(tick)
    for factor in TICK_RATIOS:
        if not bits:
            break
        if bits & 1:
            ratio = ratio * factor >> 128
        bits >>= 1
    if tick > 0:
        ratio = UINT256_MAX // ratio
    return -(-ratio >> 32)


def divide_up(numerator: int, denominator: int) -> int:
    """Quotient rounded up (FullMath.mulDivRoundingUp, UnsafeMath.divRoundingUp)."""
    return -(-numerator // denominator)


def amount_0_up(lower: int, upper: int, liquidity: int) -> int:
    """token_0 between two square-root prices, rounded up at both divisions (SqrtPriceMath.getAmount0Delta)."""
    return divide_up(divide_up((liquidity << Q96_BITS) * (upper - lower), upper), lower)


def amount_0_down(lower: int, upper: int, liquidity: int) -> int:
    """The same rounded down: what the pool pays."""
    return (liquidity << Q96_BITS) * (upper - lower) // upper // lower


def amount_1_up(lower: int, upper: int, liquidity: int) -> int:
    """token_1 between two square-root prices, rounded up (SqrtPriceMath.getAmount1Delta)."""
    return -(-liquidity * (upper - lower) >> Q96_BITS)


def amount_1_down(lower: int, upper: int, liquidity: int) -> int:
    """The same rounded down: what the pool pays."""
    return liquidity * (upper - lower) >> Q96_BITS


def price_after_input(sqrt_price: int, liquidity: int, amount: int, *, zero_for_one: bool) -> int:
    """Where an input that stays inside the range moves the price (SqrtPriceMath.getNextSqrtPriceFromInput)."""
    if not zero_for_one:
        return sqrt_price + (amount << Q96_BITS) // liquidity
    if not amount:
        return sqrt_price
    numerator = liquidity << Q96_BITS
    product = amount * sqrt_price
    if product <= UINT256_MAX and numerator + product <= UINT256_MAX:
        return divide_up(numerator * sqrt_price, numerator + product)
    return divide_up(numerator, numerator // sqrt_price + amount)  # the contract's own way out of an overflow


def swap_step(sqrt_price: int, target: int, *, liquidity: int, amount: int, fee_pips: int) -> SwapStep:
    """Spend up to `amount`, fee included, between two prices (SwapMath.computeSwapStep with exactIn)."""
    after_fee = amount * (PIPS_PER_ONE - fee_pips) // PIPS_PER_ONE
    if sqrt_price >= target:
        spent, reached = amount_0_up(target, sqrt_price, liquidity), target
        if after_fee < spent:
            reached = price_after_input(sqrt_price, liquidity, after_fee, zero_for_one=True)
            spent = amount_0_up(reached, sqrt_price, liquidity)
        received = amount_1_down(reached, sqrt_price, liquidity)
    else:
        spent, reached = amount_1_up(sqrt_price, target, liquidity), target
        if after_fee < spent:
            reached = price_after_input(sqrt_price, liquidity, after_fee, zero_for_one=False)
            spent = amount_1_up(sqrt_price, reached, liquidity)
        received = amount_0_down(sqrt_price, reached, liquidity)
    # What stops inside its range gives the pool the rest of the input as fee.
    fee = divide_up(spent * fee_pips, PIPS_PER_ONE - fee_pips) if reached == target else amount - spent
    return SwapStep(reached, spent, received, fee)
