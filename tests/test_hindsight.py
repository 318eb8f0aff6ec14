"""What leaving a position was worth, against a hand calculation."""

from __future__ import annotations

from decimal import Decimal

import pytest

from app.hindsight import judge_exit
from domain.errors import InvariantBroken, StaleOrDisputed
from domain.run import RunRecord, RunRequest, RunStatus, Trigger, Workflow
from domain.transaction import BalanceDelta, Receipt
from tests.builders import ACCOUNT, CHAIN_ID, NOW, address, make_catalog, make_price, make_snapshot
from tests.builders_evidence import USDC, exit_moves, make_plan, supply

CATALOG = make_catalog()
USDC_TOKEN = address(0x101)
COLLAPSED = make_snapshot(CATALOG, prices=(make_price("usdc", "0.999"), make_price("usdx", "0.8")))


def make_record(moves=None, *, brought: int = 96_100 * USDC) -> RunRecord:
    """100,000 USDX sold for 96,100 USDC by default; a stranger's transfer in the same receipt counts for nothing."""
    plan = make_plan(exit_moves() if moves is None else moves)
    receipt = Receipt(
        batch_digest=plan.batch_digest(),
        transaction_hash="0x" + "ab" * 32,
        chain_id=CHAIN_ID,
        block_number=101,
        block_hash="0x" + "cd" * 32,
        succeeded=True,
        gas_used=300_000,
        effective_gas_price_wei=10**9,
        deltas=(
            BalanceDelta(holder=ACCOUNT, token=USDC_TOKEN, amount=brought),
            BalanceDelta(holder=address(0xBAD), token=USDC_TOKEN, amount=7 * USDC),
        ),
        mined_at=NOW,
    )
    request = RunRequest(
        run_id="run-1",
        workflow=Workflow.MITIGATE,
        trigger=Trigger.EVENT,
        requested_by="bob",
        requested_at=NOW,
    )
    return RunRecord(
        request=request,
        status=RunStatus.EXECUTED,
        summary="executed",
        mode="paper",
        code_version="test",
        policy_digest="0" * 64,
        catalog_digest="0" * 64,
        plan=plan,
        receipt=receipt,
        finished_at=NOW,
    )


def test_the_avoided_loss_is_what_came_in_less_what_was_sold_at_todays_prices():
    exited = judge_exit(make_record(), "usdx", snapshot=COLLAPSED, catalog=CATALOG)

    # 96,100 x 0.999 = 96,003.9 USD came in; 100,000 x 0.8 = 80,000 USD would be left.
    assert exited.sold_tokens == 100_000
    assert exited.brought_usd == Decimal("96003.9")
    assert exited.worth_usd == 80_000
    assert exited.avoided_loss_usd == Decimal("16003.9")


def test_not_one_base_unit_is_rounded_away():
    exited = judge_exit(make_record(brought=96_100 * USDC + 1), "usdx", snapshot=COLLAPSED, catalog=CATALOG)

    assert exited.brought_usd == Decimal("96003.900000999")


@pytest.mark.parametrize("record", [make_record([supply(50_000)]), make_record(brought=0)])
def test_a_run_that_sold_nothing_avoided_nothing(record):
    with pytest.raises(InvariantBroken, match="run run-1 sold"):
        judge_exit(record, "usdx", snapshot=COLLAPSED, catalog=CATALOG)


def test_a_run_without_a_receipt_avoided_nothing():
    record = make_record().model_copy(update={"receipt": None})

    with pytest.raises(InvariantBroken, match="without a plan and a receipt"):
        judge_exit(record, "usdx", snapshot=COLLAPSED, catalog=CATALOG)


def test_a_token_without_a_price_is_worth_nobody_knows_what():
    blind = make_snapshot(CATALOG, prices=(make_price("usdc", "1"),))

    with pytest.raises(StaleOrDisputed, match="token usdx has no price"):
        judge_exit(make_record(), "usdx", snapshot=blind, catalog=CATALOG)
