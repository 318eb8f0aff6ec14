"""The catalog under the policy's delay: what a process works with, what waits, and who lets it pass."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from app.policy_in_force import RESTART, CatalogInForce, PolicyInForce, known_catalog
from app.settings import POLICY_FILE, STRATEGIES_FILE, Settings, load_catalog
from app.stores import make_stores
from domain.change_history import Step
from domain.errors import ApprovalRefused, ConfigurationInvalid, InvariantBroken, StoreUnavailable
from domain.verdict import TradingState
from memory import books
from memory.database import open_database
from memory.hash_chain import Book
from memory.journal import SqlJournal
from tests.builders import NOW, POLICY_PATH
from tests.fakes_chain import FixedClock
from tests.repository import ROOT

DELAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
SLOW_FEED = ("feed_heartbeat_seconds = ", "feed_heartbeat_seconds = 1000")
MORE_FACTORS = ("factors = [", 'factors = ["one-more", ')
FEWER_COLLATERAL = ("collateral = [", "collateral = [] # [")


class Process:
    """One start of the program over a home's files and books."""

    def __init__(self, folder, clock, user="bob"):
        self.folder = folder
        self.database = open_database(f"sqlite:///{folder / 'autofi.db'}")
        self.stores = make_stores(self.database)
        self.settings = Settings(home=folder, user=user)
        self.policy = PolicyInForce(self.stores, self.settings, clock)
        self.catalog = CatalogInForce(self.stores, self.settings, clock)
        self.policy.start()
        self.catalog.start()
        self.bound = self.catalog.bind()


class Desk:
    """A home, its clock, and however many processes a test starts."""

    def __init__(self, folder):
        self.folder = folder
        self.clock = FixedClock()
        self.file = folder / STRATEGIES_FILE
        self.file.write_text((ROOT / "config" / STRATEGIES_FILE).read_text())
        (folder / POLICY_FILE).write_text(POLICY_PATH.read_text())
        self.processes = []
        self.shipped = load_catalog(self.file)

    def start(self, user="bob"):
        self.processes.append(Process(self.folder, self.clock, user))
        return self.processes[-1]

    def edit(self, old, new):
        text = self.file.read_text()
        assert old in text
        self.file.write_text(text.replace(old, new, 1))

    def wish(self):
        return load_catalog(self.file)


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path)
    yield desk
    for process in desk.processes:
        process.database.close()


def steps(process):
    return [event.step for event in process.stores.catalogs.history()]


def test_the_first_start_adopts_the_file_and_the_next_writes_nothing(desk):
    process = desk.start()
    again = desk.start()

    (event,) = again.stores.catalogs.history()
    assert process.bound == again.bound == desk.shipped
    assert (event.kind, event.digest, event.by) == ("catalog_adopted", desk.shipped.digest(), "bob")
    assert [entry.kind for entry in SqlJournal(again.database).entries()] == ["policy_adopted", "catalog_adopted"]


@pytest.mark.parametrize("edit", [SLOW_FEED, FEWER_COLLATERAL], ids=["slower feed", "fewer labels"])
def test_a_looser_catalog_waits_for_the_delay_and_another_person(desk, edit):
    desk.start()
    desk.edit(*edit)
    waiting = desk.start()
    digest = desk.wish().digest()
    with pytest.raises(ApprovalRefused, match=r"^four_eyes: catalog .* was proposed by bob"):
        waiting.stores.catalogs.approve(digest, by="bob", at=NOW)
    waiting.stores.catalogs.approve(digest, by="alice", at=NOW)

    desk.clock.moment = NOW + DELAY - SECOND
    too_early = desk.start().bound
    desk.clock.moment = NOW + DELAY
    in_time = desk.start()

    assert waiting.bound == too_early == desk.shipped
    assert in_time.bound == desk.wish()
    assert steps(in_time) == [Step.ADOPTED, Step.PROPOSED, Step.APPROVED, Step.ADOPTED]


def test_without_an_approval_the_delay_alone_changes_nothing(desk):
    desk.start()
    desk.edit(*SLOW_FEED)
    desk.start()

    desk.clock.moment = NOW + DELAY

    assert desk.start().bound == desk.shipped


def test_one_label_more_takes_effect_at_the_next_start(desk):
    desk.start()
    desk.edit(*MORE_FACTORS)

    process = desk.start()

    assert process.bound == desk.wish() != desk.shipped
    assert steps(process) == [Step.ADOPTED, Step.TIGHTENED]


def test_a_file_that_does_both_waits_as_a_whole(desk):
    desk.start()
    desk.edit(*MORE_FACTORS)
    desk.edit(*SLOW_FEED)

    process = desk.start()

    assert process.bound == desk.shipped
    assert steps(process) == [Step.ADOPTED, Step.PROPOSED]
    assert len(process.catalog.pending().changes) == 2


