"""Every numeric limit: at the limit passes, one unit over denies. One treasury of exactly 1,000,000 USD.

800,000 USDC, 100,000 DAI and 100,000 USDX in Aave; the batch supplies 50,000 USDC to Aave.
"""

from __future__ import annotations

from decimal import Decimal

import pytest

from domain.budget import Spending
from domain.risk import ProtocolScore
from domain.verdict import Economics
from guards.budgets import measure_spending
from guards.case import Case
from guards.measures import loss_usd, moved_usd, slippage_usd
from tests.builders import make_portfolio, make_price, make_snapshot
from tests.builders_evidence import (
    DAI,
    USDC,
    codes,
    deposit,
    make_budget,
    make_evidence,
    make_limits,
    rows_of,
    supply,
    swap,
)

BEFORE = make_portfolio(cash={"usdc": 800_000 * USDC, "dai": 100_000 * DAI}, positions={"aave-usdx": 100_000 * DAI})


def judge(guard, moves=None, **parts):
    return rows_of(guard, make_evidence(moves, before=BEFORE, **parts))


def denied(guard, **parts):
    return codes(judge(guard, **parts))


SIXTH = "0.00833333333333333333333333333"
"""50,000 of the 6,000,000 USDC that could leave the pool, to 29 places; shares are exact to 30."""

# code, guard, section, key, the exact limit at which the sample batch still passes, one unit stricter
POLICY_LIMITS = [
    ("strategy_share", "exposure", "exposure", "max_strategy_share", "0.1", "0.099999999999"),
    ("protocol_share", "exposure", "exposure", "max_protocol_share", "0.15", "0.149999999999"),
    ("token_share", "exposure", "exposure", "max_token_share", "0.1", "0.099999999999"),
    ("issuer_share", "exposure", "exposure", "max_issuer_share", "0.8", "0.799999999999"),
    ("chain_share", "exposure", "exposure", "max_chain_share", "0.15", "0.149999999999"),
    ("oracle_share", "exposure", "exposure", "max_oracle_share", "0.15", "0.149999999999"),
    ("collateral_share", "exposure", "exposure", "max_collateral_share", "0.15", "0.149999999999"),
    ("reserve_share", "exposure", "exposure", "min_reserve_share", "0.75", "0.750000000001"),
    ("pool_withdrawable_share", "exposure", "exposure", "max_pool_withdrawable_share", f"{SIXTH}4", f"{SIXTH}3"),
    ("run_turnover", "exposure", "exposure", "max_run_turnover_share", "0.05", "0.049999999999"),
    ("day_turnover", "exposure", "exposure", "max_day_turnover_share", "0.05", "0.049999999999"),
    ("protocol_score", "protocol", "protocol", "min_score_points", 80, "80.000001"),
    ("net_gain", "economics", "economics", "min_net_gain_usd", 100, "100.01"),
    ("break_even", "economics", "economics", "max_break_even_days", 5, "4.999999"),
    ("gas_price", "economics", "economics", "max_gas_price_wei", 21 * 10**9, 21 * 10**9 - 1),
    ("gas_cost", "economics", "economics", "max_gas_cost_usd", 70, "69.999999"),
    ("transaction_value", "budgets", "budgets", "max_transaction_value_usd", 50_000, "49999.999999"),
    ("day_value", "budgets", "budgets", "max_day_value_usd", 50_000, "49999.999999"),
    ("week_value", "budgets", "budgets", "max_week_value_usd", 50_000, "49999.999999"),
    ("day_gas", "budgets", "budgets", "max_day_gas_usd", 70, "69.999999"),
    ("runs_per_hour", "budgets", "budgets", "max_hour_runs_count", 1, 0),
]


@pytest.mark.parametrize(("code", "guard", "section", "key", "limit", "stricter"), POLICY_LIMITS, ids=str)
def test_at_the_limit_passes_and_one_unit_over_denies(code, guard, section, key, limit, stricter):
    at_limit = denied(guard, policy=make_limits(**{section: {key: as_limit(limit)}}))
    over = denied(guard, policy=make_limits(**{section: {key: as_limit(stricter)}}))

    assert (code in at_limit, code in over) == (False, True)


def as_limit(value):
    return Decimal(value) if isinstance(value, str) else value


def test_the_pool_is_measured_with_our_own_deposit_in_it():
    rates = tuple(
        rate.model_copy(update={"supplied": 450_000 * USDC}) if rate.strategy == "aave-usdc" else rate
        for rate in make_snapshot().rates
    )
    policy = make_limits(exposure={"max_pool_supplied_share": Decimal("0.1")})

    at_limit = denied("exposure", snapshot=make_snapshot(rates=rates), policy=policy)
    over = rows_of(
        "exposure", make_evidence([supply(50_001)], before=BEFORE, snapshot=make_snapshot(rates=rates), policy=policy)
    )

    # 50,000 of 500,000 is a tenth; 50,001 of 500,001 is more
    assert ("pool_supplied_share" in at_limit, "pool_supplied_share" in codes(over)) == (False, True)


