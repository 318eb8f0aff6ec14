"""The budget ledger: windows, reservations, two processes, and every way of losing a row."""

from __future__ import annotations

import multiprocessing
import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from domain.budget import Spending, WindowLimits
from domain.errors import BudgetExceeded, InvariantBroken, StoreUnavailable
from memory.budgets import SqlBudgetLedger
from memory.database import open_database
from tests.builders import NOW

FILE = "autofi.db"
LIMITS = WindowLimits(
    max_transaction_value_usd=Decimal(100),
    max_day_value_usd=Decimal(250),
    max_week_value_usd=Decimal(100_000),
    max_day_loss_usd="unlimited",
    max_week_loss_usd="unlimited",
    max_day_gas_usd=Decimal(5),
    max_day_slippage_usd="unlimited",
    max_week_slippage_usd="unlimited",
    max_day_turnover_usd="unlimited",
)


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


def tamper(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / FILE, isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER IF EXISTS book_entries_no_update")
        connection.execute("DROP TRIGGER IF EXISTS book_entries_no_delete")
        for statement in statements:
            connection.execute(statement)


def test_a_new_ledger_is_intact_and_has_used_nothing(ledger):
    state = ledger.state(at=NOW)

    assert (state.is_intact, state.value_day_usd, state.runs_hour_count) == (True, Decimal(0), 0)


def test_a_reservation_counts_as_spent(ledger):
    reserve(ledger)

    state = ledger.state(at=NOW)

    assert (state.value_day_usd, state.value_week_usd) == (Decimal(100), Decimal(100))
    assert (state.gas_day_usd, state.slippage_day_usd, state.slippage_week_usd) == (Decimal(1), Decimal(2), Decimal(2))
    assert (state.turnover_day_usd, state.loss_day_usd) == (Decimal(200), Decimal(0))


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
    ("amounts", "problem"),
    [
        ({"value": "100.01"}, "transaction value would be 100.01 USD, the limit is 100 USD"),
        ({"value": "50.01"}, "value in 24 hours would be 250.01 USD, the limit is 250 USD and 200 USD are used"),
        ({"value": "1", "gas": "3.01"}, "gas in 24 hours would be 5.01 USD, the limit is 5 USD"),
    ],
)
def test_limits_refuse_one_unit_over(ledger, amounts, problem):
    reserve(ledger, 1, limits=LIMITS)
    reserve(ledger, 2, limits=LIMITS)

    with pytest.raises(BudgetExceeded, match=problem):
        reserve(ledger, 3, limits=LIMITS, **amounts)

    assert ledger.state(at=NOW).value_day_usd == Decimal(200)


def test_an_exit_reserves_without_limits(ledger):
    reserve(ledger, value="1000000")

    assert ledger.state(at=NOW).value_day_usd == Decimal(1_000_000)


BOOK = "book = 'budget'"


@pytest.mark.parametrize(
    "statement",
    [
        f"DELETE FROM book_entries WHERE {BOOK}",
        f"DELETE FROM book_entries WHERE {BOOK} AND sequence = 1",
        f"DELETE FROM book_entries WHERE {BOOK} AND sequence = 2",
        f"DELETE FROM book_entries WHERE {BOOK} AND sequence = 3",
        f"UPDATE book_entries SET body = '{{}}' WHERE {BOOK} AND sequence = 2",
        f"UPDATE book_entries SET kind = 'release' WHERE {BOOK} AND sequence = 2",
        f"UPDATE book_entries SET recorded_at = '2020-01-01T00:00:00.000000+00:00' WHERE {BOOK} AND sequence = 1",
        f"UPDATE book_entries SET recorded_at = '2020-01-01T00:00:00.000000+00:00' WHERE {BOOK}",
        f"DELETE FROM book_heads WHERE {BOOK}",
        f"UPDATE book_heads SET sequence = 2 WHERE {BOOK}",
        "DROP TABLE book_entries",
        "DROP TABLE book_heads",
    ],
)
def test_a_tampered_ledger_is_not_intact_and_takes_no_limited_reservation(ledger, tmp_path, statement):
    for number in range(1, 4):
        reserve(ledger, number)
        settle(ledger, number)
    tamper(tmp_path, statement)

    state = ledger.state(at=NOW)

    assert not state.is_intact
    assert ledger.problem() is not None
    with pytest.raises(StoreUnavailable):
        reserve(ledger, 9, limits=LIMITS)


