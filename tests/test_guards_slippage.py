"""The emergency floor of ways out at its odd ends, and what the ledger reserves when nothing can be measured."""

from __future__ import annotations

from decimal import Decimal

import pytest

from domain.budget import Spending
from domain.transaction import BalanceDelta
from guards.budgets import measure_spending
from tests.builders import address, make_portfolio, make_snapshot
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
)

POOL, USDC_TOKEN = address(0x402), address(0x101)


def floors(evidence):
    rows = [row for row in rows_of("slippage", evidence) if row.code == "emergency_floor"]
    return [(row.subject, row.observed, row.limit, row.unit, row.passed) for row in rows]


def with_payment(amount):
    """A way out whose pool pays this much USDC in the simulation; negative is what it takes."""
    evidence = make_evidence(exit_moves())
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

    assert floors(make_evidence(exit_moves(), policy=policy)) == [(POOL, "99500000000", "0", "base units", True)]


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