def test_a_file_put_back_withdraws_what_waits(desk):
    desk.start()
    text = desk.file.read_text()
    desk.edit(*SLOW_FEED)
    desk.start()
    desk.file.write_text(text)

    process = desk.start()

    assert steps(process) == [Step.ADOPTED, Step.PROPOSED, Step.WITHDRAWN]
    assert process.catalog.pending() is None


def test_the_delay_is_that_of_the_policy_in_force_and_not_of_its_file(desk):
    desk.start()
    policy = desk.folder / POLICY_FILE
    policy.write_text(policy.read_text().replace("loosening_delay_seconds = 86_400", "loosening_delay_seconds = 0"))
    desk.edit(*SLOW_FEED)

    process = desk.start()

    assert process.policy.pending().not_before == NOW + DELAY
    assert process.catalog.pending().not_before == NOW + DELAY


def test_a_server_keeps_its_catalog_until_it_starts_again_and_says_so_once(desk, caplog):
    server = desk.start()
    desk.edit(*MORE_FACTORS)

    for _ in range(2):
        server.catalog.before_walk()

    assert server.bound == desk.shipped
    assert server.catalog.restart == RESTART
    assert [record.message.partition(" ")[0] for record in caplog.records] == ["catalog_needs_restart"]
    assert desk.start().catalog.restart is None


def test_a_bad_edit_closes_no_way_out(desk):
    desk.start()
    desk.edit("chain_id = 31337", "chain_id = 1")

    process = desk.start()

    assert process.bound == desk.shipped
    assert "chain_id is 1" in process.catalog.problem


def test_a_first_start_with_a_bad_file_is_refused(desk):
    desk.file.write_text("")

    with pytest.raises(ConfigurationInvalid, match="is missing"):
        desk.start()


def test_a_catalog_of_another_version_halts_until_somebody_adopts_the_file(desk):
    first = desk.start()
    (event,) = first.stores.catalogs.history()
    foreign = event.model_copy(update={"text": {**event.text, "moon_phase": "full"}})
    with first.database.writing() as connection:
        body = foreign.model_dump_json().encode()
        books.append(connection, Book.TRADING, kind=event.kind, subject=event.digest, body=body, at=NOW)

    process = desk.start()
    state = process.stores.trading_state.read()
    process.stores.catalogs.restart(desk.wish(), by="alice", at=NOW, reason="a newer program")

    assert "catalog in force of" in process.catalog.problem
    assert process.bound == known_catalog(process.stores, process.settings) == desk.shipped
    assert state is TradingState.HALTED
    assert process.stores.policies.standing().in_force == process.policy.current()
    assert desk.start().catalog.problem is None


def test_a_readable_catalog_has_no_back_door(desk):
    process = desk.start()

    with pytest.raises(ConfigurationInvalid, match=r"catalog .* is in force and readable"):
        process.stores.catalogs.restart(desk.wish(), by="bob", at=NOW, reason="in a hurry")


def test_an_edited_row_is_seen(desk):
    process = desk.start()
    with closing(sqlite3.connect(desk.folder / "autofi.db", isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER book_entries_no_update")
        connection.execute("UPDATE book_entries SET body = replace(body, '3600', '9999') WHERE book = 'trading'")

    with pytest.raises(StoreUnavailable, match="not intact"):
        process.stores.catalogs.standing()
    assert known_catalog(process.stores, process.settings) == desk.shipped


def test_a_looser_catalog_without_any_policy_is_refused(desk):
    process = make_stores(open_database(f"sqlite:///{desk.folder / 'autofi.db'}"))
    process.catalogs.follow(desk.shipped, by="bob", at=NOW)
    desk.edit(*SLOW_FEED)

    with pytest.raises(InvariantBroken, match="and no policy"):
        process.catalogs.follow(desk.wish(), by="bob", at=NOW)
    process.database.close()


def test_where_the_policy_in_force_is_unreadable_no_catalog_loosens(desk):
    process = desk.start()
    event = process.stores.policies.history()[0]
    foreign = event.model_copy(update={"text": {**event.text, "moon_phase": "full"}})
    with process.database.writing() as connection:
        body = foreign.model_dump_json().encode()
        books.append(connection, Book.TRADING, kind=event.kind, subject=event.digest, body=body, at=NOW)
    desk.edit(*SLOW_FEED)

    with pytest.raises(StoreUnavailable, match="no catalog changes"):
        process.stores.catalogs.follow(desk.wish(), by="bob", at=NOW)
