"""Reservations of two processes at once never exceed a limit, and each is on disk before anything is signed."""

from __future__ import annotations

from decimal import Decimal

import pytest

from memory.budgets import SqlBudgetLedger
from memory.database import open_database
from tests.builders import NOW
from tests.fakes import Treasury
from tests.races import ROOM, race
from tests.test_budgets import FILE, make_window_limits


@pytest.mark.parametrize(
    ("limit", "window"), [("max_day_value_usd", "value_day_usd"), ("max_week_slippage_usd", "slippage_week_usd")]
)
def test_two_processes_get_exactly_what_the_limit_holds(tmp_path, limit, window):
    url = f"sqlite:///{tmp_path / FILE}"

    granted = race(url, make_window_limits(**{limit: ROOM}))

    database = open_database(url)
    state = SqlBudgetLedger(database).state(at=NOW)
    database.close()
    assert sum(granted) == ROOM
    assert (state.is_intact, getattr(state, window)) == (True, Decimal(ROOM))


def test_a_reservation_is_on_disk_when_the_batch_is_signed(tmp_path):
    treasury = Treasury(tmp_path)
    settle, seen = treasury.market.settle, []

    def look_first(plan, certificate):
        other = open_database(f"sqlite:///{tmp_path / 'treasury.db'}")  # as another process would
        seen.append(SqlBudgetLedger(other).state(at=treasury.market.now()))
        other.close()
        return settle(plan, certificate)

    treasury.market.settle = look_first
    treasury.run()

    (state,) = seen
    assert state.value_day_usd == state.turnover_day_usd > 0
    assert state.gas_day_usd > 0
    treasury.close()
