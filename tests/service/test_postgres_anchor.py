"""PostgreSQL keeps the books, each host notes how far they went: a database that was rolled back shows."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from app.chain_books import unused
from app.initialize import _fill_database
from app.settings import Settings
from app.stores import open_stores
from domain.errors import ConfigurationInvalid, StoreUnavailable
from domain.verdict import TradingState
from memory.budgets import SqlBudgetLedger
from memory.database import Database, open_database
from memory.journal import SqlJournal
from memory.trading_state import SqlTradingStateStore
from tests import test_budgets
from tests.builders import NOW, make_catalog

pytestmark = pytest.mark.service


@pytest.fixture
def hosts(tmp_path: Path) -> tuple[Path, Path]:
    """The homes of two hosts."""
    homes = (tmp_path / "one", tmp_path / "two")
    for home in homes:
        home.mkdir(mode=0o700)
    return homes


def anchor_of(home: Path) -> Path:
    (anchor,) = home.glob("*.anchor")
    return anchor


def opened(url: str, home: Path) -> closing[Database]:
    return closing(open_database(url, anchors=home))


def write(url: str, home: Path, state: TradingState) -> None:
    with opened(url, home) as database:
        SqlTradingStateStore(database).write(state, by="alice", reason="a test", at=NOW)


def reserve(url: str, home: Path, number: int) -> None:
    with opened(url, home) as database:
        test_budgets.reserve(SqlBudgetLedger(database), number)


def roll_back_over(url: str, act: Callable[[], None]) -> None:
    """Act, then put the copy from before in the database's place, as restoring a backup would."""
    parsed = make_url(url)
    name, host = parsed.database, parsed.query["host"]
    with psycopg.connect(host=host, user=parsed.username, dbname="postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}_copy TEMPLATE {name}")
        act()
        connection.execute(f"DROP DATABASE {name}")
        connection.execute(f"ALTER DATABASE {name}_copy RENAME TO {name}")


def test_the_anchor_is_in_the_home_named_after_the_database_and_follows_every_write(postgres_url, hosts):
    reserve(postgres_url, hosts[0], 1)
    write(postgres_url, hosts[0], TradingState.ACTIVE)

    anchor = anchor_of(hosts[0])
    noted = {book: head[0] for book, head in json.loads(anchor.read_text()).items()}
    assert anchor.name == f"{make_url(postgres_url).database}.postgresql.anchor"
    assert noted == {"journal": 1, "budget": 1, "trading": 1}


def test_a_database_rolled_back_to_before_the_halt_is_halted_and_its_ledger_denies(postgres_url, hosts):
    write(postgres_url, hosts[0], TradingState.ACTIVE)
    reserve(postgres_url, hosts[0], 1)

    def halt() -> None:
        write(postgres_url, hosts[0], TradingState.HALTED)
        reserve(postgres_url, hosts[0], 2)

    roll_back_over(postgres_url, halt)

    with opened(postgres_url, hosts[0]) as database:
        trading, ledger = SqlTradingStateStore(database), SqlBudgetLedger(database)
        assert trading.read() is TradingState.HALTED
        assert trading.problem() == "entries 2 to 2, noted by the anchor, are gone"
        assert not ledger.state(at=NOW).is_intact
        assert ledger.problem() == "entries 2 to 2, noted by the anchor, are gone"
        assert not SqlJournal(database).verify().is_verified


def test_a_rollback_shows_still_after_the_books_have_grown_again(postgres_url, hosts):
    reserve(postgres_url, hosts[0], 1)
    roll_back_over(postgres_url, lambda: reserve(postgres_url, hosts[0], 2))

    for number in range(3, 6):
        reserve(postgres_url, hosts[0], number)

    with opened(postgres_url, hosts[0]) as database:
        assert not SqlBudgetLedger(database).state(at=NOW).is_intact


def test_the_anchor_of_each_host_lags_behind_what_the_other_wrote_and_never_leads(postgres_url, hosts):
    for home in hosts:
        open_database(postgres_url, anchors=home).close()  # both join the empty database
    for number in range(1, 4):
        reserve(postgres_url, hosts[0], number)
    reserve(postgres_url, hosts[1], 4)
    reserve(postgres_url, hosts[1], 5)

    noted = [json.loads(anchor_of(home).read_text())["budget"][0] for home in hosts]
    assert noted == [3, 5]
    for home in hosts:
        with opened(postgres_url, home) as database:
            assert SqlBudgetLedger(database).state(at=NOW).is_intact
            assert SqlBudgetLedger(database).problem() is None


def test_a_rollback_past_what_only_one_host_wrote_shows_on_that_host(postgres_url, hosts):
    for home in hosts:
        open_database(postgres_url, anchors=home).close()
    reserve(postgres_url, hosts[0], 1)
    roll_back_over(postgres_url, lambda: reserve(postgres_url, hosts[1], 2))

    intact = []
    for home in hosts:
        with opened(postgres_url, home) as database:
            intact.append(SqlBudgetLedger(database).state(at=NOW).is_intact)

    assert intact == [True, False]


def test_a_lost_anchor_is_not_replaced_by_opening_the_database_again(postgres_url, hosts):
    write(postgres_url, hosts[0], TradingState.ACTIVE)
    anchor_of(hosts[0]).unlink()

    with opened(postgres_url, hosts[0]) as database:
        assert SqlTradingStateStore(database).read() is TradingState.HALTED
        assert not SqlBudgetLedger(database).state(at=NOW).is_intact
        with pytest.raises(StoreUnavailable, match="autofi audit reanchor"):
            SqlJournal(database).verify()


def test_another_host_joins_by_init_which_is_journaled(postgres_url, hosts):
    for home in hosts:
        settings = Settings(home=home, database_url=postgres_url, mode="shadow", rpc_url="http://127.0.0.1:1")
        _fill_database(settings, paper=None, use=unused(make_catalog()), report=lambda _: None)

    with open_stores(settings=settings) as stores:
        entries = stores.journal.entries(kind="reanchor")
        assert [entry.subject for entry in entries] == ["init"]
        assert stores.trading_state.read() is TradingState.ACTIVE
        assert stores.budgets.state(at=NOW).is_intact


def test_a_home_that_is_not_there_is_asked_for_before_the_server_is(postgres_url, tmp_path):
    settings = Settings(home=tmp_path / "nowhere", database_url=postgres_url)

    with pytest.raises(ConfigurationInvalid, match="nothing is set up"), open_stores(settings=settings):
        pass
