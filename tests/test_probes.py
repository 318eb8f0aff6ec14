"""Probe cases of the guards' specification that are pure: questions that every treasury agent must answer right.

10 is in test_probes_numbers.py; 6 and 13 to 15 in test_probes_state.py; 11 to 14 in chain/test_probes_*.py.
"""

from __future__ import annotations

import numpy as np
import pytest

from domain.breakers import BreakerReadings, Streak, Valuation
from domain.portfolio import Position, net_asset_value_usd
from domain.transaction import DecodedArgument
from domain.units import UINT256_MAX
from domain.verdict import Evidence, TradingState, Verdict
from guards import check
from guards.breakers import judge_breakers
from tests.builders_evidence import DAI, USDC, codes, make_budget, make_limits
from tests.corpus.foreign import call, exec_transaction, pack_delegated, wrap_packed
from tests.corpus.moves import redeem, supply, swap, withdraw
from tests.corpus.scene import BOOKS, CATALOG, SNAPSHOT, make_evidence
from tests.corpus.specimen import replanned, with_calls
from tools.risk.risk_metrics import historical_tail, parametric_tail
from tools.transactions.safe import pack_calls, wrap_calls

POOL = CATALOG.contracts.aave_pool
USDC_TOKEN = CATALOG.token("usdc").address
ASKING = make_limits(approval={"min_value_without_approval_usd": 10_000})
ENTRY = [supply("aave-usdc", 50_000 * USDC)]
EXIT = [
    withdraw("aave-usdx", 100_000 * DAI, is_whole=True),
    swap("usdc-usdx-100", "usdx", 100_000 * DAI, 99_500 * USDC),
]


def denials(evidence: Evidence) -> set[str]:
    return codes(check(evidence).denials)


def shown(verdict: Verdict, code: str) -> set[str]:
    """What the verdict's table shows as observed for a code."""
    return {row.observed for row in verdict.findings if row.code == code}


@pytest.mark.parametrize("token", ["usdc", "dai", "usdx", "weth"])
def test_probe_01_token_without_a_price_denies(token: str) -> None:
    unpriced = SNAPSHOT.model_copy(update={"prices": tuple(p for p in SNAPSHOT.prices if p.token != token)})

    verdict = check(make_evidence(ENTRY, snapshot=unpriced))

    assert "price_missing" in codes(verdict.denials)
    assert shown(verdict, "day_loss") == {"unknown"}


def test_probe_01_an_amount_is_never_taken_for_dollars() -> None:
    unpriced = SNAPSHOT.model_copy(update={"prices": tuple(p for p in SNAPSHOT.prices if p.token != "usdc")})

    verdict = check(make_evidence(ENTRY, snapshot=unpriced))

    values = ("transaction_value", "day_value", "week_value", "run_turnover", "approval_threshold")
    assert [code for code in values if shown(verdict, code) != {"unknown"}] == []


def test_probe_02_all_is_valued_by_the_simulation_and_not_by_its_number() -> None:
    evidence = make_evidence(EXIT[:1])

    assert evidence.batch.calls[0].argument("amount") == str(UINT256_MAX)
    assert shown(check(evidence), "transaction_value") == {"100000"}


def test_probe_02_an_endless_amount_that_the_simulation_did_not_show_denies() -> None:
    entry = make_evidence(ENTRY)
    endless = [call(USDC_TOKEN, "approve(address,uint256)", POOL, UINT256_MAX)]
    endless += [
        call(POOL, "supply(address,uint256,address,uint16)", USDC_TOKEN, UINT256_MAX, CATALOG.account, 0),
    ]

    assert {"delta_mismatch", "unplanned_outflow"} <= denials(with_calls(entry, endless))


def test_probe_02_shares_are_valued_by_what_they_redeem_for() -> None:
    """40,000 shares of 18 decimals redeem for 60,000 USDC of 6: neither number of the call is the value."""
    half_as_many = tuple(
        Position(strategy=p.strategy, shares=40_000 * DAI, amount=p.amount) if p.strategy == "vault-aave-usdc" else p
        for p in BOOKS["invested"].positions
    )
    before = BOOKS["invested"].model_copy(update={"positions": half_as_many})
    gone = make_evidence([redeem("vault-aave-usdc", 60_000 * USDC)], base="invested")

    verdict = check(gone.model_copy(update={"before": before}))

    assert shown(verdict, "transaction_value") == {"60000"}


def test_probe_03_the_same_trade_through_every_path_gets_the_same_verdict_and_the_same_gate() -> None:
    built = make_evidence(ENTRY, policy=ASKING)
    calls = built.plan.calls
    nested = replanned(built, envelope=wrap_calls([wrap_calls(calls, CATALOG)], CATALOG))
    split = replanned(
        built, envelope=wrap_calls([wrap_calls(calls[:1], CATALOG), wrap_calls(calls[1:], CATALOG)], CATALOG)
    )

    verdicts = [check(path) for path in (built, nested, split)]

    assert {(verdict.is_pass, verdict.needs_approval) for verdict in verdicts} == {(True, True)}
    assert len({verdict.batch_digest for verdict in verdicts}) == 3


def test_probe_03_one_call_without_multisend_gets_the_same_verdict() -> None:
    policy = make_limits(budgets={"max_transaction_value_usd": 1})
    packed = make_evidence([supply("aave-usdc", 1), *EXIT[:1]], policy=policy)
    alone = make_evidence(EXIT[:1], policy=policy)
    direct = replanned(alone, envelope=exec_transaction(alone.plan.calls[0], operation=0))

    assert denials(packed) == {"transaction_value"}
    assert check(direct).is_pass is check(alone).is_pass is True


