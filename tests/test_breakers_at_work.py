"""Breakers in whole runs: what trips them, what they leave alone, and that exits pass through all of them."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from domain.errors import SigningRefused, StoreUnavailable
from domain.run import RunStatus
from domain.transaction import IntentStatus
from domain.verdict import TradingState
from graph.conduct import Conductor
from graph.workflow import build_graph
from guards import GUARDS
from memory.trading_state import SqlTradingStateStore
from tests.builders import PRICES, make_price, make_snapshot
from tests.builders_evidence import make_limits
from tests.fakes import CATALOG, Treasury
from tests.test_conduct import break_usdx

USDC = 10**6


@pytest.fixture
def treasury(tmp_path):
    with closing(Treasury(tmp_path)) as treasury:
        yield treasury


def state_of(treasury: Treasury) -> TradingState:
    return treasury.dependencies.trading_state.read()


def newest_change(treasury: Treasury):
    return treasury.dependencies.trading_state.history()[-1]


def reprice(treasury: Treasury, **prices: str) -> None:
    """Every source of these tokens says so."""
    known = [(price.token, price.source) for price in make_snapshot(CATALOG).prices]
    changed = tuple(make_price(token, prices.get(token, PRICES[token]), source=source) for token, source in known)
    treasury.market.market = make_snapshot(CATALOG, prices=changed)


def resume(treasury: Treasury, state: TradingState = TradingState.ACTIVE) -> None:
    now = treasury.market.now()
    treasury.dependencies.trading_state.write(state, by="alice", reason="looked into it", at=now)


def test_moving_cash_into_a_lending_position_is_not_a_drawdown(treasury):
    """Probe case 8: two thirds of the cash leave the wallet, and positions are valued, not token balances."""
    moved = treasury.run("run-1")
    cash = treasury.market.book.cash_of("usdc")

    treasury.run("run-2")

    assert moved.status is RunStatus.EXECUTED
    assert cash < 700_000 * USDC
    assert state_of(treasury) is TradingState.ACTIVE
    valuation = treasury.dependencies.budgets.valuation(at=treasury.market.now())
    assert valuation.net_asset_value_usd == valuation.peak_usd == 970_000


def test_a_fall_of_value_reduces_before_anything_is_decided(treasury):
    treasury.run("run-1")
    reprice(treasury, weth="1500")  # 20 of them: a loss of 40,000 of 970,000

    denied = treasury.run("run-2")

    change = newest_change(treasury)
    assert (change.state, change.by) == (TradingState.REDUCING, "system")
    assert [trip.code for trip in change.trips] == ["day_drawdown"]
    assert "run-2" not in {intent.run_id for intent in treasury.market.started.values()}
    assert denied.status in {RunStatus.DENIED, RunStatus.HELD}


def test_a_fall_from_the_peak_halts(tmp_path):
    no_windows = {"max_day_drawdown_share": "unlimited", "max_week_drawdown_share": "unlimited"}
    treasury = Treasury(tmp_path, policy=make_limits(breakers=no_windows))
    treasury.run("run-1")
    treasury.market.book = shrunk(treasury, by=97_001 * USDC)  # of 970,000; the limit is a tenth

    treasury.run("run-2")

    assert state_of(treasury) is TradingState.HALTED
    assert {trip.code for trip in newest_change(treasury).trips} == {"peak_drawdown"}
    treasury.close()


def shrunk(treasury: Treasury, *, by: int):
    """The account after so much USDC is gone."""
    book = treasury.market.book
    cash = tuple(b.model_copy(update={"amount": b.amount - by}) if b.token == "usdc" else b for b in book.cash)
    return book.model_copy(update={"cash": cash})


def test_nothing_raises_the_state_again_but_an_operator_and_a_resume_starts_a_new_peak(treasury):
    treasury.run("run-1")
    reprice(treasury, weth="1500")
    treasury.run("run-2")
    reprice(treasury)
    treasury.run("run-3")
    latched = state_of(treasury)
    reprice(treasury, weth="1500")

    resume(treasury)
    treasury.run("run-4")

    assert (latched, state_of(treasury)) == (TradingState.REDUCING, TradingState.ACTIVE)
    assert treasury.dependencies.budgets.valuation(at=treasury.market.now()).peak_usd == 930_000


def test_a_way_out_leaves_although_its_own_fall_tripped_a_breaker(tmp_path):
    """Probe case 9: a tripped stop-loss lets the withdrawal through."""
    treasury = Treasury(tmp_path, policy=make_limits(breakers={"max_peak_drawdown_share": "0.005"}))
    treasury.run("run-1")
    break_usdx(treasury)

    record = treasury.run("run-2")

    assert state_of(treasury) is TradingState.HALTED
    assert (record.status, record.verdict.is_exit) == (RunStatus.EXECUTED, True)
    assert treasury.market.book.position_of("aave-usdx") == 0
    treasury.close()


def test_blind_runs_in_a_row_reduce_and_a_run_that_sees_ends_the_row(treasury):
    treasury.market.is_down = True
    for number in range(5):
        treasury.run(f"blind-{number}")
    treasury.market.is_down = False
    treasury.run("sees")
    treasury.market.is_down = True
    for number in range(5, 10):
        treasury.run(f"blind-{number}")
    before = state_of(treasury)

    treasury.run("one-too-many")

    assert (before, state_of(treasury)) == (TradingState.ACTIVE, TradingState.REDUCING)
    assert [trip.code for trip in newest_change(treasury).trips] == ["blind_runs"]


def refuse_signatures(treasury: Treasury) -> None:
    def refuse(plan, certificate):
        intent = treasury.market.started[certificate.batch_digest]
        expired = intent.model_copy(update={"status": IntentStatus.EXPIRED})
        treasury.market.started[certificate.batch_digest] = expired
        raise SigningRefused("the key is locked")

    treasury.market.settle = refuse


def test_failed_runs_in_a_row_reduce_and_count_anew_after_a_resume(treasury):
    refuse_signatures(treasury)
    for number in range(4):
        treasury.run(f"run-{number}")
    tripped = [trip.code for trip in newest_change(treasury).trips]

    resume(treasury)
    treasury.run("run-4")

    assert tripped == ["failed_runs"]
    assert state_of(treasury) is TradingState.ACTIVE


def test_a_guard_that_fails_inside_denies_and_halts(treasury, monkeypatch):
    def broken(case):
        raise ZeroDivisionError("a bug")

    monkeypatch.setitem(GUARDS, "economics", broken)
    record = treasury.run()

    assert record.status is RunStatus.DENIED
    assert state_of(treasury) is TradingState.HALTED
    assert [(trip.code, trip.subject) for trip in newest_change(treasury).trips] == [("guard_fault", "economics")]


def test_a_loss_beyond_the_budget_reduces_after_the_run_that_made_it(tmp_path):
    treasury = Treasury(tmp_path, policy=make_limits(budgets={"max_day_loss_usd": 1_000}))
    settle = treasury.market.settle

    def lose(plan, certificate):
        receipt = settle(plan, certificate)
        treasury.market.book = shrunk(treasury, by=1_001 * USDC)
        return receipt

    treasury.market.settle = lose
    treasury.run()

    assert state_of(treasury) is TradingState.REDUCING
    assert "day_loss" in {trip.code for trip in newest_change(treasury).trips}
    treasury.close()


def test_transfers_that_differ_from_the_simulated_ones_reduce_and_never_raise(treasury):
    settle = treasury.market.settle

    def differ(plan, certificate):
        halt(treasury)
        receipt = settle(plan, certificate)
        return receipt.model_copy(update={"deltas": ()})

    treasury.market.settle = differ
    record = treasury.run()

    assert record.surprises
    assert state_of(treasury) is TradingState.HALTED


def halt(treasury: Treasury) -> None:
    resume(treasury, TradingState.HALTED)


def test_every_transition_is_in_the_journal_with_what_tripped(treasury):
    treasury.run("run-1")
    reprice(treasury, weth="1500")
    treasury.run("run-2")

    journal = treasury.dependencies.journal
    (entry,) = journal.entries(kind="breaker")
    body = json.loads(journal.body(entry.sequence))
    assert (entry.subject, body["by"]) == ("reducing", "system")
    assert [(trip["code"], trip["limit"]) for trip in body["trips"]] == [("day_drawdown", "0.03")]


def damage(treasury: Treasury, *statements: str) -> None:
    with closing(sqlite3.connect(treasury.folder / "treasury.db", isolation_level=None)) as connection:
        for action in ("update", "delete"):
            connection.execute(f"DROP TRIGGER IF EXISTS book_entries_no_{action}")
        for statement in statements:
            connection.execute(statement)


DAMAGES = [
    "DELETE FROM book_entries WHERE book = 'budget' AND sequence = 1",
    "DELETE FROM book_entries WHERE book = 'budget'",
    "UPDATE book_entries SET body = x'7b7d' WHERE book = 'budget' AND kind = 'valuation'",
    "DELETE FROM book_heads WHERE book = 'budget'",
]


@pytest.mark.parametrize("statement", DAMAGES)
def test_a_damaged_ledger_halts_and_says_why_and_the_way_out_stays_open(treasury, statement):
    """Probe case 6."""
    treasury.run("run-1")
    treasury.later(hours=1)
    damage(treasury, statement)
    reprice(treasury, dai="0.999")
    denied = treasury.run("run-2")
    why = {trip.code: trip.observed for trip in newest_change(treasury).trips}

    break_usdx(treasury)
    left = treasury.run("run-3")

    assert denied.status in {RunStatus.DENIED, RunStatus.HELD}
    assert state_of(treasury) is TradingState.HALTED
    assert why["ledger_corrupt"].startswith(("entry", "entries", "the head row"))
    assert (left.status, left.verdict.is_exit) == (RunStatus.EXECUTED, True)


def test_records_that_cannot_be_read_halt(treasury):
    treasury.run("run-1")
    damage(treasury, "UPDATE book_entries SET body = x'7b7d' WHERE book = 'journal' AND kind = 'run'")

    treasury.run("run-2")

    assert state_of(treasury) is TradingState.HALTED
    assert ("reading_missing", "streak") in {(trip.code, trip.subject) for trip in newest_change(treasury).trips}


class FullDisk(SqlTradingStateStore):
    """Takes no breaker's change the first time that one is judged after a record."""

    def __init__(self, treasury: Treasury) -> None:
        super().__init__(treasury.database)
        self._runs = treasury.runs
        self.refused = False

    def tighten(self, trips, *, at):
        if not self.refused and self._runs.record("run-1") is not None:
            self.refused = True
            raise StoreUnavailable("disk full")
        return super().tighten(trips, at=at)


def test_a_breaker_that_cannot_be_written_ends_the_run_with_its_record_kept(treasury):
    disk = FullDisk(treasury)
    treasury.dependencies = replace(treasury.dependencies, trading_state=disk)
    conductor = Conductor(build_graph(treasury.dependencies, treasury.saver), treasury.dependencies)

    status = conductor.start(treasury.request())

    assert (status, treasury.runs.record("run-1").status) == (RunStatus.EXECUTED, RunStatus.EXECUTED)
    assert disk.refused
    assert state_of(treasury) is TradingState.HALTED
