"""Following the file before every walk: a server notices an edit, outlives a bad one, and halts without its records."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from app.policy_edit import replace_limit
from app.policy_in_force import PolicyInForce
from app.settings import POLICY_FILE, Settings, load_policy
from app.stores import make_stores
from domain.errors import ApprovalRefused, ConfigurationInvalid
from domain.run import RunStatus
from domain.verdict import TradingState
from graph.conduct import Conductor
from graph.workflow import build_graph
from memory import books
from memory.hash_chain import Book
from tests.builders import NOW, POLICY_PATH, make_portfolio, make_price, make_snapshot
from tests.fakes import Treasury
from tests.fakes_chain import FixedClock

DELAY = timedelta(days=1)


class Server:
    """A treasury whose every walk follows the file, as the composition root wires it."""

    def __init__(self, folder):
        self.treasury = Treasury(folder)
        self.file = folder / POLICY_FILE
        self.file.write_text(POLICY_PATH.read_text())
        self.clock = FixedClock()
        self.stores = make_stores(self.treasury.database)
        self.policy = PolicyInForce(self.stores, Settings(home=folder, user="bob"), self.clock)
        self.policy.follow_file()
        self.dependencies = replace(self.treasury.dependencies, policy_in_force=self.policy.current)
        graph = build_graph(self.dependencies, self.treasury.saver)
        self.conductor = Conductor(graph, self.dependencies, take_turn=self._turn)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        self.policy.before_walk()
        yield

    def edit(self, section, key, value):
        replace_limit(self.file, section, key, value)

    def run(self, run_id):
        status = self.conductor.start(self.treasury.request(run_id))
        return self.treasury.runs.record(run_id) or status


@pytest.fixture
def server(tmp_path):
    server = Server(tmp_path)
    yield server
    server.treasury.close()


def test_the_first_start_adopts_the_file(server):
    assert server.dependencies.policy == load_policy(server.file)
    assert server.policy.problem is None


def test_a_tighter_file_binds_the_next_walk_without_a_restart(server):
    server.edit("approval", "min_value_without_approval_usd", "1")

    assert server.run("run-1") is RunStatus.WAITING
    assert server.dependencies.policy == load_policy(server.file)


def test_within_a_walk_the_policy_stays_what_it_was(server):
    before = server.dependencies.policy

    server.edit("approval", "min_value_without_approval_usd", "1")

    assert server.dependencies.policy == before


def test_a_looser_file_waits_through_walks_until_it_was_approved_and_its_time_came(server):
    server.edit("budgets", "max_week_value_usd", "9_000_000")
    wish, before = load_policy(server.file), server.dependencies.policy
    server.run("run-1")
    waiting = server.policy.pending()
    server.stores.policies.approve(waiting.digest, by="alice", at=server.clock.now())
    server.run("run-2")
    in_between = server.dependencies.policy

    server.clock.moment = NOW + DELAY
    server.run("run-3")

    assert (waiting.digest, waiting.proposed_by) == (wish.digest(), "bob")
    assert in_between == before
    assert server.dependencies.policy == wish


def test_a_plan_that_waited_while_the_policy_tightened_is_denied(server):
    """Consent was given to a plan of the old policy; its digest is in the plan's."""
    server.edit("approval", "min_value_without_approval_usd", "1")
    server.run("run-1")
    (waiting,) = server.dependencies.approvals.pending()
    server.dependencies.approvals.answer(
        waiting.batch_digest, approved=True, answered_by="alice", role="approver", at=NOW
    )

    server.edit("budgets", "max_day_loss_usd", "4_999")
    status = server.conductor.resume("run-1")

    verdict = server.treasury.runs.record("run-1").verdict
    assert status is RunStatus.DENIED
    assert "policy_digest" in {denial.code for denial in verdict.denials}
    assert not server.treasury.market.receipts


def test_a_server_outlives_a_bad_edit_under_what_was_in_force(server):
    before = server.dependencies.policy
    server.file.write_text(server.file.read_text().replace("max_day_loss_usd = 5_000", "max_day_loss_usd = -1"))

    record = server.run("run-1")

    assert record.status is RunStatus.EXECUTED
    assert record.policy_digest == before.digest()
    assert "'budgets.max_day_loss_usd' is '-1'" in server.policy.problem
    assert server.dependencies.trading_state.read() is TradingState.ACTIVE


def test_a_start_with_a_bad_file_is_refused_and_leaves_what_was_in_force(server, tmp_path):
    before = server.dependencies.policy
    server.file.write_text("[exposure]\n")

    with pytest.raises(ConfigurationInvalid, match="is missing"):
        PolicyInForce(server.stores, Settings(home=tmp_path), server.clock).follow_file()

    assert server.stores.policies.standing().in_force == before