@pytest.mark.parametrize("path", ["delegatecall", "inner delegatecall", "permit", "native value", "called multisend"])
def test_probe_03_a_path_around_the_gate_denies(path: str) -> None:
    built = make_evidence(ENTRY, policy=ASKING)
    approval, action = calls = built.plan.calls
    signed = "permit(address,address,uint256,uint256,uint8,bytes32,bytes32)"
    permit = call(USDC_TOKEN, signed, CATALOG.account, POOL, 50_000 * USDC, UINT256_MAX, 27, bytes(32), bytes(32))
    other = {
        "delegatecall": replanned(built, envelope=exec_transaction(action, operation=1)),
        "inner delegatecall": replanned(built, envelope=wrap_packed(pack_delegated(calls, 1))),
        "permit": with_calls(built, (permit, action)),
        "native value": with_calls(built, (approval, action.model_copy(update={"value_wei": 1}))),
        "called multisend": replanned(built, envelope=wrap_packed(pack_calls(calls), operation=0)),
    }[path]

    assert not check(other).is_pass


@pytest.mark.parametrize("told", ["extra", "renamed"])
def test_probe_04_an_argument_under_another_name_or_an_extra_one_cannot_exist(told: str) -> None:
    evidence = make_evidence(ENTRY)
    approval, action = evidence.batch.calls
    arguments = {
        "extra": (*action.arguments, DecodedArgument(name="amount_usd", type="uint256", value="1")),
        "renamed": tuple(a.model_copy(update={"name": "sum"} if a.name == "amount" else {}) for a in action.arguments),
    }[told]
    batch = evidence.batch.model_copy(update={"calls": (approval, action.model_copy(update={"arguments": arguments}))})

    assert not check(evidence.model_copy(update={"batch": batch})).is_pass


def test_probe_04_an_extra_argument_in_the_bytes_is_not_read() -> None:
    evidence = make_evidence(ENTRY)
    approval, action = evidence.plan.calls
    longer = action.model_copy(update={"data": action.data + f"{1:064x}"})

    assert {"undecoded", "selector"} <= denials(with_calls(evidence, (approval, longer)))


def test_probe_05_purchases_just_under_the_limit_are_judged_by_what_they_add_up_to() -> None:
    """80,000 of 970,000 each, 35 % allowed in one strategy: each is a small step, the fifth is one too many."""
    book, verdicts = BOOKS["treasury"], []

    for _ in range(5):
        evidence = make_evidence([supply("aave-usdc", 80_000 * USDC)], before=book)
        verdicts.append(denials(evidence))
        book = evidence.after

    assert verdicts == [set(), set(), set(), set(), {"strategy_share"}]


def test_probe_05_purchases_in_one_batch_are_one_purchase() -> None:
    room = make_limits(exposure={"max_run_turnover_share": "unlimited"})

    assert denials(make_evidence([supply("aave-usdc", 70_000 * USDC)] * 5, policy=room)) == {"strategy_share"}


@pytest.mark.parametrize("level", [0.95, 0.99])
@pytest.mark.parametrize("rise", [0.0001, 0.01, 0.5])
def test_probe_07_a_portfolio_that_only_rises_has_no_loss(level: float, rise: float) -> None:
    rising = np.full(120, rise)
    tail = historical_tail(rising, level=level)

    assert tail is not None
    assert (tail.var.value, tail.var.upper, tail.cvar.value, tail.cvar.upper) == (0.0, 0.0, 0.0, 0.0)


def test_probe_07_a_loss_is_not_hidden_behind_a_sign() -> None:
    """The mirror image of gains is losses; an abs() would make both the same."""
    gains = np.linspace(0.001, 0.05, 120)

    up, down = historical_tail(gains, level=0.95), historical_tail(-gains, level=0.95)
    drifting = parametric_tail(np.random.default_rng(5).normal(-0.02, 0.005, 200), level=0.95)

    assert up is not None
    assert up.cvar.value == 0.0
    assert down is not None
    assert down.var.value > 0.04
    assert drifting is not None
    assert drifting.cvar.value > drifting.var.value > 0.02


def test_probe_08_moving_cash_into_a_lending_position_is_not_a_drawdown() -> None:
    evidence = make_evidence(ENTRY)
    before, after = (net_asset_value_usd(book, SNAPSHOT, CATALOG) for book in (evidence.before, evidence.after))
    height = Valuation(
        net_asset_value_usd=after, day_high_usd=before, week_high_usd=before, peak_usd=before, protocols=("aave-v3",)
    )
    calm = Streak(failed_runs_count=0, blind_runs_count=0, guard_faults=())
    readings = BreakerReadings(valuation=height, budget=make_budget(), ledger_problem=None, streak=calm, incidents=())
    never = make_limits(breakers=dict.fromkeys(("max_day_drawdown_share", "max_peak_drawdown_share"), 0))

    assert evidence.after.cash_of("usdc") < evidence.before.cash_of("usdc")
    assert shown(check(evidence), "day_loss") == {"0"}
    assert judge_breakers(readings, never) == ()


def test_probe_09_a_tripped_stop_loss_lets_the_withdrawal_through() -> None:
    exhausted = make_budget(is_intact=False, loss_day_usd=10**9, loss_week_usd=10**9, value_day_usd=10**9)

    verdict = check(make_evidence(EXIT, trading_state=TradingState.HALTED, budget=exhausted, risk_after=None))

    assert (verdict.is_pass, verdict.is_exit, verdict.needs_approval) == (True, True, False)
    assert denials(make_evidence(ENTRY, trading_state=TradingState.HALTED)) == {"trading_state_halted"}
