"""The budget ledger: windows that roll, reservations that count as spent, and limits that hold where they are made."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from domain.budget import Spending, WindowLimits
from domain.errors import BudgetExceeded, InvariantBroken
from memory.budgets import SqlBudgetLedger
from memory.database import open_database
from tests.builders import NOW

FILE = "autofi.db"
UNLIMITED = dict.fromkeys(WindowLimits.model_fields, "unlimited")


def make_window_limits(**limits: object) -> WindowLimits:
    """Unlimited but for these."""
    return WindowLimits.model_validate({**UNLIMITED, **limits})


LIMITS = make_window_limits(max_transaction_value_usd=100, max_day_value_usd=250, max_day_gas_usd=5)


@pytest.fixture
def database(tmp_path):
    opened = open_database(f"sqlite:///{tmp_path / FILE}")
    yield opened
    opened.close()


@pytest.fixture
def ledger(database):
    return SqlBudgetLedger(database)


def digest(number: int) -> str:
    return f"{number:064x}"


def reserve(
    ledger, number: int = 1, *, value="100", loss="0", gas="1", slippage="2", turnover="200", at=NOW, limits=None
):
    wanted = Spending(
        value_usd=Decimal(value),
        loss_usd=Decimal(loss),
        gas_usd=Decimal(gas),
        slippage_usd=Decimal(slippage),
        turnover_usd=Decimal(turnover),
    )
    ledger.reserve(digest(number), wanted, at=at, limits=limits)


def settle(ledger, number: int = 1, *, gas="0.5", loss="3", slippage="1", at=NOW):
    ledger.settle(digest(number), gas_usd=Decimal(gas), loss_usd=Decimal(loss), slippage_usd=Decimal(slippage), at=at)


def test_a_new_ledger_is_intact_and_has_used_nothing(ledger):
    state = ledger.state(at=NOW)

    assert (state.is_intact, state.value_day_usd, state.runs_hour_count) == (True, Decimal(0), 0)


def test_a_reservation_counts_as_spent(ledger):
    reserve(ledger)

    state = ledger.state(at=NOW)

    assert (state.value_day_usd, state.value_week_usd) == (Decimal(100), Decimal(100))
    assert (state.gas_day_usd, state.slippage_day_usd, state.slippage_week_usd) == (Decimal(1), Decimal(2), Decimal(2))
    assert (state.turnover_day_usd, state.loss_day_usd) == (Decimal(200), Decimal(0))


def test_the_loss_that_a_batch_in_flight_may_make_counts_until_its_settlement_says_better(ledger):
    reserve(ledger, loss="7")
    in_flight = ledger.state(at=NOW)
    settle(ledger, loss="3")

    settled = ledger.state(at=NOW)

    assert (in_flight.loss_day_usd, in_flight.loss_week_usd) == (Decimal(7), Decimal(7))
    assert (settled.loss_day_usd, settled.loss_week_usd) == (Decimal(3), Decimal(3))


def test_a_settlement_replaces_gas_and_slippage_and_adds_the_loss(ledger):
    reserve(ledger)
    settle(ledger)

    state = ledger.state(at=NOW)

    assert (state.value_day_usd, state.gas_day_usd, state.slippage_day_usd) == (
        Decimal(100),
        Decimal("0.5"),
        Decimal(1),
    )
    assert (state.loss_day_usd, state.loss_week_usd) == (Decimal(3), Decimal(3))


def test_a_released_reservation_counts_nothing(ledger):
    reserve(ledger)
    ledger.release(digest(1))

    state = ledger.state(at=NOW)

    assert (state.is_intact, state.value_day_usd, state.turnover_day_usd) == (True, Decimal(0), Decimal(0))


def test_sums_are_exact(ledger):
    for number in range(1, 11):
        reserve(ledger, number, value="0.1", gas="12345678901234567890.000000000000000001")

    state = ledger.state(at=NOW)

    assert state.value_day_usd == Decimal(1)
    assert state.gas_day_usd == Decimal("123456789012345678900.00000000000000001")


@pytest.mark.parametrize(
    ("age", "day", "week"),
    [
        (timedelta(hours=24) - timedelta(microseconds=1), 100, 100),
        (timedelta(hours=24), 0, 100),
        (timedelta(days=7) - timedelta(microseconds=1), 0, 100),
        (timedelta(days=7), 0, 0),
    ],
)
def test_windows_roll(ledger, age, day, week):
    reserve(ledger, at=NOW - age)
    settle(ledger, at=NOW - age)

    state = ledger.state(at=NOW)

    assert (state.value_day_usd, state.value_week_usd) == (Decimal(day), Decimal(week))
    assert (state.loss_day_usd, state.loss_week_usd) == (Decimal(3 * day // 100), Decimal(3 * week // 100))


def test_in_flight_counts_however_old_it_is(ledger):
    reserve(ledger, 1, at=NOW - timedelta(days=30))
    reserve(ledger, 2, at=NOW - timedelta(days=29))
    settle(ledger, 2, at=NOW - timedelta(days=29))

    state = ledger.state(at=NOW)

    assert (state.value_day_usd, state.value_week_usd) == (Decimal(100), Decimal(100))


def test_a_late_settlement_counts_its_loss_when_it_happened(ledger):
    reserve(ledger, at=NOW - timedelta(days=8))
    settle(ledger, at=NOW)

    state = ledger.state(at=NOW)

    assert (state.value_week_usd, state.loss_day_usd) == (Decimal(0), Decimal(3))


def test_a_clock_set_back_frees_nothing(ledger):
    reserve(ledger)

    assert ledger.state(at=NOW - timedelta(days=3)).value_day_usd == Decimal(100)


def test_runs_count_once_each_for_an_hour(ledger):
    ledger.count_run("run-1", at=NOW - timedelta(hours=1))
    ledger.count_run("run-2", at=NOW - timedelta(minutes=59))
    ledger.count_run("run-2", at=NOW)
    ledger.count_run("run-3", at=NOW)

    assert ledger.state(at=NOW).runs_hour_count == 2


def test_repeating_a_step_is_harmless(ledger):
    for _ in range(2):
        reserve(ledger)
    for _ in range(2):
        settle(ledger)
    reserve(ledger)

    state = ledger.state(at=NOW)

    assert (state.value_day_usd, state.loss_day_usd) == (Decimal(100), Decimal(3))


def test_a_released_batch_may_be_reserved_again(ledger):
    reserve(ledger)
    ledger.release(digest(1))
    ledger.release(digest(1))
    reserve(ledger, value="60")

    assert ledger.state(at=NOW).value_day_usd == Decimal(60)


def test_a_batch_that_is_simulated_again_holds_the_larger_amounts(ledger):
    reserve(ledger, value="100", gas="1", slippage="2")
    reserve(ledger, value="99", gas="1.5", slippage="1")

    state = ledger.state(at=NOW)

    assert (state.value_day_usd, state.gas_day_usd, state.slippage_day_usd) == (
        Decimal(100),
        Decimal("1.5"),
        Decimal(2),
    )


def test_a_settled_batch_is_not_reserved_again(ledger):
    reserve(ledger)
    settle(ledger)
    reserve(ledger, value="1000", limits=LIMITS)

    assert ledger.state(at=NOW).value_day_usd == Decimal(100)


def test_what_a_batch_holds_already_does_not_count_against_it_twice(ledger):
    reserve(ledger, 1, limits=LIMITS)
    reserve(ledger, 2, value="90", limits=LIMITS)
    reserve(ledger, 3, value="50", limits=LIMITS)

    reserve(ledger, 2, value="100", limits=LIMITS)

    with pytest.raises(BudgetExceeded, match="value in 24 hours would be 251 USD"):
        reserve(ledger, 3, value="51", limits=LIMITS)
    assert ledger.state(at=NOW).value_day_usd == Decimal(250)


def test_another_settlement_of_the_same_digest_is_a_broken_invariant(ledger):
    reserve(ledger)
    settle(ledger)

    with pytest.raises(InvariantBroken, match="other amounts"):
        settle(ledger, loss="0")


def test_settling_what_was_never_reserved_is_a_broken_invariant(ledger):
    with pytest.raises(InvariantBroken, match="without a reservation"):
        settle(ledger)


def test_a_settled_batch_cannot_be_released(ledger):
    reserve(ledger)
    settle(ledger)

    with pytest.raises(InvariantBroken, match="was settled"):
        ledger.release(digest(1))


def test_releasing_what_was_never_reserved_is_harmless(ledger):
    ledger.release(digest(9))

    assert ledger.state(at=NOW).is_intact


def test_limits_let_a_reservation_through_that_fits_exactly(ledger):
    reserve(ledger, 1, limits=LIMITS)
    reserve(ledger, 2, limits=LIMITS)
    reserve(ledger, 3, value="50", limits=LIMITS)

    assert ledger.state(at=NOW).value_day_usd == Decimal(250)


@pytest.mark.parametrize(
    ("limit", "field", "window"),
    [
        ("max_day_value_usd", "value", "value in 24 hours"),
        ("max_week_value_usd", "value", "value in 7 days"),
        ("max_day_loss_usd", "loss", "loss in 24 hours"),
        ("max_week_loss_usd", "loss", "loss in 7 days"),
        ("max_day_gas_usd", "gas", "gas in 24 hours"),
        ("max_day_slippage_usd", "slippage", "slippage in 24 hours"),
        ("max_week_slippage_usd", "slippage", "slippage in 7 days"),
        ("max_day_turnover_usd", "turnover", "turnover in 24 hours"),
    ],
)
def test_every_window_lets_its_limit_through_and_not_one_unit_more(ledger, limit, field, window):
    limits = make_window_limits(**{limit: 10})
    reserve(ledger, 1, limits=limits, **{field: "4"})
    reserve(ledger, 2, limits=limits, **{field: "6"})

    with pytest.raises(BudgetExceeded, match=f"{window} would be 10.01 USD, the limit is 10 USD and 10 USD are used"):
        reserve(ledger, 3, limits=limits, **{field: "0.01"})

    ledger.release(digest(2))
    reserve(ledger, 3, limits=limits, **{field: "6"})


def test_a_single_transaction_has_a_limit_of_its_own(ledger):
    reserve(ledger, 1, limits=LIMITS)

    with pytest.raises(BudgetExceeded, match=r"transaction value would be 100.01 USD, the limit is 100 USD"):
        reserve(ledger, 2, value="100.01", limits=LIMITS)

    assert ledger.state(at=NOW).value_day_usd == Decimal(100)


def test_an_exit_reserves_without_limits(ledger):
    reserve(ledger, value="1000000")

    assert ledger.state(at=NOW).value_day_usd == Decimal(1_000_000)
