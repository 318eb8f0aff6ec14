"""Uniswap v3 prices as integers: USD prices of two tokens <-> sqrtPriceX96 and ticks of their pool."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Final, NamedTuple

Q96: Final = 2**96
MIN_TICK: Final = -887_272  # TickMath.MIN_TICK
MAX_TICK: Final = 887_272
TICK_BASE: Final = 1.0001


class PricedToken(NamedTuple):
    """A pool's token with its USD price."""

    decimals: int
    price_usd: Decimal


def sqrt_price_x96(token_0: PricedToken, token_1: PricedToken) -> int:
    """floor(sqrt(token_1 base units per token_0 base unit) * 2^96), as in slot0."""
    price = Fraction(token_0.price_usd) / Fraction(token_1.price_usd)
    price *= Fraction(10) ** (token_1.decimals - token_0.decimals)
    return math.isqrt(price.numerator * Q96 * Q96 // price.denominator)


def tick_range(sqrt_price: int, *, half_width_ticks: int, spacing: int) -> tuple[int, int]:
    """Usable ticks around a price."""
    tick = math.floor(2 * math.log(sqrt_price / Q96, TICK_BASE))
    lower = max((tick - half_width_ticks) // spacing, -(-MIN_TICK // spacing)) * spacing
    upper = min(-(-(tick + half_width_ticks) // spacing), MAX_TICK // spacing) * spacing
    return lower, upper
