"""What makes a batch a way out and what takes the privilege away, one contradiction at a time."""

from __future__ import annotations

import pytest

from domain.abi import APPROVE
from domain.portfolio import Balance, Position
from domain.transaction import BalanceDelta, UnsignedCall
from guards import check
from guards.asymmetry import is_exit
from guards.case import Case
from guards.decode import decode_calls
from tests.builders import ACCOUNT, CONTRACTS, address, make_catalog, make_portfolio
from tests.builders_evidence import (
    DAI,
    USDC,
    exit_moves,
    make_evidence,
    make_report,
    make_stress,
    redeem,
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


def with_delta(evidence, contract, amount, *, holder=ACCOUNT):
    """One more transfer in what the simulation saw of the batch."""
    extra = BalanceDelta(holder=holder, token=contract, amount=amount)
    report = evidence.simulation.model_copy(update={"deltas": (*evidence.simulation.deltas, extra)})
    return evidence.model_copy(update={"simulation": report})


def scaled(positions, strategy, amount):
    return tuple(
        Position(strategy=p.strategy, shares=amount, amount=amount) if p.strategy == strategy else p for p in positions
    )


def about_nothing():
    """Evidence of a batch whose only call approves nothing."""
    evidence = make_evidence()
    batch = evidence.batch.model_copy(update={"calls": NOTHING_DONE})
    unmoved = evidence.simulation.model_copy(update={"deltas": ()})
    return evidence.model_copy(update={"batch": batch, "simulation": unmoved, "after": evidence.before})


def test_an_entry_too_small_to_show_still_makes_a_batch_no_way_out():
    """50 USDC on top of 100,000 is within the tolerance for a block's interest."""
    before = make_portfolio(positions={"aave-usdx": 100_000 * DAI, "aave-usdc": 100_000 * USDC})
    evidence = make_evidence([*exit_moves(), supply(50)], before=before)

    assert not is_way_out(evidence)


def test_entering_what_is_left_at_the_same_time_is_no_way_out():
    """Less comes back than went out, so that nothing shows but the calls."""
    before = make_portfolio(positions={"aave-usdc": 100_000 * USDC})
    out = [withdraw("aave-usdc", "usdc", 50_000 * USDC), supply(10_000)]

    assert is_way_out(make_evidence(out[:1], before=before))
    assert not is_way_out(make_evidence(out, before=before))


def test_buying_the_token_of_a_left_position_is_no_way_out():
    before = make_portfolio(positions={"aave-dai": 100 * DAI})
    out = [withdraw("aave-dai", "dai", 100 * DAI), swap("usdc", "dai", 10 * USDC, 9 * DAI)]

    assert not is_way_out(make_evidence(out, before=before))


def test_redeeming_from_a_vault_is_a_way_out():
    before = make_portfolio(positions={"vault-limited-dai": 100 * DAI})

    assert is_way_out(make_evidence([redeem(100 * DAI)], before=before))


def test_a_call_that_does_nothing_is_no_way_out():
    assert not is_way_out(about_nothing())


def test_a_position_that_falls_without_a_call_is_no_way_out():
    evidence = about_nothing()
    fallen = scaled(evidence.after.positions, "aave-usdx", DAI)

    assert not is_way_out(with_after(evidence, positions=fallen))


def test_cash_of_another_token_that_falls_is_reduced():
    evidence = about_nothing()
    poorer = tuple(b.model_copy(update={"amount": 1}) if b.token == "dai" else b for b in evidence.after.cash)

    assert is_way_out(with_after(evidence, cash=poorer))


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

    assert is_way_out(evidence)
    assert not is_way_out(with_delta(evidence, CATALOG.strategy("vault-limited-dai").receipt, 1))


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
    usdx = CATALOG.token("usdx").address

    assert not is_way_out(with_delta(evidence, usdx, 1))
    assert is_way_out(with_delta(evidence, usdx, -1))
    assert is_way_out(with_delta(with_delta(evidence, usdx, 1), usdx, -1))


@pytest.mark.parametrize("contract", ["usdc", "dai", "aave-dai"])
def test_the_reserve_and_what_belongs_to_a_left_position_may_come(contract):
    """Aave mints receipts where the interest it credits is more than what is withdrawn."""
    before = make_portfolio(positions={"aave-dai": 100 * DAI})
    evidence = make_evidence([withdraw("aave-dai", "dai", 10 * DAI)], before=before)
    place = CATALOG.strategy(contract).receipt if "-" in contract else CATALOG.token(contract).address

    assert is_way_out(with_delta(evidence, place, 200 * DAI))


def test_what_others_receive_or_nobody_lists_makes_no_difference():
    evidence = make_evidence(exit_moves())

    assert is_way_out(with_delta(evidence, CATALOG.token("wbtc").address, 1, holder=address(0xBAD)))
    assert is_way_out(with_delta(evidence, address(0x999), 1))


@pytest.mark.parametrize(
    "gift",
    [
        {"cash": (Balance(token="wbtc", amount=1),)},
        {"cash": (Balance(token="usdx", amount=10**24),)},
        {"positions": (Position(strategy="aave-dai", shares=1, amount=1),)},
        {"positions": (Position(strategy="vault-limited-dai", shares=DAI, amount=DAI),)},
    ],
)
def test_a_gift_that_came_meanwhile_closes_no_way_out(gift):
    evidence = make_evidence(exit_moves(), trading_state="halted")
    given = {name: (*getattr(evidence.after, name), *lines) for name, lines in gift.items()}

    verdict = check(with_after(evidence, **given))

    assert (verdict.is_exit, verdict.denials) == (True, ())


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
