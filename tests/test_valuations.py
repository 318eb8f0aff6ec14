"""Valuations in the budget book: heights of the last day, the last week and since trading was last resumed."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from domain.breakers import Trip
from domain.verdict import TradingState
from memory.budgets import SqlBudgetLedger
from memory.database import open_database
from memory.trading_state import SqlTradingStateStore
from tests.builders import NOW
from tests.test_budgets import FILE, reserve

ZEROS = (Decimal(0),) * 4


@pytest.fixture
def database(tmp_path):
    opened = open_database(f"sqlite:///{tmp_path / FILE}")
    SqlTradingStateStore(opened).start(TradingState.ACTIVE, by="init", reason="first start", at=NOW)
    yield opened
    opened.close()


@pytest.fixture
def ledger(database):
    return SqlBudgetLedger(database)


def note(ledger, value: int, *, days: float = 0, protocols: tuple[str, ...] = ("aave-v3",)) -> None:
    """`days` before now."""
    moment = NOW - timedelta(days=days)
    ledger.note_value("run-1", net_asset_value_usd=Decimal(value), protocols=protocols, at=moment)


def heights(ledger, *, at=NOW) -> tuple[Decimal, ...]:
    found = ledger.valuation(at=at)
    return (found.net_asset_value_usd, found.day_high_usd, found.week_high_usd, found.peak_usd)


def test_before_the_first_valuation_there_is_nothing_that_could_have_fallen(ledger):
    assert heights(ledger) == ZEROS
    assert ledger.valuation(at=NOW).protocols == ()


def test_every_height_is_the_highest_of_its_window(ledger):
    for value, days in ((130, 30), (120, 6), (110, 0.5), (100, 0)):
        note(ledger, value, days=days)

    assert heights(ledger) == (100, 110, 120, 130)


@pytest.mark.parametrize(("age", "day", "week"), [(1, 100, 200), (7, 100, 100), (0.999, 200, 200), (6.999, 100, 200)])
def test_windows_of_value_roll_too(ledger, age, day, week):
    note(ledger, 200, days=age)
    note(ledger, 100)

    assert heights(ledger) == (100, day, week, 200)


def test_the_peak_lasts_however_old_it_is_and_whatever_else_the_book_holds(ledger):
    note(ledger, 200, days=400)
    note(ledger, 150, days=300)
    reserve(ledger)

    assert heights(ledger) == (150, 150, 150, 200)


def test_the_newest_valuation_names_what_is_held(ledger):
    note(ledger, 100, protocols=("aave-v3", "limited-vault"))
    note(ledger, 100, protocols=())

    assert ledger.valuation(at=NOW).protocols == ()


def test_a_clock_set_back_hides_no_height(ledger):
    note(ledger, 200)
    note(ledger, 100)

    assert heights(ledger, at=NOW - timedelta(days=3)) == (100, 200, 200, 200)


@pytest.mark.parametrize("state", [TradingState.ACTIVE, TradingState.REDUCING])
def test_a_resume_starts_every_height_anew_before_and_after_the_next_valuation(database, ledger, state):
    note(ledger, 200)
    note(ledger, 100)
    SqlTradingStateStore(database).write(state, by="alice", reason="we withdrew", at=NOW)
    at_once = heights(ledger)
    note(ledger, 90)

    assert at_once == (100, 100, 100, 100)
    assert heights(ledger) == (90, 90, 90, 90)


def test_a_halt_and_a_breaker_are_no_resume(database, ledger):
    note(ledger, 200)
    store = SqlTradingStateStore(database)
    trip = Trip(code="x", state=TradingState.REDUCING, subject="x", limit="1", observed="2", unit="usd")
    store.tighten([trip], at=NOW)
    store.write(TradingState.HALTED, by="alice", reason="lunch", at=NOW)
    note(ledger, 100)

    assert heights(ledger) == (100, 200, 200, 200)


def test_by_whose_clock_trading_was_resumed_does_not_matter(database, ledger):
    """An operator resumes by the machine's clock while runs may go by a chain's, which can be days ahead."""
    note(ledger, 200)
    long_ago = NOW - timedelta(days=30)
    SqlTradingStateStore(database).write(TradingState.ACTIVE, by="alice", reason="we withdrew", at=long_ago)
    note(ledger, 100)

    assert heights(ledger) == (100, 100, 100, 100)


def test_amounts_are_exact(ledger):
    value = Decimal("123456789012345678901234567890.000000000000000001")
    ledger.note_value("run-1", net_asset_value_usd=value, protocols=(), at=NOW)

    assert ledger.valuation(at=NOW).peak_usd == value