def test_the_pool_of_a_position_that_is_only_held_is_not_judged():
    rates = tuple(
        rate.model_copy(update={"withdrawable": 0}) if rate.strategy == "aave-usdx" else rate
        for rate in make_snapshot().rates
    )

    assert denied("exposure", snapshot=make_snapshot(rates=rates)) == set()


def test_an_empty_pool_may_not_be_entered():
    rates = tuple(rate.model_copy(update={"withdrawable": 0}) for rate in make_snapshot().rates)

    assert denied("exposure", snapshot=make_snapshot(rates=rates)) == {"pool_withdrawable_share"}


def test_a_pool_without_a_rate_may_not_be_entered():
    assert denied("exposure", snapshot=make_snapshot(rates=())) == {"pool_supplied_share", "pool_withdrawable_share"}


def test_a_treasury_worth_nothing_has_no_shares_to_pass():
    nothing = make_portfolio(cash={}, positions={})

    rows = rows_of("exposure", make_evidence().model_copy(update={"before": nothing, "after": nothing}))

    assert {"reserve_share", "run_turnover", "day_turnover"} <= codes(rows)


def test_factors_add_up_across_strategies():
    rows = {(row.code, row.subject): row.observed for row in judge("exposure")}

    assert rows["oracle_share", "chainlink"] == "0.15"
    assert rows["protocol_share", "aave-v3"] == "0.15"
    assert rows["strategy_share", "aave-usdx"] == "0.1"
    assert rows["collateral_share", "weth"] == rows["collateral_share", "wbtc"] == "0.15"
    assert rows["chain_share", "31337"] == "0.15"
    assert ("token_share", "usdc") not in rows


def test_a_named_factor_counts_every_strategy_that_names_it():
    moves = [deposit(50_000 * DAI)]
    policy = make_limits(exposure={"max_factor_share": Decimal("0.05")})
    stricter = make_limits(exposure={"max_factor_share": Decimal("0.049999999999")})

    assert "factor_share" not in codes(judge("exposure", moves, policy=policy))
    assert codes(judge("exposure", moves, policy=stricter)) == {"factor_share"}


@pytest.mark.parametrize(
    ("used", "code", "limit"),
    [
        ("value_day_usd", "day_value", 1_500_000),
        ("value_week_usd", "week_value", 3_000_000),
        ("gas_day_usd", "day_gas", 300),
    ],
)
def test_what_the_window_has_used_counts(used, code, limit):
    ours = 70 if code == "day_gas" else 50_000

    at_limit = denied("budgets", budget=make_budget(**{used: limit - ours}))
    over = denied("budgets", budget=make_budget(**{used: Decimal(limit - ours) + Decimal("0.000001")}))

    assert (at_limit, over) == (set(), {code})


@pytest.mark.parametrize(
    ("used", "code", "limit"), [("loss_day_usd", "day_loss", 5_000), ("loss_week_usd", "week_loss", 10_000)]
)
def test_the_loss_of_this_batch_counts_too(used, code, limit):
    # 100,000 DAI sold for 99,950 USDC loses 50 dollars
    moves = [swap("dai", "usdc", 50_000 * DAI, 49_800 * USDC), supply(1)]

    def judged(spent):
        return codes(judge("budgets", moves, haircut_bps=10, budget=make_budget(**{used: spent})))

    assert code not in judged(limit - 50)
    assert code in judged(Decimal(limit) - Decimal("49.99"))


def test_a_corrupt_ledger_counts_as_exhausted():
    assert denied("budgets", budget=make_budget(is_intact=False)) == {"ledger_corrupt"}


def test_the_day_turnover_counts_what_the_day_has_moved():
    assert denied("exposure", budget=make_budget(turnover_day_usd=750_000)) == set()
    assert denied("exposure", budget=make_budget(turnover_day_usd=750_001)) == {"day_turnover"}


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ((), {"protocol_score", "open_incident"}),
        ((ProtocolScore(protocol="aave-v3", score=90, has_open_incident=True, reasons=()),), {"open_incident"}),
    ],
)
def test_an_unscored_protocol_or_one_with_an_incident_may_not_be_entered(scores, expected):
    assert denied("protocol", scores=scores) == expected


def test_protocols_that_are_not_entered_are_not_judged():
    swap_only = [swap("dai", "usdc", 1_000 * DAI, 996 * USDC)]

    assert judge("protocol", swap_only, scores=()) == ()


@pytest.mark.parametrize(
    ("economics", "expected"),
    [
        (None, {"net_gain", "break_even"}),
        (Economics(lower_gain_usd=None, cost_usd=1.0, break_even_days=1.0), {"net_gain"}),
        (Economics(lower_gain_usd=500.0, cost_usd=None, break_even_days=1.0), {"net_gain"}),
        (Economics(lower_gain_usd=500.0, cost_usd=1.0, break_even_days=None), {"break_even"}),
        (Economics(lower_gain_usd=24.99, cost_usd=20.0, break_even_days=1.0), {"net_gain"}),
    ],
)
def test_a_gain_that_is_unknown_or_too_small_denies(economics, expected):
    assert denied("economics", economics=economics) == expected