def test_an_edited_entry_outside_the_windows_is_found_by_the_full_walk(ledger, tmp_path):
    for number in range(1, 4):
        reserve(ledger, number, at=NOW - timedelta(days=20))
        settle(ledger, number, at=NOW - timedelta(days=20))
    reserve(ledger, 4)
    tamper(tmp_path, f"UPDATE book_entries SET body = x'7b7d' WHERE {BOOK} AND sequence = 1")

    assert ledger.state(at=NOW).is_intact
    assert "entry 1: the body" in ledger.problem()


def test_a_ledger_rolled_back_to_an_older_copy_is_not_intact_even_after_new_entries(tmp_path):
    database = open_database(f"sqlite:///{tmp_path / FILE}")
    reserve(SqlBudgetLedger(database), 1)
    database.close()
    shutil.copy(tmp_path / FILE, tmp_path / "copy")
    database = open_database(f"sqlite:///{tmp_path / FILE}")
    reserve(SqlBudgetLedger(database), 2)
    database.close()
    shutil.copy(tmp_path / "copy", tmp_path / FILE)

    database = open_database(f"sqlite:///{tmp_path / FILE}")
    ledger = SqlBudgetLedger(database)
    before = ledger.state(at=NOW).is_intact
    for number in (3, 4):
        reserve(ledger, number)
    after = ledger.state(at=NOW).is_intact
    database.close()

    assert (before, after) == (False, False)


def test_a_deleted_database_is_not_an_empty_budget(tmp_path):
    database = open_database(f"sqlite:///{tmp_path / FILE}")
    reserve(SqlBudgetLedger(database), 1)
    database.close()
    for file in tmp_path.glob(f"{FILE}*"):
        if file.suffix != ".anchor":
            file.unlink()

    fresh = open_database(f"sqlite:///{tmp_path / FILE}")
    ledger = SqlBudgetLedger(fresh)

    assert not ledger.state(at=NOW).is_intact
    assert ledger.problem() == "entries 1 to 1, noted by the anchor, are gone"
    fresh.close()


def test_a_lost_anchor_is_not_intact(ledger, tmp_path):
    reserve(ledger)
    (tmp_path / f"{FILE}.anchor").unlink()

    assert not ledger.state(at=NOW).is_intact
    assert "missing or unreadable" in ledger.problem()


def test_a_file_that_is_no_longer_a_database_is_not_intact(database, ledger, tmp_path):
    reserve(ledger)
    database.close()
    (tmp_path / FILE).write_bytes(b"garbage" * 1000)

    assert not ledger.state(at=NOW).is_intact


def reserve_greedily(url: str, first: int, taken: multiprocessing.Queue) -> None:
    database = open_database(url)
    ledger, count = SqlBudgetLedger(database), 0
    for number in range(first, first + 60):
        try:
            reserve(ledger, number, value="1", gas="0.01", limits=LIMITS)
            count += 1
        except BudgetExceeded:
            continue
    database.close()
    taken.put(count)


def race(url: str, workers: int) -> int:
    """How many reservations of one dollar all workers together got."""
    context = multiprocessing.get_context("spawn")
    taken = context.Queue()
    processes = [context.Process(target=reserve_greedily, args=(url, 1000 * (n + 1), taken)) for n in range(workers)]
    for process in processes:
        process.start()
    counts = [taken.get(timeout=120) for _ in processes]
    for process in processes:
        process.join(timeout=60)
    return sum(counts)


def test_processes_that_race_never_get_more_than_the_limit(ledger, tmp_path):
    reserve(ledger, 1, value="100", gas="0")
    reserve(ledger, 2, value="50", gas="0")

    granted = race(f"sqlite:///{tmp_path / FILE}", workers=2)

    state = ledger.state(at=NOW)
    assert granted == 100
    assert (state.is_intact, state.value_day_usd) == (True, Decimal(250))
