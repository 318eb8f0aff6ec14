"""The budget ledger against a naive model of it, over any order of steps, clocks that jump, and restarts."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from domain.budget import Spending
from domain.errors import BudgetExceeded
from domain.verdict import TradingState
from memory.budgets import SqlBudgetLedger
from memory.database import open_database
from memory.trading_state import SqlTradingStateStore
from tests.builders import NOW
from tests.test_budgets import FILE, digest, make_window_limits

DAY, WEEK, HOUR = timedelta(days=1), timedelta(days=7), timedelta(hours=1)
NAMES = ("value", "loss", "gas", "slippage", "turnover")
WINDOWS = {
    "value_day_usd": ("value", DAY, 20),
    "value_week_usd": ("value", WEEK, 40),
    "loss_day_usd": ("loss", DAY, 18),
    "loss_week_usd": ("loss", WEEK, 36),
    "gas_day_usd": ("gas", DAY, 19),
    "slippage_day_usd": ("slippage", DAY, 17),
    "slippage_week_usd": ("slippage", WEEK, 30),
    "turnover_day_usd": ("turnover", DAY, 21),
}
"""What each window sums, how far it reaches and what it may hold."""
LIMITS = make_window_limits(
    max_transaction_value_usd=8,
    **{f"max_{'_'.join(name.split('_')[1::-1])}_usd": row[2] for name, row in WINDOWS.items()},
)
numbers = st.integers(min_value=1, max_value=5)
amounts = st.integers(min_value=0, max_value=9)


@dataclass
class Batch:
    """What the model remembers of one batch; amounts in whole dollars by name."""

    reserved_at: datetime
    amounts: dict[str, int]
    settled: dict[str, int] | None = None
    settled_at: datetime | None = None
    is_released: bool = False

    @property
    def is_in_flight(self) -> bool:
        return self.settled is None and not self.is_released

    def counted(self, name: str, reach: timedelta, now: datetime) -> int:
        if self.is_released:
            return 0
        if self.settled is None:
            return self.amounts[name]
        moment = self.settled_at if name == "loss" else self.reserved_at
        return self.settled.get(name, self.amounts[name]) if moment > now - reach else 0


@dataclass
class Model:
    """Every step that ever happened, summed anew for every question."""

    batches: dict[int, Batch] = field(default_factory=dict)
    runs: dict[str, datetime] = field(default_factory=dict)
    values: list[tuple[datetime, int, int]] = field(default_factory=list)
    resumes: int = 0

    def used(self, window: str, now: datetime, *, without: int | None = None) -> int:
        name, reach, _ = WINDOWS[window]
        return sum(b.counted(name, reach, now) for number, b in self.batches.items() if number != without)

    def fits(self, number: int, wanted: dict[str, int], now: datetime) -> bool:
        has_room = all(self.used(w, now, without=number) + wanted[row[0]] <= row[2] for w, row in WINDOWS.items())
        return has_room and wanted["value"] <= 8

    def highest(self, reach: timedelta, now: datetime) -> int:
        newest = self.values[-1][1]
        return max([newest, *(v for at, v, resumes in self.values if resumes == self.resumes and at > now - reach)])

    def peak(self) -> int:
        newest = self.values[-1][1]
        return max([newest, *(v for _, v, resumes in self.values if resumes == self.resumes)])


class LedgerMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="autofi-ledger-"))
        self.now, self.model = NOW, Model()
        self.open()

    def open(self) -> None:
        self.database = open_database(f"sqlite:///{self.folder / FILE}")
        self.ledger = SqlBudgetLedger(self.database)

    def teardown(self) -> None:
        self.database.close()
        shutil.rmtree(self.folder)

    @initialize()
    def start(self) -> None:
        SqlTradingStateStore(self.database).start(TradingState.ACTIVE, by="init", reason="first start", at=NOW)

    @rule(hours=st.sampled_from((-30, -1, 1, 23, 24, 25, 167, 168, 400)), microseconds=st.sampled_from((0, 1)))
    def pass_time(self, hours: int, microseconds: int) -> None:
        self.now += timedelta(hours=hours, microseconds=microseconds)

    @rule()
    def restart(self) -> None:
        self.database.close()
        self.open()

    @rule(number=numbers, drawn=st.tuples(*[amounts] * len(NAMES)), is_limited=st.booleans())
    def reserve(self, number: int, drawn: tuple[int, ...], is_limited: bool) -> None:
        asked, known = dict(zip(NAMES, drawn, strict=True)), self.model.batches.get(number)
        held = known.amounts if known is not None and not known.is_released else None
        wanted = asked if held is None else {name: max(asked[name], held[name]) for name in NAMES}
        changes = held is None or (known.settled is None and wanted != held)
        spending = Spending.model_validate({f"{name}_usd": amount for name, amount in asked.items()})
        limits = LIMITS if is_limited else None
        if is_limited and changes and not self.model.fits(number, wanted, self.now):
            with pytest.raises(BudgetExceeded):
                self.ledger.reserve(digest(number), spending, at=self.now, limits=limits)
            return
        self.ledger.reserve(digest(number), spending, at=self.now, limits=limits)
        if changes:
            self.model.batches[number] = Batch(self.now, wanted)

    def in_flight(self) -> list[int]:
        return [number for number, batch in self.model.batches.items() if batch.is_in_flight]

    @precondition(in_flight)
    @rule(data=st.data(), gas=amounts, loss=amounts, slippage=amounts)
    def settle(self, data: st.DataObject, gas: int, loss: int, slippage: int) -> None:
        number = data.draw(st.sampled_from(self.in_flight()))
        actual = {"gas": gas, "loss": loss, "slippage": slippage}
        for _ in range(2):  # repeating it is harmless
            spent = {f"{name}_usd": Decimal(amount) for name, amount in actual.items()}
            self.ledger.settle(digest(number), **spent, at=self.now)
        batch = self.model.batches[number]
        batch.settled, batch.settled_at = actual, self.now

    @precondition(in_flight)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(self.in_flight()))
        self.ledger.release(digest(number))
        self.model.batches[number].is_released = True

    @rule(number=numbers)
    def count_run(self, number: int) -> None:
        self.ledger.count_run(f"run-{number}", at=self.now)
        self.model.runs.setdefault(f"run-{number}", self.now)

    @rule(value=amounts)
    def value(self, value: int) -> None:
        self.ledger.note_value("run-1", net_asset_value_usd=Decimal(value), protocols=(), at=self.now)
        self.model.values.append((self.now, value, self.model.resumes))

    @rule()
    def resume(self) -> None:
        store = SqlTradingStateStore(self.database)
        store.write(TradingState.ACTIVE, by="alice", reason="go on", at=self.now)
        self.model.resumes += 1

    @invariant()
    def every_window_holds_what_the_model_says(self) -> None:
        state = self.ledger.state(at=self.now)

        assert state.is_intact
        assert {window: getattr(state, window) for window in WINDOWS} == {
            window: self.model.used(window, self.now) for window in WINDOWS
        }
        assert state.runs_hour_count == sum(1 for at in self.model.runs.values() if at > self.now - HOUR)

    @invariant()
    def every_height_is_what_the_model_says(self) -> None:
        found = self.ledger.valuation(at=self.now)
        heights = (found.net_asset_value_usd, found.day_high_usd, found.week_high_usd, found.peak_usd)

        if not self.model.values:
            assert heights == (0, 0, 0, 0)
            return
        newest, model = self.model.values[-1][1], self.model
        assert heights == (newest, model.highest(DAY, self.now), model.highest(WEEK, self.now), model.peak())


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