def test_gas_that_does_not_fit_the_fee_cap_denies():
    # 400,000 gas at 21 gwei is 0.0084 ether of the cap of 0.02
    at_cap = denied("economics", simulated={"gas_used": 2 * 10**16 // (21 * 10**9)})
    over = denied("economics", simulated={"gas_used": 2 * 10**16 // (21 * 10**9) + 1})

    assert (at_cap, over) == (set(), {"fee_cap"})


def test_gas_is_priced_at_the_highest_source():
    prices = [price for price in make_snapshot().prices if price.token != "weth"]
    prices += [make_price("weth", "3500"), make_price("weth", "6000", source="uniswap")]

    assert "gas_cost" in denied("economics", snapshot=make_snapshot(prices=tuple(prices)))


MINIMUM = 9_950 * USDC  # 10,000 DAI less 50 basis points


@pytest.mark.parametrize(("minimum", "expected"), [(MINIMUM, set()), (MINIMUM - 1, {"trade_slippage"})])
def test_a_minimum_out_may_lie_exactly_the_allowed_slippage_below_the_oracle(minimum, expected):
    assert codes(judge("slippage", [swap("dai", "usdc", 10_000 * DAI, minimum), supply(1)])) == expected


def test_without_an_oracle_price_no_trade_passes():
    prices = tuple(p for p in make_snapshot().prices if (p.token, p.source) != ("dai", "oracle"))

    rows = judge("slippage", [swap("dai", "usdc", DAI, USDC), supply(1)], snapshot=make_snapshot(prices=prices))

    assert codes(rows) == {"trade_slippage", "day_slippage", "week_slippage"}


@pytest.mark.parametrize(
    ("used", "code", "limit"),
    [("slippage_day_usd", "day_slippage", 2_000), ("slippage_week_usd", "week_slippage", 5_000)],
)
def test_slippage_adds_up_over_the_window(used, code, limit):
    # 10,000 DAI for at least 9,950 USDC may lose 50 dollars
    moves = [swap("dai", "usdc", 10_000 * DAI, MINIMUM), supply(1)]

    def judged(spent):
        return codes(judge("slippage", moves, budget=make_budget(**{used: spent})))

    assert (judged(limit - 50), judged(Decimal(limit) - Decimal("49.99"))) == (set(), {code})


def test_a_minimum_of_zero_denies_wherever_it_comes_from():
    evidence = make_evidence([swap("dai", "usdc", DAI, 1), supply(1)])
    calls = tuple(
        call.model_copy(update={"arguments": tuple(_zeroed(argument) for argument in call.arguments)})
        for call in evidence.batch.calls
    )

    rows = rows_of(
        "slippage", evidence.model_copy(update={"batch": evidence.batch.model_copy(update={"calls": calls})})
    )

    assert "min_out_zero" in codes(rows)


def _zeroed(argument):
    return argument.model_copy(update={"value": "0"}) if argument.name == "amountOutMinimum" else argument


def test_selling_nothing_has_no_slippage_to_pass():
    evidence = make_evidence([swap("dai", "usdc", DAI, 1), supply(1)])
    calls = tuple(
        call.model_copy(
            update={
                "arguments": tuple(
                    argument.model_copy(update={"value": "0"}) if argument.name == "amountIn" else argument
                    for argument in call.arguments
                )
            }
        )
        for call in evidence.batch.calls
    )

    rows = rows_of(
        "slippage", evidence.model_copy(update={"batch": evidence.batch.model_copy(update={"calls": calls})})
    )

    assert "trade_slippage" in codes(rows)


def test_a_swap_there_and_back_counts_by_what_was_sold():
    moves = [swap("usdc", "dai", 10_000 * USDC, 9_990 * DAI), swap("dai", "usdc", 10_000 * DAI, 9_990 * USDC)]

    case = Case(make_evidence(moves, before=BEFORE))

    assert (moved_usd(case), loss_usd(case), slippage_usd(case)) == (10_000, 0, 20)


def test_the_ledger_reserves_what_the_guards_judged():
    moves = [swap("dai", "usdc", 10_000 * DAI, MINIMUM), supply(1)]

    spending = measure_spending(make_evidence(moves, before=BEFORE))

    # 10,000 DAI leave; 0.02 ether of fee cap at 3,500 dollars; 50 dollars may be lost
    assert spending == Spending(
        value_usd=Decimal(10_000),
        loss_usd=Decimal(0),
        gas_usd=Decimal(70),
        slippage_usd=Decimal(50),
        turnover_usd=Decimal(10_000),
    )


def test_what_cannot_be_priced_denies_in_every_window():
    unpriced = make_snapshot(prices=())

    assert {"transaction_value", "day_value", "day_loss", "day_gas"} <= denied("budgets", snapshot=unpriced)
    assert "gas_cost" in denied("economics", snapshot=unpriced)
    assert measure_spending(make_evidence(snapshot=unpriced)).value_usd == 0