def test_a_command_outlives_a_bad_edit_under_what_is_in_force(server, tmp_path):
    before = server.dependencies.policy
    server.file.write_text("[exposure]\n")
    fresh = PolicyInForce(server.stores, Settings(home=tmp_path), server.clock)

    fresh.start()

    assert fresh.current() == before
    assert "is missing" in fresh.problem
    assert server.dependencies.trading_state.read() is TradingState.ACTIVE


def test_a_first_start_with_a_bad_file_has_nothing_to_go_by(tmp_path):
    with closing(Treasury(tmp_path)) as treasury:
        (tmp_path / POLICY_FILE).write_text("[exposure]\n")
        fresh = PolicyInForce(make_stores(treasury.database), Settings(home=tmp_path), FixedClock())

        with pytest.raises(ConfigurationInvalid, match="is missing"):
            fresh.start()


def test_a_bad_file_beside_records_that_cannot_be_read_leaves_nothing_to_go_by(server, tmp_path):
    with closing(sqlite3.connect(server.treasury.folder / "treasury.db")) as connection, connection:
        connection.execute("DELETE FROM book_heads WHERE book = 'trading'")
    server.file.write_text("[exposure]\n")

    with pytest.raises(ConfigurationInvalid, match="is missing"):
        PolicyInForce(server.stores, Settings(home=tmp_path), server.clock).start()


def test_a_bad_edit_is_logged_once_and_not_before_every_walk(server, caplog):
    server.file.write_text("[exposure]\n")

    for _ in range(3):
        server.policy.before_walk()

    assert [record.message.partition(" ")[0] for record in caplog.records] == ["policy_file_refused"]


def test_a_mended_file_is_followed_again(server):
    text = server.file.read_text()
    server.file.write_text("")
    server.policy.before_walk()
    server.file.write_text(text)

    server.policy.before_walk()

    assert server.policy.problem is None


def break_the_book(folder):
    with closing(sqlite3.connect(folder / "treasury.db", isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER book_entries_no_update")
        connection.execute("UPDATE book_entries SET body = x'7b7d' WHERE book = 'trading' AND kind = 'policy_adopted'")


def test_without_trustworthy_records_trading_halts(server, tmp_path):
    break_the_book(tmp_path)

    record = server.run("run-1")

    assert server.dependencies.trading_state.read() is TradingState.HALTED
    assert record.receipt is None
    assert "not intact" in server.policy.problem
    assert server.policy.pending() is None


def test_without_trustworthy_records_the_way_out_stays_open(server, tmp_path):
    broken = tuple(
        make_price(price.token, "0.90" if price.token == "usdx" else str(price.price_usd), source=price.source)
        for price in server.treasury.market.market.prices
    )
    server.treasury.market.market = make_snapshot(prices=broken)
    server.treasury.market.book = make_portfolio()
    break_the_book(tmp_path)

    record = server.run("run-1")

    assert record.events
    assert record.verdict.is_exit
    assert record.status is RunStatus.EXECUTED


def test_a_new_process_without_trustworthy_records_judges_exits_by_the_file(server, tmp_path):
    break_the_book(tmp_path)
    fresh = PolicyInForce(server.stores, Settings(home=tmp_path), server.clock)

    events = fresh.follow_file()

    assert events == ()
    assert fresh.current() == load_policy(server.file)
    assert server.dependencies.trading_state.read() is TradingState.HALTED


def test_what_this_version_cannot_read_halts_until_somebody_adopts_the_file(server):
    event = server.stores.policies.history()[0]
    foreign = event.model_copy(update={"text": {**event.text, "moon_phase": "full"}})
    append_to_trading_book(server, foreign)

    record = server.run("run-1")
    halted = server.dependencies.trading_state.read()
    server.stores.policies.restart(load_policy(server.file), by="alice", at=NOW, reason="a newer program")
    server.policy.before_walk()

    assert {denial.code for denial in record.verdict.denials} == {"trading_state_halted"}
    assert halted is TradingState.HALTED
    assert server.policy.problem is None
    assert server.dependencies.trading_state.read() is TradingState.HALTED


def append_to_trading_book(server, event):
    body = event.model_dump_json().encode()
    with server.treasury.database.writing() as connection:
        books.append(connection, Book.TRADING, kind=event.kind, subject=event.digest, body=body, at=event.at)


def test_who_answers_an_approval_is_judged_by_the_policy_in_force(server):
    server.edit("approval", "min_value_without_approval_usd", "1")
    server.edit("approval", "requires_four_eyes", "false")
    server.run("run-1")
    (waiting,) = server.stores.approvals.pending()

    with pytest.raises(ApprovalRefused, match=r"^four_eyes: "):
        server.stores.approvals.answer(
            waiting.batch_digest, approved=True, answered_by=waiting.requested_by, role="approver", at=NOW
        )
