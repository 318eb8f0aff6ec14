"""The trading state under any order of operators, breakers, incidents, restarts and damage, against a naive model."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from contextlib import closing, nullcontext, suppress
from datetime import timedelta
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from domain.breakers import Trip
from domain.errors import AutofiError, UnknownSubject
from domain.verdict import TradingState
from memory.database import open_database
from memory.incidents import SqlIncidentStore
from memory.trading_state import SqlTradingStateStore
from tests.builders import NOW
from tests.test_trading_state import FILE, LADDER, make_trip

PROTOCOLS = frozenset({"aave-v3", "limited-vault"})
DAMAGES = (
    "DELETE FROM book_entries WHERE book = 'trading' AND sequence = 1",
    "DELETE FROM book_entries WHERE book = 'trading' AND sequence = "
    "(SELECT max(sequence) FROM book_entries WHERE book = 'trading')",
    "UPDATE book_entries SET subject = 'active' WHERE book = 'trading' AND subject != 'active'",
    "DELETE FROM book_heads WHERE book = 'trading'",
    "UPDATE book_heads SET sequence = sequence - 1 WHERE book = 'trading'",
)
ENTRIES_BEFORE_DAMAGE = 4
states = st.sampled_from(LADDER)
protocols = st.sampled_from(sorted(PROTOCOLS))


class TradingStateMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="autofi-trading-"))
        self.now, self.is_damaged = NOW, False
        self.expected, self.history, self.incidents = TradingState.HALTED, 0, set[str]()
        self.open()

    def open(self) -> None:
        self.database = open_database(f"sqlite:///{self.folder / FILE}")
        self.store, self.register = SqlTradingStateStore(self.database), SqlIncidentStore(self.database)

    def teardown(self) -> None:
        self.database.close()
        shutil.rmtree(self.folder)

    @initialize(state=states)
    def start(self, state: TradingState) -> None:
        self.store.start(state, by="init", reason="first start", at=self.now)
        self.expected, self.history = state, 1

    @rule(state=states, minutes=st.integers(min_value=-60, max_value=60))
    def operator_sets(self, state: TradingState, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)
        with suppress(AutofiError) if self.is_damaged else nullcontext():
            self.store.write(state, by="alice", reason="an operator's act", at=self.now)
        self.expected, self.history = state, self.history + 1

    @rule(trips=st.lists(states.map(make_trip), max_size=3))
    def breakers_trip(self, trips: list[Trip]) -> None:
        wanted = max((trip.state for trip in trips), key=LADDER.index, default=TradingState.ACTIVE)
        lower = max((wanted, self.expected), key=LADDER.index)

        answered = self.store.tighten(trips, at=self.now)

        if not self.is_damaged:
            assert answered is lower
            self.history += lower is not self.expected
            self.expected = lower

    @rule()
    def restart(self) -> None:
        self.database.close()
        self.open()

    @rule(protocol=protocols)
    def incident_opens(self, protocol: str) -> None:
        with suppress(AutofiError):
            self.register.open(protocol, by="alice", reason="exploit", at=self.now)
        self.incidents.add(protocol)

    @rule(protocol=protocols)
    def incident_closes(self, protocol: str) -> None:
        try:
            self.register.close(protocol, by="alice", reason="resolved", at=self.now)
            assert protocol in self.incidents
            assert not self.is_damaged
            self.incidents.remove(protocol)
        except UnknownSubject:
            assert protocol not in self.incidents
        except AutofiError:
            assert self.is_damaged

    @precondition(lambda self: self.history > ENTRIES_BEFORE_DAMAGE)
    @rule(statement=st.sampled_from(DAMAGES))
    def somebody_edits_the_database(self, statement: str) -> None:
        with closing(sqlite3.connect(self.folder / FILE, isolation_level=None)) as connection:
            connection.execute("DROP TRIGGER IF EXISTS book_entries_no_update")
            connection.execute("DROP TRIGGER IF EXISTS book_entries_no_delete")
            self.is_damaged |= connection.execute(statement).rowcount > 0

    @invariant()
    def the_state_is_the_models_or_halted_where_nobody_can_tell(self) -> None:
        if self.is_damaged:
            assert self.store.read() is TradingState.HALTED
            assert self.store.problem() is not None
            assert self.register.open_among(PROTOCOLS) == PROTOCOLS
        else:
            assert self.store.read() is self.expected
            assert self.store.problem() is None
            assert len(self.store.history()) == self.history
            assert self.register.open_among(PROTOCOLS) == self.incidents


TestTradingStateMachine = TradingStateMachine.TestCase
TestTradingStateMachine.settings = settings(max_examples=20, stateful_step_count=25, deadline=None)
