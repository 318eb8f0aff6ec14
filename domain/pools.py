"""What the contract of a venue holds at one block: reserves of a pair, or liquidity by tick.

Enough to compute every swap exactly without asking the chain again; how is in tools.
"""

from __future__ import annotations

import math
from itertools import accumulate, pairwise
from typing import Final, Self

from pydantic import Field, model_validator

from domain.errors import UnknownSubject
from domain.units import Int256, Slug, Uint256, Value

MIN_TICK: Final = -887_272  # TickMath.MIN_TICK
MAX_TICK: Final = 887_272
MIN_SQRT_RATIO: Final = 4_295_128_739  # TickMath.MIN_SQRT_RATIO
MAX_SQRT_RATIO: Final = 1_461_446_703_485_210_103_287_273_052_203_988_822_378_723_970_342
MAX_LIQUIDITY: Final = 2**128 - 1
MAX_RESERVE: Final = 2**112 - 1  # UniswapV2Pair stores reserves as uint112
MAX_TICKS: Final = 20_000
HALF_LOG_TICK_BASE: Final = math.log1p(1e-4) / 2
"""Natural logarithm of sqrt(1.0001), the step of a square-root price from one tick to the next."""
TICK_TOLERANCE: Final = 1e-3
"""How far the float estimate of a tick may stand from the integer one; its own error is below 1e-8."""


class PoolState(Value):
    """What every kind of pool has. token_0 has the lower address; fee_pips are hundredths of a basis point."""

    venue: Slug
    token_0: Slug
    token_1: Slug
    fee_pips: int = Field(ge=0, lt=1_000_000)
    block_number: int = Field(ge=0)

    @model_validator(mode="after")
    def _trades_two_tokens(self) -> Self:
        if self.token_0 == self.token_1:
            raise ValueError(f"venue {self.venue} must trade two tokens, both are {self.token_0}")
        return self

    def sells_token_0(self, token_in: str) -> bool:
        """Whether a swap of token_in moves the price down. Raises UnknownSubject for a token not traded here."""
        if token_in not in (self.token_0, self.token_1):
            raise UnknownSubject(f"venue {self.venue} trades {self.token_0} and {self.token_1}, not {token_in}")
        return token_in == self.token_0


class PairPool(PoolState):
    """A constant-product pair (Uniswap v2): base units of both tokens."""

    reserve_0: Uint256 = Field(gt=0, le=MAX_RESERVE)
    reserve_1: Uint256 = Field(gt=0, le=MAX_RESERVE)


class TickLiquidity(Value):
    """An initialized tick: what crossing it upwards adds to the liquidity in range."""

    tick: int = Field(ge=MIN_TICK, le=MAX_TICK)
    liquidity_net: Int256


class TickPool(PoolState):
    """A Uniswap v3 pool. `ticks` are all initialized ones in lowest_tick..highest_tick; beyond, nothing is known."""

    tick_spacing: int = Field(gt=0, le=16_384)  # UniswapV3Factory.enableFeeAmount
    sqrt_price_x96: Uint256 = Field(ge=MIN_SQRT_RATIO, lt=MAX_SQRT_RATIO)
    tick: int = Field(ge=MIN_TICK - 1, le=MAX_TICK)
    liquidity: Uint256 = Field(le=MAX_LIQUIDITY)
    ticks: tuple[TickLiquidity, ...] = Field(max_length=MAX_TICKS)
    lowest_tick: int = Field(ge=MIN_TICK)
    highest_tick: int = Field(le=MAX_TICK)

    @model_validator(mode="after")
    def _ticks_are_in_order(self) -> Self:
        known = [entry.tick for entry in self.ticks]
        for row, (lower, upper) in enumerate(pairwise(known)):
            if lower >= upper:
                raise ValueError(f"ticks[{row + 1}] of {self.venue} must be above {lower}, it is {upper}")
        for row, tick in enumerate(known):
            if tick % self.tick_spacing:
                raise ValueError(
                    f"ticks[{row}] of {self.venue} must be a multiple of {self.tick_spacing}, it is {tick}"
                )
            if not self.lowest_tick <= tick <= self.highest_tick:
                raise ValueError(
                    f"ticks[{row}] of {self.venue} must be within {self.lowest_tick}..{self.highest_tick}, it is {tick}"
                )
        return self

    @model_validator(mode="after")
    def _tick_belongs_to_the_price(self) -> Self:
        """A swap that stops on a tick on its way down leaves the tick one lower: up to one whole step."""
        steps = math.log(self.sqrt_price_x96 / 2**96) / HALF_LOG_TICK_BASE - self.tick
        if not -TICK_TOLERANCE <= steps <= 1 + TICK_TOLERANCE:
            raise ValueError(f"tick of {self.venue} must be that of its price, {self.tick} is {steps:.3f} below it")
        if not self.lowest_tick <= self.tick + 1 or not self.tick <= self.highest_tick:
            raise ValueError(
                f"tick of {self.venue} must be within {self.lowest_tick}..{self.highest_tick}, it is {self.tick}"
            )
        return self

    @model_validator(mode="after")
    def _liquidity_is_never_negative(self) -> Self:
        above = [entry.liquidity_net for entry in self.ticks if entry.tick > self.tick]
        below = [-entry.liquidity_net for entry in reversed(self.ticks) if entry.tick <= self.tick]
        for side, nets in (("above", above), ("below", below)):
            for row, liquidity in enumerate(accumulate(nets, initial=self.liquidity)):
                if not 0 <= liquidity <= MAX_LIQUIDITY:
                    raise ValueError(
                        f"liquidity of {self.venue} must be within 0..2^128-1, it is {liquidity} "
                        f"after {row} ticks {side} the price"
                    )
        return self
