"""Whole verdicts as people read them: every row, in its words and numbers, of batches that are good, bad and unknown.

The tables are in tests/verdicts: the sound batch with every row, all others with the rows that did not simply pass.
Digests are shortened to a word, because they change with every key of the policy.
"""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from domain.abi import AAVE_SUPPLY, AAVE_WITHDRAW, APPROVE, SWAP_EXACT_INPUT_SINGLE, TRANSFER
from domain.market import SequencerReading
from domain.transaction import BalanceDelta, LeftoverApproval, Operation, UnsignedCall
from domain.verdict import ApprovalStatus, Economics, TradingState
from guards import check
from guards.decode import decode_calls
from guards.render import COLUMNS, verdict_rows
from tests.builders import ACCOUNT, CONTRACTS, NOW, address, make_catalog, make_price, make_snapshot
from tests.builders_evidence import (
    DAI,
    USDC,
    deposit,
    exit_moves,
    make_approval,
    make_budget,
    make_estimate,
    make_evidence,
    make_limits,
    make_report,
    make_stress,
    make_tail,
    supply,
    swap,
    withdraw,
)

TABLES = Path(__file__).parent / "verdicts"
THIEF = address(0xBAD)
FEED = address(0x71)
ROLLUP = make_catalog().model_copy(update={"contracts": CONTRACTS.model_copy(update={"sequencer_feed": FEED})})
ASKING = make_limits(approval={"min_value_without_approval_usd": Decimal(49_999)})
MOVES = [supply(50_000), swap("usdc", "dai", 1_000 * USDC, 996 * DAI), deposit(996 * DAI)]
UP = SequencerReading(is_up=True, since=NOW - timedelta(hours=2))


def a_sound_batch():
    evidence = make_evidence(MOVES, catalog=ROLLUP, policy=ASKING, snapshot=make_snapshot(ROLLUP, sequencer=UP))
    report = make_report(stress=make_stress(evidence.after))
    return evidence.model_copy(update={"approval": make_approval(evidence.plan), "risk_after": report})


def a_batch_that_waits_and_reduces():
    return make_evidence(
        [swap("usdc", "dai", 50_000 * USDC, 49_900 * DAI)],
        policy=ASKING,
        trading_state=TradingState.REDUCING,
        risk_before=make_report("current", stress=make_stress(exploit=0.3)),
    )


def a_way_out_when_everything_else_fails():
    return make_evidence(
        exit_moves(),
        snapshot=make_snapshot(prices=(), rates=(), base_fee_wei=10**12),
        now=NOW + timedelta(days=1),
        head_block_number=200,
        trading_state=TradingState.HALTED,
        budget=make_budget(is_intact=False, runs_hour_count=99),
        risk_after=None,
        economics=None,
        scores=(),
    )


def a_batch_of_which_nothing_is_known():
    snapshot = make_snapshot(ROLLUP, prices=(), rates=(), block_number=101, taken_at=NOW + timedelta(minutes=1))
    return make_evidence(
        MOVES,
        catalog=ROLLUP,
        snapshot=snapshot,
        simulated={"block_number": 101},
        risk_before=None,
        risk_after=make_report(tails=(), volatility=None, max_drawdown=None, stress=()),
        trading_state=TradingState.REDUCING,
        economics=Economics(lower_gain_usd=None, cost_usd=None, break_even_days=None),
        scores=(),
    )


