"""The policy in force on a PostgreSQL server: its whole way, and several processes that see one edit."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from domain.change_history import Step
from memory.database import open_database
from memory.journal import SqlJournal
from memory.policies import SqlPolicyStore
from tests.builders import NOW
from tests.policy_samples import BASE, with_limits

pytestmark = pytest.mark.service

TIGHT = with_limits(BASE, {"budgets.max_transaction_value_usd": "1000"})
LOOSE = with_limits(BASE, {"budgets.max_week_value_usd": "9000000"})
WITNESSES = 6


def test_a_policy_goes_its_whole_way(postgres):
    store = SqlPolicyStore(postgres)
    store.follow(BASE, by="bob", at=NOW)
    store.follow(LOOSE, by="bob", at=NOW)
    store.approve(LOOSE.digest(), by="alice", at=NOW)

    store.follow(LOOSE, by="bob", at=NOW + timedelta(days=1))

    assert store.standing().in_force == LOOSE
    assert SqlJournal(postgres).verify().is_verified


def test_however_many_see_an_edit_at_once_it_is_written_once(postgres, postgres_url):
    SqlPolicyStore(postgres).follow(BASE, by="bob", at=NOW)

    def see(number: int) -> int:
        database = open_database(postgres_url)
        try:
            return len(SqlPolicyStore(database).follow(TIGHT, by=f"person-{number}", at=NOW))
        finally:
            database.close()

    with ThreadPoolExecutor(WITNESSES) as pool:
        written = sum(pool.map(see, range(WITNESSES)))

    kinds = [event.step for event in SqlPolicyStore(postgres).history()]
    assert (written, kinds) == (1, [Step.ADOPTED, Step.TIGHTENED])
