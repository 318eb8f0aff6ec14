"""Integer arithmetic of Uniswap v3 against the constants of its contracts and the exact powers behind them."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvariantBroken
from domain.pools import MAX_SQRT_RATIO, MAX_TICK, MIN_SQRT_RATIO, MIN_TICK
from tools.routing.uniswap_v3_math import (
    Q96,
    amount_0_down,
    amount_0_up,
    amount_1_down,
    amount_1_up,
    divide_up,
    price_after_input,
    sqrt_ratio_at_tick,
    swap_step,
)

ETHER = 10**18
PRICE_1 = Q96
PRICE_121_OVER_100 = 87150978765690771352898345369  # encodePriceSqrt(121, 100) of v3-core's own tests


@pytest.mark.parametrize(
    ("tick", "ratio"),
    [
        (MIN_TICK, MIN_SQRT_RATIO),
        (MIN_TICK + 1, 4295343490),  # v3-core test/TickMath.spec.ts
        (0, Q96),
        (MAX_TICK - 1, 1461373636630004318706518188784493106690254656249),
        (MAX_TICK, MAX_SQRT_RATIO),
    ],
)
def test_prices_at_the_ends_are_those_of_tick_math(tick: int, ratio: int) -> None:
    assert sqrt_ratio_at_tick(tick) == ratio


@given(st.integers(MIN_TICK, MAX_TICK))
def test_price_of_a_tick_is_a_power_of_the_base(tick: int) -> None:
    with localcontext(prec=60):
        exact = (Decimal("1.0001") ** tick).sqrt() * Q96

    assert abs(Decimal(sqrt_ratio_at_tick(tick)) - exact) <= 1 + exact * Decimal("1e-14")


@pytest.mark.parametrize("tick", [MIN_TICK - 1, MAX_TICK + 1])
def test_tick_outside_the_range_is_refused(tick: int) -> None:
    with pytest.raises(InvariantBroken, match=f"tick must be within -887272..887272, got {tick}"):
        sqrt_ratio_at_tick(tick)


def test_amounts_between_two_prices_are_those_of_sqrt_price_math() -> None:
    """Vectors of v3-core test/SqrtPriceMath.spec.ts, getAmount0Delta and getAmount1Delta from 1 to 1.21."""
    assert amount_0_up(PRICE_1, PRICE_121_OVER_100, ETHER) == 90909090909090910
    assert amount_0_down(PRICE_1, PRICE_121_OVER_100, ETHER) == 90909090909090909
    assert amount_1_up(PRICE_1, PRICE_121_OVER_100, ETHER) == 100000000000000000
    assert amount_1_down(PRICE_1, PRICE_121_OVER_100, ETHER) == 99999999999999999


def test_price_after_an_input_is_that_of_sqrt_price_math() -> None:
    """Vectors of v3-core test/SqrtPriceMath.spec.ts, getNextSqrtPriceFromInput."""
    tenth = ETHER // 10

    assert price_after_input(PRICE_1, ETHER, tenth, zero_for_one=False) == 87150978765690771352898345369
    assert price_after_input(PRICE_1, ETHER, tenth, zero_for_one=True) == 72025602285694852357767227579
    assert price_after_input(PRICE_1, 10 * ETHER, 2**100, zero_for_one=True) == 624999999995069620
    assert price_after_input(PRICE_1, 1, 2**255, zero_for_one=True) == 1


def test_an_input_of_nothing_leaves_the_price() -> None:
    assert [price_after_input(PRICE_1, ETHER, 0, zero_for_one=side) for side in (True, False)] == [PRICE_1, PRICE_1]


def test_step_that_reaches_its_target_charges_the_range_and_its_fee() -> None:
    """v3-core test/SwapMath.spec.ts: exact amount in that gets capped at price target in one for zero."""
    target = 79623317895830914510639640423  # encodePriceSqrt(101, 100)

    step = swap_step(PRICE_1, target, liquidity=2 * ETHER, amount=ETHER, fee_pips=600)

    assert step == (target, 9975124224178055, 9925619580021728, 5988667735148)


def test_step_that_ends_within_its_range_takes_the_rest_as_fee() -> None:
    """v3-core test/SwapMath.spec.ts: exact amount in that is fully spent in one for zero."""
    target = 792281625142643375935439503360  # encodePriceSqrt(1000, 10)

    step = swap_step(PRICE_1, target, liquidity=2 * ETHER, amount=ETHER, fee_pips=600)

    assert step[1:] == (999400000000000000, 666399946655997866, 600000000000000)


def test_step_through_an_empty_range_costs_nothing() -> None:
    step = swap_step(PRICE_1, PRICE_121_OVER_100, liquidity=0, amount=ETHER, fee_pips=3_000)

    assert step == (PRICE_121_OVER_100, 0, 0, 0)


@given(st.integers(0, 2**256), st.integers(1, 2**160))
def test_division_rounds_up(numerator: int, denominator: int) -> None:
    quotient = Fraction(numerator, denominator)

    assert quotient <= divide_up(numerator, denominator) < quotient + 1


@given(
    price=st.integers(Q96 // 2**20, Q96 * 2**20),
    liquidity=st.integers(1, 2**100),
    amount=st.integers(1, 2**90),
    fee_pips=st.sampled_from([100, 500, 3_000, 10_000]),
    zero_for_one=st.booleans(),
)
def test_a_step_never_takes_more_than_is_offered(
    price: int, liquidity: int, amount: int, fee_pips: int, zero_for_one: bool
) -> None:
    target = price // 2 if zero_for_one else price * 2

    step = swap_step(price, target, liquidity=liquidity, amount=amount, fee_pips=fee_pips)

    assert step.amount_in + step.fee <= amount
    assert (step.sqrt_price_x96 == target) or step.amount_in + step.fee == amount
