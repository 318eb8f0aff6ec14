"""The largest amount a token can have crosses every border unchanged: JSON, SQL and a checkpoint."""

from __future__ import annotations

import pytest

from domain.market import MarketSnapshot
from domain.portfolio import Portfolio
from domain.transaction import IntentStatus, SignedTransaction
from domain.units import UINT256_MAX
from memory.checkpoint_serializer import StrictSerializer
from memory.database import open_database
from memory.execution_journal import SqlExecutionJournal
from memory.observations import SqlObservationStore
from tests.builders import make_portfolio, make_rate, make_snapshot
from tests.builders_evidence import make_plan
from tests.fakes import FakeMarket

AMOUNTS = [0, 2**53 + 1, 2**64, 20 * 10**18, UINT256_MAX - 1, UINT256_MAX]


@pytest.fixture
def database(tmp_path):
    database = open_database(f"sqlite:///{tmp_path / 'amounts.db'}")
    yield database
    database.close()


@pytest.mark.parametrize("amount", AMOUNTS)
def test_an_amount_survives_json(amount):
    portfolio = make_portfolio(cash={"weth": amount}, positions={})

    assert Portfolio.model_validate_json(portfolio.model_dump_json()).cash_of("weth") == amount


@pytest.mark.parametrize("amount", AMOUNTS)
def test_an_amount_survives_a_checkpoint(amount):
    serializer = StrictSerializer()
    portfolio = make_portfolio(cash={"weth": amount}, positions={})

    revived = serializer.loads_typed(serializer.dumps_typed(portfolio))

    assert revived == portfolio


@pytest.mark.parametrize("amount", AMOUNTS)
def test_an_observed_amount_survives_sql(database, amount):
    rate = make_rate("aave-weth").model_copy(update={"supplied": amount, "borrowed": amount, "withdrawable": amount})
    snapshot: MarketSnapshot = make_snapshot(rates=(rate,))

    SqlObservationStore(database).append(snapshot)

    assert list(SqlObservationStore(database).latest_rates()) == [rate]


def test_a_receipts_amounts_survive_sql(database):
    market, plan = FakeMarket(), make_plan()
    journal = SqlExecutionJournal(database)
    market.start(plan)
    receipt = market.settle(plan, certificate=None)
    largest = receipt.model_copy(update={"effective_gas_price_wei": UINT256_MAX})

    journal.plan(market.started[plan.batch_digest()].model_copy(update={"status": IntentStatus.PLANNED}))
    journal.assign_nonce(plan.batch_digest(), nonce=0)
    journal.store_signed(plan.batch_digest(), SignedTransaction(raw="0x02", transaction_hash=receipt.transaction_hash))
    journal.store_receipt(largest)

    assert journal.receipt(plan.batch_digest()) == largest
