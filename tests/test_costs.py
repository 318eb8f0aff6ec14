"""Gas, swap costs and break-even against hand calculations."""

from __future__ import annotations

from decimal import Decimal

import pytest

from domain.plan import MoveKind
from tests.builders import make_snapshot
from tools.costs import break_even_days, gas_cost_usd, gas_units, swap_cost_fraction, swap_cost_usd

MEASURED_BATCH = 491_857  # one Safe batch of withdraw, swap, supply and deposit, mined on the local chain


def test_gas_of_the_measured_batch_is_an_upper_bound_but_no_fantasy() -> None:
    units = gas_units([MoveKind.WITHDRAW, MoveKind.SWAP, MoveKind.SUPPLY, MoveKind.DEPOSIT])

    assert MEASURED_BATCH < units < 1.5 * MEASURED_BATCH


def test_no_moves_cost_no_gas() -> None:
    assert gas_units([]) == 0


def test_gas_cost_is_units_times_price_of_gas_and_of_the_native_token() -> None:
    snapshot = make_snapshot(base_fee_wei=20 * 10**9, priority_fee_wei=10**9)

    cost = gas_cost_usd([MoveKind.SWAP], snapshot, native_price_usd=Decimal(3500))

    assert cost == Decimal("13.965")  # 190,000 gas x 21 gwei x 3,500 USD


def test_swap_costs_its_fee_and_the_impact_allowance() -> None:
    assert swap_cost_fraction(500) == pytest.approx(0.0005 + 0.0005)
    assert swap_cost_usd(Decimal(100_000), 100) == Decimal("60.0000")


def test_break_even_is_cost_over_daily_gain() -> None:
    assert break_even_days(30.0, 2.0) == 15.0


@pytest.mark.parametrize("gain", [0.0, -1.0])
def test_cost_that_no_gain_pays_never_breaks_even(gain: float) -> None:
    assert break_even_days(30.0, gain) is None


def test_what_costs_nothing_is_paid_at_once() -> None:
    assert break_even_days(0.0, -1.0) == 0.0
