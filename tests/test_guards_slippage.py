"""The emergency floor of ways out at its odd ends, and what the ledger reserves when nothing can be measured."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from domain.budget import Spending
from domain.transaction import BalanceDelta
from guards.budgets import measure_spending
from tests.builders import NOW, address, make_portfolio, make_price, make_snapshot
from tests.builders_evidence import (
    DAI,
    USDC,
    codes,
    exit_moves,
    make_evidence,
    make_limits,
    rows_of,
    supply,
    swap,
    withdraw,
)

POOL, USDC_TOKEN = address(0x402), address(0x101)
HEARTBEAT, GRACE = 86_400, 600
"""Seconds: of the sample feeds, and what the pinned limits allow beyond."""


def priced(token, *readings):
    """The sample market with other readings of one token: (source, price, age)."""
    kept = [price for price in make_snapshot().prices if price.token != token]
    told = [make_price(token, price, source=source, age_seconds=age) for source, price, age in readings]
    return make_snapshot(prices=(*kept, *told))


UNPRICED = priced("usdx")
"""Without an oracle the quote of the pool sets the floor."""


def floors(evidence):
    rows = [row for row in rows_of("slippage", evidence) if row.code == "emergency_floor"]
    return [(row.subject, row.observed, row.limit, row.unit, row.passed) for row in rows]


def with_payment(amount):
    """A way out whose pool pays this much USDC in the simulation; negative is what it takes."""
    evidence = make_evidence(exit_moves(), snapshot=UNPRICED)
    deltas = tuple(d for d in evidence.simulation.deltas if (d.holder, d.token) != (POOL, USDC_TOKEN))
    paid = BalanceDelta(holder=POOL, token=USDC_TOKEN, amount=-amount)
    report = evidence.simulation.model_copy(update={"deltas": (*deltas, paid)})
    return evidence.model_copy(update={"simulation": report})


@pytest.mark.parametrize("amount", [0, -5])
def test_a_pool_that_pays_nothing_or_even_takes_has_no_floor_to_keep(amount):
    assert floors(with_payment(amount)) == [(POOL, "unknown", "0", "base units", False)]


def test_a_pool_that_pays_one_unit_has_a_floor():
    assert floors(with_payment(1)) == [(POOL, "99500000000", "0", "base units", True)]


def test_no_floor_lies_below_nothing():
    policy = make_limits(slippage={"emergency_floor_bps": 10_000})

    assert floors(make_evidence(exit_moves(), snapshot=UNPRICED, policy=policy)) == [
        (POOL, "99500000000", "0", "base units", True)
    ]


def sold_for(minimum, **changes):
    """Out of USDX and into the reserve, for at least so many base units of USDC; the pool pays a dollar each."""
    first, second = exit_moves()
    return floors(make_evidence([first, second.model_copy(update={"minimum_out": minimum})], **changes))


# 100,000 USDX at the oracle's dollar, less 100 basis points.
ORACLE_FLOOR = 99_000 * USDC
QUOTE_FLOOR = 98_900 * USDC
"""The tolerance of 10 basis points is granted too."""
BY_ORACLE, BY_QUOTE = f"swap 1 in {POOL}", POOL


@pytest.mark.parametrize(("minimum", "passed"), [(ORACLE_FLOOR, True), (ORACLE_FLOOR - 1, False)])
def test_healthy_oracles_set_the_floor_of_an_exit_swap_whatever_its_pool_pays(minimum, passed):
    row = (BY_ORACLE, str(minimum), str(ORACLE_FLOOR), "base units", passed)

    assert sold_for(minimum) == sold_for(minimum, haircut_bps=4_000) == [row]


@pytest.mark.parametrize("minimum", [QUOTE_FLOOR, QUOTE_FLOOR - 1])
def test_without_a_healthy_oracle_the_quote_sets_the_floor(minimum):
    row = (BY_QUOTE, str(minimum), str(QUOTE_FLOOR), "base units", minimum == QUOTE_FLOOR)

    assert sold_for(minimum, snapshot=UNPRICED) == [row]


@pytest.mark.parametrize(
    ("token", "readings", "decides"),
    [
        ("usdx", [("oracle", "1", HEARTBEAT + GRACE)], BY_ORACLE),
        ("usdx", [("oracle", "1", HEARTBEAT + GRACE + 1)], BY_QUOTE),
        ("usdx", [("oracle", "1", -15)], BY_ORACLE),
        ("usdx", [("oracle", "1", -16)], BY_QUOTE),
        ("usdx", [("oracle", "0.98", 0)], BY_ORACLE),
        ("usdx", [("oracle", "1.02", 0)], BY_ORACLE),
        ("usdx", [("oracle", "0.9799999", 0)], BY_QUOTE),
        ("usdx", [("oracle", "1.0200001", 0)], BY_QUOTE),
        ("usdx", [("uniswap", "1", 0)], BY_QUOTE),
        ("usdx", [("oracle", "1", 0), ("uniswap", "0.6", 0)], BY_ORACLE),
        ("usdx", [("oracle", "0.97", 0), ("oracle", "1", 0)], BY_QUOTE),
        ("usdc", [], BY_QUOTE),
        ("usdc", [("oracle", "1", HEARTBEAT + GRACE + 1)], BY_QUOTE),
    ],
)
def test_an_oracle_is_healthy_while_fresh_and_on_its_peg_and_a_dispute_changes_nothing(token, readings, decides):
    ((subject, *_),) = sold_for(99_500 * USDC, snapshot=priced(token, *readings))

    assert subject == decides


def test_the_floor_is_rounded_up_and_a_volatile_token_has_no_peg_to_lose():
    """7 base units of WETH at 3,500 USD are 2.45e-8 base units of USDC; 3 ETH at a third of a cent more are exact."""
    before = make_portfolio(positions={"aave-weth": 20 * DAI})
    market = priced("weth", ("oracle", "3500.000001", 0))

    def limit_of(amount):
        sale = swap("weth", "usdc", amount, 1, venue="usdc-weth-500")
        ((subject, _, limit, *_),) = floors(make_evidence([withdraw_weth(), sale], before=before, snapshot=market))
        assert subject == f"swap 1 in {address(0x403)}"
        return int(limit)

    assert limit_of(7) == 1
    assert limit_of(3 * DAI) == 10_395_000_003  # 10,395.00000297 USDC


def test_the_floor_counts_what_is_bought_at_its_own_price():
    """100,000 USDX at a dollar, less 100 basis points, buy 99,000 dollars of USDC at 0.99 each."""
    ((_, _, limit, *_),) = sold_for(ORACLE_FLOOR, snapshot=priced("usdc", ("oracle", "0.99", 0)))

    assert limit == str(100_000 * USDC)


def withdraw_weth():
    return withdraw("aave-weth", "weth", 10 * DAI)


def test_each_exit_swap_is_judged_by_itself_and_named_by_its_place():
    first, second = exit_moves()
    half = second.model_copy(update={"amount_in": second.amount_in // 2, "minimum_out": ORACLE_FLOOR // 2})
    short = half.model_copy(update={"minimum_out": ORACLE_FLOOR // 2 - 1})

    rows = floors(make_evidence([first, half, short]))

    assert [(subject, passed) for subject, *_, passed in rows] == [(BY_ORACLE, True), (f"swap 2 in {POOL}", False)]


def test_the_floor_is_judged_at_the_moment_of_the_evidence_and_not_of_the_snapshot():
    late = {"now": NOW + timedelta(seconds=HEARTBEAT + GRACE - 59)}

    ((subject, *_),) = sold_for(99_500 * USDC, **late)

    assert subject == BY_QUOTE


def test_a_swap_on_no_listed_venue_is_refused_for_its_argument_and_breaks_nothing():
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
    elsewhere = evidence.model_copy(update={"batch": evidence.batch.model_copy(update={"calls": calls})})

    assert codes(rows_of("slippage", elsewhere)) == set()
    assert "argument" in codes(rows_of("allowlist", elsewhere))


def test_what_cannot_be_measured_reserves_nothing():
    evidence = make_evidence([swap("dai", "usdc", 1_000 * DAI, 990 * USDC)], snapshot=make_snapshot(prices=()))

    assert measure_spending(evidence) == Spending(value_usd=0, loss_usd=0, gas_usd=0, slippage_usd=0, turnover_usd=0)


def test_what_is_measured_is_reserved():
    before = make_portfolio(cash={"usdc": 800_000 * USDC, "dai": 100_000 * DAI}, positions={})
    moves = [swap("dai", "usdc", 10_000 * DAI, 9_950 * USDC), supply(1)]

    spending = measure_spending(make_evidence(moves, before=before, haircut_bps=10))

    # 10,000 DAI and 1 USDC leave their lines, the pool pays 0.1 % less, the minimum out allows 0.5 % less
    assert spending == Spending(
        value_usd=Decimal(10_000), loss_usd=10, gas_usd=70, slippage_usd=50, turnover_usd=Decimal(10_000)
    )
