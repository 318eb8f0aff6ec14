"""The way out is never blocked, and nothing else gets its privilege."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.abi import AAVE_WITHDRAW
from domain.transaction import BalanceDelta, LeftoverApproval, UnsignedCall
from domain.verdict import ApprovalStatus, TradingState
from guards import check
from guards.asymmetry import is_exit
from guards.case import Case
from guards.decode import decode_batch
from tests.builders import ACCOUNT, CONTRACTS, NOW, address, make_catalog, make_portfolio, make_snapshot
from tests.builders_evidence import (
    DAI,
    USDC,
    codes,
    exit_moves,
    make_approval,
    make_budget,
    make_estimate,
    make_evidence,
    make_limits,
    make_report,
    make_tail,
    redeem,
    supply,
    swap,
    withdraw,
)
from tests.strategies import as_planned
from tools.transactions.safe import wrap_calls

CATALOG = make_catalog()
THIEF = address(0xBAD)
FULL = make_budget(
    is_intact=False,
    **dict.fromkeys(("value_day_usd", "value_week_usd", "loss_day_usd", "loss_week_usd", "gas_day_usd"), 10**9),
    **dict.fromkeys(("slippage_day_usd", "slippage_week_usd", "turnover_day_usd"), 10**9),
    runs_hour_count=10**6,
)
NOTHING_ALLOWED = make_limits(
    exposure=dict.fromkeys(
        ("max_strategy_share", "max_token_share", "max_issuer_share", "max_run_turnover_share"), Decimal(0)
    ),
    slippage={"max_trade_slippage_bps": 0},
    approval={"min_value_without_approval_usd": 0},
)
TERRIBLE = make_report(
    tails=(make_tail(0.95, 0.9, 0.9), make_tail(0.99, 0.9, 0.9)), volatility=None, max_drawdown=None, stress=()
)

BREAKAGES = {
    "halted": {"trading_state": TradingState.HALTED},
    "reducing": {"trading_state": TradingState.REDUCING},
    "everything stale": {"now": NOW + timedelta(days=400)},
    "from the future": {"now": NOW - timedelta(days=400)},
    "head far ahead": {"head_block_number": 10**9},
    "head behind": {"head_block_number": 1},
    "no prices": {"snapshot": make_snapshot(prices=())},
    "no rates": {"snapshot": make_snapshot(rates=())},
    "gas explodes": {"snapshot": make_snapshot(base_fee_wei=10**15)},
    "nothing allowed": {"policy": NOTHING_ALLOWED},
    "budgets gone": {"budget": FULL},
    "risk unknown": {"risk_after": None, "risk_before": None},
    "risk terrible": {"risk_after": TERRIBLE},
    "risk uncertain": {
        "risk_after": make_report(volatility=make_estimate(0.05).model_copy(update={"confidence": 0.5}))
    },
    "no scores": {"scores": ()},
    "no economics": {"economics": None},
}
STRATEGIES = {strategy.id: strategy.token for strategy in CATALOG.strategies}
amounts = st.integers(min_value=10**10, max_value=10**30)


@st.composite
def portfolios_with_an_exit(draw):
    """Any treasury with a position to leave, and the moves that leave it, perhaps into the reserve."""
    positions = draw(st.dictionaries(st.sampled_from(sorted(STRATEGIES)), amounts, min_size=1, max_size=6))
    cash = draw(st.dictionaries(st.sampled_from(["usdc", "dai", "usdx", "weth"]), amounts, max_size=4))
    leaving = draw(st.sampled_from(sorted(positions)))
    held, token = positions[leaving], STRATEGIES[leaving]
    amount = draw(st.integers(min_value=held // 2, max_value=held))
    if leaving.startswith("vault"):
        moves = [redeem(amount)]
    else:
        is_whole = draw(st.booleans())
        amount = held if is_whole else amount
        moves = [withdraw(leaving, token, amount, is_whole=is_whole)]
    venue = {"dai": "usdc-dai-100", "usdx": "usdc-usdx-100"}.get(token)
    if venue and amount >= 10**14 and draw(st.booleans()):
        fair = amount // 10**12
        moves.append(swap(token, "usdc", amount, max(fair * 99 // 100, 1), venue=venue))
    return moves, make_portfolio(cash=cash, positions=positions)


def leaves(evidence):
    """Whether guards see a way out in it."""
    return is_exit(Case(evidence))


@given(portfolios_with_an_exit(), st.sets(st.sampled_from(sorted(BREAKAGES)), max_size=6))
@settings(max_examples=150, deadline=None)
def test_exits_pass_whatever_breaks(case, broken):
    drawn, before = case
    parts = {name: value for reason in sorted(broken) for name, value in BREAKAGES[reason].items()}

    verdict = check(make_evidence(as_planned(drawn, parts), before=before, **parts))

    assert codes(verdict.denials) == set()
    assert (verdict.is_exit, verdict.needs_approval) == (True, False)


@pytest.mark.parametrize("reason", BREAKAGES)
def test_each_of_these_breakages_denies_what_is_not_an_exit(reason):
    verdict = check(make_evidence([supply(300_000)], **BREAKAGES[reason]))

    assert not verdict.is_pass


def test_a_waived_limit_stays_visible():
    verdict = check(make_evidence(exit_moves(), trading_state=TradingState.HALTED, budget=FULL, economics=None))

    waived = {row.code for row in verdict.findings if row.waived}
    assert {"net_gain", "ledger_corrupt", "day_value"} <= waived
    assert verdict.is_pass


@pytest.mark.parametrize("status", [ApprovalStatus.DENIED, ApprovalStatus.USED])
def test_a_human_s_answer_does_not_block_the_way_out(status):
    evidence = make_evidence(exit_moves())
    answer = make_approval(evidence.plan, status=status)

    assert check(evidence.model_copy(update={"approval": answer})).is_pass


@pytest.mark.parametrize(
    "moves",
    [
        [supply(1)],
        [*exit_moves(), supply(1)],
        [swap("usdc", "dai", USDC, DAI)],
        [withdraw("aave-weth", "weth", 10**18), swap("usdc", "dai", USDC, DAI)],
    ],
)
def test_a_batch_that_enters_anything_is_no_exit(moves):
    assert not leaves(make_evidence(moves))


def test_selling_a_broken_token_from_cash_into_the_reserve_is_an_exit():
    assert leaves(make_evidence([swap("dai", "usdc", 1_000 * DAI, 990 * USDC)]))


def test_an_exit_that_exits_nothing_is_none():
    evidence = make_evidence(exit_moves())

    assert not leaves(evidence.model_copy(update={"after": evidence.before}))


@pytest.mark.parametrize("contract", [CATALOG.strategy("aave-dai").receipt, CATALOG.token("wbtc").address])
def test_a_way_out_may_not_bring_another_position_or_a_foreign_token(contract):
    evidence = make_evidence(exit_moves())
    brought = BalanceDelta(holder=ACCOUNT, token=contract, amount=1)
    report = evidence.simulation.model_copy(update={"deltas": (*evidence.simulation.deltas, brought)})

    assert not leaves(evidence.model_copy(update={"simulation": report}))


def test_a_batch_with_an_unexplained_call_is_no_exit():
    evidence = make_evidence(exit_moves())

    for change in (
        {"is_complete": False},
        {"calls": (*evidence.batch.calls, evidence.batch.calls[0].model_copy(update={"target": THIEF}))},
    ):
        assert not leaves(evidence.model_copy(update={"batch": evidence.batch.model_copy(update=change)}))


def test_the_plan_s_own_words_do_not_make_an_exit():
    evidence = make_evidence([supply(1)])
    plan = evidence.plan.model_copy(update={"candidate": "exit", "moves": exit_moves()})

    assert not leaves(evidence.model_copy(update={"plan": plan}))


def test_an_exit_to_a_stranger_is_refused():
    steal = UnsignedCall(target=CONTRACTS.aave_pool, data=AAVE_WITHDRAW.encode(address(0x103), 100_000 * DAI, THIEF))
    evidence = make_evidence([withdraw("aave-usdx", "usdx", 100_000 * DAI)])
    plan = evidence.plan.model_copy(update={"calls": (steal,), "envelope": wrap_calls([steal], CATALOG)})
    batch = decode_batch(plan.envelope, catalog=CATALOG)

    verdict = check(evidence.model_copy(update={"plan": plan, "batch": batch}))

    assert "recipient" in codes(verdict.denials)


@pytest.mark.parametrize(
    ("simulated", "code"),
    [
        ({"succeeded": False, "failure": "reverted"}, "simulation_failed"),
        ({"batch_digest": "0" * 64}, "simulation_digest"),
        ({"leftover_approvals": (LeftoverApproval(token=THIEF, spender=THIEF, amount=1),)}, "leftover_approval"),
        ({"deltas": (BalanceDelta(holder=THIEF, token=address(0x101), amount=1),)}, "outflow_to_stranger"),
    ],
)
def test_an_exit_whose_simulation_shows_harm_is_refused(simulated, code):
    assert code in codes(check(make_evidence(exit_moves(), simulated=simulated)).denials)


NO_ORACLE = make_snapshot(prices=tuple(price for price in make_snapshot().prices if price.token != "usdx"))

# The pool pays 99,950 USDC; without an oracle the emergency floor lies 100 + 10 basis points below that, rounded down.
FLOOR = 99_950 * USDC * 9_890 // 10_000


@pytest.mark.parametrize(("minimum", "expected"), [(FLOOR, set()), (FLOOR - 1, {"emergency_floor"})])
def test_an_exit_swap_carries_the_emergency_floor_of_the_simulated_quote(minimum, expected):
    first, second = exit_moves()
    moves = [first, second.model_copy(update={"minimum_out": minimum})]

    verdict = check(make_evidence(moves, haircut_bps=5, snapshot=NO_ORACLE))

    assert (verdict.is_exit, codes(verdict.denials)) == (True, expected)


def test_two_exit_swaps_in_one_pool_share_its_floor():
    first, second = exit_moves()
    half = second.model_copy(update={"amount_in": second.amount_in // 2, "minimum_out": FLOOR // 2})

    verdict = check(make_evidence([first, half, half], haircut_bps=5, snapshot=NO_ORACLE))

    assert codes(verdict.denials) == set()


def test_an_exit_swap_without_a_minimum_is_refused():
    evidence = make_evidence(exit_moves())
    calls = tuple(
        call.model_copy(
            update={
                "arguments": tuple(
                    a.model_copy(update={"value": "0"}) if a.name == "amountOutMinimum" else a for a in call.arguments
                )
            }
        )
        for call in evidence.batch.calls
    )

    verdict = check(evidence.model_copy(update={"batch": evidence.batch.model_copy(update={"calls": calls})}))

    assert {"min_out_zero", "emergency_floor", "batch_mismatch"} <= codes(verdict.denials)


def test_an_exit_swap_that_the_simulation_did_not_see_paid_is_refused():
    evidence = make_evidence(exit_moves(), snapshot=NO_ORACLE)
    pool = address(0x402)
    deltas = tuple(delta for delta in evidence.simulation.deltas if delta.holder != pool)
    report = evidence.simulation.model_copy(update={"deltas": deltas})

    verdict = check(evidence.model_copy(update={"simulation": report}))

    assert codes(verdict.denials) == {"emergency_floor"}


def test_an_exit_swap_at_an_unlisted_fee_tier_is_refused():
    evidence = make_evidence(exit_moves())
    calls = tuple(
        call.model_copy(
            update={
                "arguments": tuple(
                    a.model_copy(update={"value": "3000"}) if a.name == "fee" else a for a in call.arguments
                )
            }
        )
        for call in evidence.batch.calls
    )

    verdict = check(evidence.model_copy(update={"batch": evidence.batch.model_copy(update={"calls": calls})}))

    assert "argument" in codes(verdict.denials)


@pytest.mark.parametrize("code", ["policy_digest", "snapshot_digest"])
def test_an_exit_made_under_older_terms_still_passes(code):
    evidence = make_evidence(exit_moves())
    plan = evidence.plan.model_copy(update={code: "0" * 64})
    report = evidence.simulation.model_copy(update={"batch_digest": plan.batch_digest()})

    assert check(evidence.model_copy(update={"plan": plan, "simulation": report})).is_pass
