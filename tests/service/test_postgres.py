"""The same stores on PostgreSQL: chains, consent, budgets and intents hold there too, under two processes."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import psycopg
import pytest
from sqlalchemy import inspect

from domain.errors import ApprovalRefused, ConfigurationInvalid, InvariantBroken, StoreUnavailable
from domain.run import RunStatus
from domain.transaction import IntentStatus
from domain.verdict import ApprovalStatus, TradingState
from memory.approvals import SqlApprovalStore
from memory.artifacts import SqlArtifactStore
from memory.budgets import SqlBudgetLedger
from memory.database import open_database
from memory.execution_journal import SqlExecutionJournal
from memory.journal import SqlJournal
from memory.observations import SqlObservationStore
from memory.runs import SqlRunStore
from memory.tables import metadata
from memory.trading_state import SqlTradingStateStore
from tests import races, test_approvals, test_budgets, test_execution_journal, test_runs
from tests.builders import CHAIN_ID, NOW, OPERATOR, make_snapshot

pytestmark = pytest.mark.service


def execute(url: str, *statements: str) -> None:
    """As somebody who may do everything, past our own code."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


WITHOUT_TRIGGERS = "ALTER TABLE book_entries DISABLE TRIGGER ALL"


def test_migrations_make_every_table_and_opening_again_changes_nothing(postgres, postgres_url):
    SqlJournal(postgres).append(kind="run", subject="r", body=b"{}", at=NOW)
    again = open_database(postgres_url)

    assert set(inspect(again.engine).get_table_names()) == {*metadata.tables, "alembic_version"}
    assert SqlJournal(again).verify().entries == 1
    again.close()


def test_a_newer_database_is_refused_without_showing_a_password(postgres, postgres_url):
    execute(postgres_url, "UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(ConfigurationInvalid, match="revision 9999, newer") as refusal:
        open_database(postgres_url.replace("autofi@", "autofi:secret@"))

    assert "secret" not in str(refusal.value)


def test_a_server_that_does_not_answer_is_store_unavailable():
    with pytest.raises(StoreUnavailable, match="failed"):
        open_database("postgresql+psycopg://autofi@/none?host=/nowhere-at-all")


def test_the_journal_verifies_and_finds_tampering(postgres, postgres_url):
    journal = SqlJournal(postgres)
    for number in range(1, 6):
        journal.append(kind="run", subject=f"r{number}", body=f"body {number}".encode(), at=NOW)
    untouched = journal.verify()

    execute(postgres_url, WITHOUT_TRIGGERS, "UPDATE book_entries SET body = 'forged' WHERE sequence = 3")
    tampered = journal.verify()

    assert (untouched.is_verified, untouched.entries, journal.body(2)) == (True, 5, b"body 2")
    assert (tampered.is_verified, tampered.broken_sequence) == (False, 3)


@pytest.mark.parametrize(
    "statement", ["UPDATE book_entries SET kind = 'x'", "DELETE FROM book_entries", "TRUNCATE book_entries"]
)
def test_the_server_itself_refuses_to_change_an_entry(postgres, postgres_url, statement):
    SqlJournal(postgres).append(kind="run", subject="r", body=b"{}", at=NOW)

    with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
        execute(postgres_url, statement)


def test_an_approval_is_answered_and_used_once(postgres):
    store = SqlApprovalStore(postgres, requires_four_eyes=lambda: True)
    asked = store.request(test_approvals.make_approval())

    with pytest.raises(ApprovalRefused, match=r"^four_eyes"):
        test_approvals.answer(store, by="alice")
    test_approvals.answer(store)
    used = store.consume(asked.batch_digest, at=NOW)

    assert (asked.status, used.status) == (ApprovalStatus.PENDING, ApprovalStatus.USED)
    assert store.find(asked.batch_digest) == used
    with pytest.raises(ApprovalRefused, match=r"^already_used"):
        store.consume(asked.batch_digest, at=NOW)


def test_an_intent_goes_from_plan_to_receipt(postgres):
    journal, make = SqlExecutionJournal(postgres), test_execution_journal
    signed = make.bring_to(journal, IntentStatus.SIGNED)
    journal.mark(signed.batch_digest, IntentStatus.CONFIRMED)
    journal.store_receipt(make.make_receipt())

    assert journal.receipt(signed.batch_digest) == make.make_receipt()
    assert journal.open_intents() == ()
    assert journal.highest_nonce(chain_id=CHAIN_ID, sender=OPERATOR) == 7


def test_a_nonce_belongs_to_one_intent(postgres):
    journal, make = SqlExecutionJournal(postgres), test_execution_journal
    make.bring_to(journal, IntentStatus.SIGNED)
    journal.plan(make.make_intent(make.OTHER))

    with pytest.raises(InvariantBroken, match="refused a row"):
        journal.assign_nonce(make.OTHER, nonce=7)


def test_budgets_reserve_settle_and_release(postgres):
    ledger = SqlBudgetLedger(postgres)
    test_budgets.reserve(ledger, 1)
    test_budgets.reserve(ledger, 2)
    test_budgets.settle(ledger, 1)
    ledger.release(test_budgets.digest(2))

    state = ledger.state(at=NOW)

    assert (state.is_intact, state.value_day_usd, state.loss_day_usd) == (True, Decimal(100), Decimal(3))
    assert ledger.problem() is None


def test_a_tampered_ledger_is_not_intact(postgres, postgres_url):
    ledger = SqlBudgetLedger(postgres)
    for number in (1, 2, 3):
        test_budgets.reserve(ledger, number)

    execute(postgres_url, WITHOUT_TRIGGERS, "DELETE FROM book_entries WHERE sequence = 2")

    assert not ledger.state(at=NOW).is_intact


@pytest.mark.parametrize(
    ("limit", "window"),
    [
        ("max_week_value_usd", "value_week_usd"),
        ("max_day_loss_usd", "loss_day_usd"),
        ("max_day_turnover_usd", "turnover_day_usd"),
    ],
)
def test_two_processes_get_exactly_what_the_limit_holds(postgres, postgres_url, limit, window):
    granted = races.race(postgres_url, test_budgets.make_window_limits(**{limit: races.ROOM}))

    state = SqlBudgetLedger(postgres).state(at=NOW)
    assert sum(granted) == races.ROOM
    assert (state.is_intact, getattr(state, window)) == (True, Decimal(races.ROOM))


def test_the_trading_state_is_the_newest_and_halted_when_unreadable(postgres, postgres_url):
    store = SqlTradingStateStore(postgres)
    store.start(TradingState.ACTIVE, by="init", reason="paper mode", at=NOW)
    started = store.read()

    execute(postgres_url, WITHOUT_TRIGGERS, "DELETE FROM book_entries")

    assert (started, store.read()) == (TradingState.ACTIVE, TradingState.HALTED)


def test_runs_artifacts_and_observations_come_back(postgres):
    runs, artifacts, observations = SqlRunStore(postgres), SqlArtifactStore(postgres), SqlObservationStore(postgres)
    test_runs.finish(runs, "run-1", RunStatus.HELD, "1" * 64)
    observations.append(make_snapshot())
    observations.append(make_snapshot())

    assert runs.last_input_digest() == "1" * 64
    assert runs.record("run-1").status is RunStatus.HELD
    assert artifacts.get(artifacts.put(b"\x00content")) == b"\x00content"
    assert {each.strategy for each in observations.latest_rates()} == {each.strategy for each in make_snapshot().rates}
    assert len(observations.history(days=2, until=NOW + timedelta(minutes=1)).price_usd) == 5
