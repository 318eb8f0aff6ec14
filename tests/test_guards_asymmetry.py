"""What makes a batch a way out and what takes the privilege away, one contradiction at a time."""

from __future__ import annotations

import pytest

from domain.abi import APPROVE
from domain.portfolio import Balance, Position
from domain.transaction import UnsignedCall
from guards.asymmetry import is_exit
from guards.case import Case
from guards.decode import decode_calls
from tests.builders import CONTRACTS, address, make_catalog, make_portfolio
from tests.builders_evidence import (
    DAI,
    USDC,
    exit_moves,
    make_evidence,
    make_report,
    make_stress,
    rows_of,
    supply,
    swap,
    withdraw,
)

CATALOG = make_catalog()
NOTHING_DONE = decode_calls(
    [UnsignedCall(target=address(0x101), data=APPROVE.encode(CONTRACTS.aave_pool, 0))], catalog=CATALOG
)
"""An approval of nothing: it points outwards as much as inwards."""


def is_way_out(evidence):
    return is_exit(Case(evidence))


def with_after(evidence, **changes):
    return evidence.model_copy(update={"after": evidence.after.model_copy(update=changes)})


def scaled(positions, strategy, amount):
    return tuple(
        Position(strategy=p.strategy, shares=amount, amount=amount) if p.strategy == strategy else p for p in positions
    )


def about_nothing():
    """Evidence of a batch whose only call approves nothing."""
    evidence = make_evidence()
    batch = evidence.batch.model_copy(update={"calls": NOTHING_DONE})
    return evidence.model_copy(update={"batch": batch, "after": evidence.before})


def test_an_entry_too_small_to_show_still_makes_a_batch_no_way_out():
    """50 USDC on top of 100,000 is within the tolerance for a block's interest."""
    before = make_portfolio(positions={"aave-usdx": 100_000 * DAI, "aave-usdc": 100_000 * USDC})
    evidence = make_evidence([*exit_moves(), supply(50)], before=before)

    assert not is_way_out(evidence)


def test_a_call_that_does_nothing_is_no_way_out():
    assert not is_way_out(about_nothing())


def test_a_position_that_falls_without_a_call_is_no_way_out():
    evidence = about_nothing()
    fallen = scaled(evidence.after.positions, "aave-usdx", DAI)

    assert not is_way_out(with_after(evidence, positions=fallen))


def test_paying_reserve_away_is_no_way_out():
    evidence = about_nothing()
    poorer = tuple(
        Balance(token=balance.token, amount=1) if balance.token == "usdc" else balance
        for balance in evidence.after.cash
    )

    assert not is_way_out(with_after(evidence, cash=poorer))


def test_a_position_in_the_token_that_comes_back_may_not_grow():
    """Out of one DAI strategy and into another is a rotation."""
    before = make_portfolio(positions={"aave-dai": 100 * DAI})
    evidence = make_evidence([withdraw("aave-dai", "dai", 100 * DAI)], before=before)
    grown = (*evidence.after.positions, Position(strategy="vault-limited-dai", shares=DAI, amount=DAI))

    assert is_way_out(evidence)
    assert not is_way_out(with_after(evidence, positions=grown))


def test_cash_of_the_token_that_comes_back_and_of_the_reserve_may_grow():
    before = make_portfolio(positions={"aave-dai": 100 * DAI, "aave-usdx": 100 * DAI})
    out = [
        withdraw("aave-dai", "dai", 100 * DAI),
        withdraw("aave-usdx", "usdx", 100 * DAI),
        swap("usdx", "usdc", 100 * DAI, 99 * USDC, venue="usdc-usdx-100"),
    ]

    assert is_way_out(make_evidence(out, before=before))


def test_cash_of_another_token_may_not_grow():
    before = make_portfolio(positions={"aave-dai": 100 * DAI})
    evidence = make_evidence([withdraw("aave-dai", "dai", 100 * DAI)], before=before)
    brought = (*evidence.after.cash, Balance(token="usdx", amount=1))

    assert not is_way_out(with_after(evidence, cash=brought))


@pytest.mark.parametrize(
    ("worst", "expected"),
    [({"exploit": 0.1, "gas": 0.3}, False), ({"exploit": 0.24, "gas": 0.24}, True), ({"exploit": 0.25}, False)],
)
def test_reducing_compares_the_worst_of_all_scenarios(worst, expected):
    """Before: 25 % in an exploit, all else far below."""
    evidence = make_evidence(
        [swap("usdc", "dai", 1_000 * USDC, 999 * DAI)],
        trading_state="reducing",
        risk_before=make_report("current"),
        risk_after=make_report(stress=make_stress(**worst)),
    )

    assert [row.passed for row in rows_of("trading_state", evidence)] == [expected]


def test_a_way_out_is_told_that_it_never_waits():
    (row,) = rows_of("approval", make_evidence(exit_moves()))

    assert (row.code, row.subject, row.limit, row.observed, row.passed) == (
        "approval_threshold",
        "batch",
        "exits never wait",
        "exit",
        True,
    )