def a_batch_above_every_limit():
    """Stale and disputed prices, paused pools, terrible risk, spent budgets, a human who said no too late."""
    down = SequencerReading(is_up=False, since=NOW)
    prices = [make_price(token, price, age_seconds=10**6) for token, price in (("usdc", "1"), ("weth", "3500"))]
    prices += [make_price("dai", "1.2"), make_price("dai", "1", source="uniswap"), make_price("usdx", "1")]
    rates = tuple(r.model_copy(update={"is_paused": True, "supplied": 10**9}) for r in make_snapshot(ROLLUP).rates)
    evidence = make_evidence(
        [swap("usdc", "dai", 300_000 * USDC, 200_000 * DAI), deposit(200_000 * DAI)],
        catalog=ROLLUP,
        policy=ASKING,
        snapshot=make_snapshot(ROLLUP, prices=tuple(prices), rates=rates, base_fee_wei=10**15, sequencer=down),
        now=NOW + timedelta(hours=1),
        head_block_number=200,
        simulated={
            "succeeded": False,
            "failure": "GS013",
            "leftover_approvals": (LeftoverApproval(token=address(0x101), spender=THIEF, amount=7),),
        },
        trading_state=TradingState.HALTED,
        budget=make_budget(is_intact=False, runs_hour_count=99, value_day_usd=1_400_000, slippage_week_usd=5_000),
        risk_after=make_report(
            tails=(make_tail(0.95, 0.5, 0.6, sample_size=9), make_tail(0.99, 0.7, 0.8, horizon_days=9)),
            volatility=make_estimate(9.0).model_copy(update={"upper": 1.0}),
            stress=make_stress(combined=0.9),
        ),
        economics=Economics(lower_gain_usd=1.0, cost_usd=20.5, break_even_days=99.0),
    )
    answer = make_approval(evidence.plan, status=ApprovalStatus.DENIED, role=None, answered_by="scheduler")
    return evidence.model_copy(update={"approval": answer})


FOREIGN_CALLS = (
    UnsignedCall(target=address(0x101), data=TRANSFER.encode(THIEF, 1)),
    UnsignedCall(target=THIEF, data="0xdeadbeef", value_wei=3),
    UnsignedCall(target=THIEF, data="0x"),
    UnsignedCall(target=address(0x101), data=APPROVE.encode(THIEF, 5)),
    UnsignedCall(target=CONTRACTS.aave_pool, data=AAVE_SUPPLY.encode(address(0x101), 9, THIEF, 4)),
    UnsignedCall(target=CONTRACTS.aave_pool, data=AAVE_WITHDRAW.encode(THIEF, 9, ACCOUNT)),
    UnsignedCall(
        target=CONTRACTS.swap_router,
        data=SWAP_EXACT_INPUT_SINGLE.encode((address(0x101), address(0x102), 3_000, THIEF, 5, 0, 1)),
    ),
)


def a_batch_of_foreign_calls():
    """Never built by us: read from bytes that somebody else put into the envelope."""
    evidence = make_evidence([withdraw("aave-usdx", "usdx", DAI)], now=NOW + timedelta(hours=1))
    calls = decode_calls(FOREIGN_CALLS, catalog=evidence.catalog)
    calls = (calls[0].model_copy(update={"operation": Operation.DELEGATECALL}), *calls[1:])
    batch = evidence.batch.model_copy(update={"calls": calls, "is_complete": False, "chain_id": 1, "account": THIEF})
    gain = BalanceDelta(holder=THIEF, token=address(0x101), amount=5)
    loss = BalanceDelta(holder=ACCOUNT, token=address(0x101), amount=-(10**18))
    report = evidence.simulation.model_copy(update={"deltas": (gain, loss), "batch_digest": "0" * 64})
    plan = evidence.plan.model_copy(update={"policy_digest": "0" * 64, "minimum_outs": (1,)})
    return evidence.model_copy(update={"batch": batch, "simulation": report, "plan": plan})


CASES = [
    a_sound_batch,
    a_batch_that_waits_and_reduces,
    a_way_out_when_everything_else_fails,
    a_batch_of_which_nothing_is_known,
    a_batch_above_every_limit,
    a_batch_of_foreign_calls,
]


def table(case):
    rows = verdict_rows(check(case()))
    shown = rows if case is a_sound_batch else [row for row in rows if row[-1] != "PASS"]
    return re.sub(r"\b[0-9a-f]{64}\b", "<digest>", "\n".join(" | ".join(row) for row in [COLUMNS, *shown])) + "\n"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_a_verdict_says_what_was_measured_against_which_limit(case):
    assert table(case).splitlines() == (TABLES / f"{case.__name__}.txt").read_text().splitlines()


def test_there_is_a_case_for_every_table():
    assert {path.stem for path in TABLES.iterdir()} == {case.__name__ for case in CASES}
