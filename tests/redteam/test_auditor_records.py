"""The auditor compares the chain with the product's own books, and notices every way in which they can disagree."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domain.verdict import TradingState
from tests.redteam.audit_records import StateChange
from tests.redteam.desk import SMALL, Desk, honest
from tests.redteam.findings import Rule
from tests.redteam.forgeries import supply
from tests.redteam.telling import told

pytestmark = pytest.mark.chain


def test_records_that_do_not_agree_with_the_chain_are_reported(desk: Desk) -> None:
    transaction = desk.batch(*supply(desk.catalog, "usdc", SMALL))
    books = told(desk.chain, desk.catalog, transaction)
    (record,) = books.records
    elsewhere = record.receipt.model_copy(update={"transaction_hash": "0x" + "11" * 32})
    invented = record.model_copy(update={"receipt": elsewhere})
    empty = record.model_copy(update={"receipt": None})

    assert desk.audit(books._replace(records=(record, record))).rules == {Rule.DUPLICATE}
    assert desk.audit(books._replace(records=(record, invented))).rules == {Rule.UNEXECUTED}
    assert desk.audit(books._replace(records=(empty,))).rules == {Rule.UNEXECUTED, Rule.UNRECORDED}


def test_one_run_that_sends_twice_is_reported(desk: Desk) -> None:
    calls = supply(desk.catalog, "usdc", SMALL)
    first = desk.batch(*calls)
    books = told(desk.chain, desk.catalog, first)
    desk.batch(*calls)

    assert Rule.DUPLICATE in desk.audit(books).rules


CONSENT = {"approval__min_value_without_approval_usd": "1000"}
SPOILED = {
    "none": None,
    "pending": {"status": "pending"},
    "denied": {"status": "denied"},
    "another-digest": {"batch_digest": "ab" * 32},
    "no-role": {"role": "operator"},
    "nobody": {"answered_by": ""},
    "oneself": {"answered_by": "olga"},
}


@pytest.mark.parametrize("spoiled", SPOILED)
def test_a_large_batch_without_a_valid_consent_is_reported(desk: Desk, spoiled: str) -> None:
    transaction = desk.batch(*honest(desk.catalog))
    books = told(desk.chain, desk.catalog, transaction, approved_by="alice")
    changes = SPOILED[spoiled]
    rows = () if changes is None else (books.approvals[0].model_copy(update=changes),)

    assert desk.audit(books, **CONSENT).violations == ()
    assert desk.audit(books._replace(approvals=rows), **CONSENT).rules == {Rule.APPROVAL}


def test_a_consent_that_came_too_late_is_reported(desk: Desk) -> None:
    transaction = desk.batch(*honest(desk.catalog))
    books = told(desk.chain, desk.catalog, transaction, approved_by="alice")
    expired = books.approvals[0].model_copy(update={"expires_at": desk.now() - timedelta(hours=1)})

    assert desk.audit(books._replace(approvals=(expired,)), **CONSENT).rules == {Rule.APPROVAL}


@pytest.mark.parametrize("state", [TradingState.HALTED, TradingState.REDUCING])
def test_an_entry_while_trading_is_restricted_is_reported(desk: Desk, state: TradingState) -> None:
    earlier = desk.now()
    transaction = desk.batch(*supply(desk.catalog, "usdc", SMALL))
    books = told(desk.chain, desk.catalog, transaction)
    restricted = (StateChange(earlier - timedelta(days=1), TradingState.ACTIVE), StateChange(earlier, state))

    assert desk.audit(books._replace(states=restricted[:1])).violations == ()
    assert desk.audit(books._replace(states=restricted)).rules == {Rule.TRADING_STATE}


def test_more_runs_than_an_hour_may_have_are_reported(desk: Desk) -> None:
    earlier = desk.now()
    transaction = desk.batch(*supply(desk.catalog, "usdc", SMALL))
    books = told(desk.chain, desk.catalog, transaction)

    assert desk.audit(books._replace(started=(earlier,) * 30)).violations == ()
    assert desk.audit(books._replace(started=(earlier,) * 31)).rules == {Rule.RUNS_PER_HOUR}
