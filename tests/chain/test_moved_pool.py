"""One trade moves a pool far from the oracle, and waits: the treasury does not sell into it, and still gets out."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from app.settings import Settings
from domain.portfolio import settled_value_usd
from domain.run import RunStatus
from tests.chain.stand import Stand, open_stand
from tests.redteam.case import Poison, WorldChange

pytestmark = pytest.mark.chain

USDX = 10**18
CRASH = WorldChange(Poison.POOL_PRICE, "usdx", "-4000")
CROWDED = WorldChange(Poison.UTILIZATION, "usdx", "0.98")
"""Above what the policy lets a held position bear: the run has to take it out."""


@pytest.fixture
def stand(home: Path, world_cache: Path) -> Iterator[Stand]:
    with open_stand(Settings(home=home, cache=world_cache)) as stand:
        yield stand


def worth_by_the_feeds(stand: Stand) -> Decimal:
    reader = stand.dependencies.market
    return settled_value_usd(reader.portfolio(), reader.snapshot(), stand.catalog)


def test_a_pool_moved_alone_is_a_dispute_and_no_reason_to_sell(stand: Stand) -> None:
    stand.market.poison(CRASH)
    nonce = stand.nonce()

    _, run_id = stand.run()

    assert stand.record(run_id).events == ()
    assert stand.nonce() == nonce
    assert stand.dependencies.market.portfolio().position_of("aave-usdx") >= 100_000 * USDX


def test_a_position_that_must_leave_keeps_its_token_beside_a_moved_pool(stand: Stand) -> None:
    for change in (CROWDED, CRASH):
        stand.market.poison(change)
    before = worth_by_the_feeds(stand)

    status, run_id = stand.run()

    record, book = stand.record(run_id), stand.dependencies.market.portfolio()
    assert (status, record.verdict is not None and record.verdict.is_exit) == (RunStatus.EXECUTED, True)
    assert (book.position_of("aave-usdx"), book.cash_of("usdx") >= 100_000 * USDX) == (0, True)
    assert worth_by_the_feeds(stand) >= before - 1


def test_the_same_position_is_sold_for_the_reserve_while_its_pool_agrees(stand: Stand) -> None:
    """The test above would prove nothing without this one."""
    stand.market.poison(CROWDED)

    status, _ = stand.run()

    book = stand.dependencies.market.portfolio()
    assert (status, book.position_of("aave-usdx")) == (RunStatus.EXECUTED, 0)
    assert book.cash_of("usdx") < USDX
    assert book.cash_of("usdc") >= 799_000 * 10**6
