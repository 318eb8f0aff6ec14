"""What a batch moves, may lose and is worth: lowest prices, vanished lines, unknown prices, tiny books, tiny pools."""

from __future__ import annotations

from decimal import Decimal

import pytest

from domain.portfolio import Balance
from domain.risk import ProtocolScore
from guards.case import Case, once
from guards.measures import loss_usd, moved_usd, nav_before, slippage_usd
from tests.builders import PRICES, make_portfolio, make_price, make_snapshot
from tests.builders_evidence import (
    DAI,
    USDC,
    codes,
    deposit,
    make_evidence,
    rows_of,
    supply,
    swap,
    withdraw,
)

SELL = [swap("dai", "usdc", 1_000 * DAI, 990 * USDC)]


def measured(measure, evidence):
    return measure(Case(evidence))


def priced(*prices, without=()):
    """Two sources for every token, except where replaced or left out."""
    named = {price.token for price in prices} | set(without)
    others = [make_price(t, p, source=s) for t, p in PRICES.items() for s in ("oracle", "uniswap") if t not in named]
    return make_snapshot(prices=(*others, *prices))


def with_cash(evidence, part, **amounts):
    """The portfolio `before` or `after` with other cash."""
    kept = {balance.token: balance.amount for balance in getattr(evidence, part).cash} | amounts
    cash = tuple(Balance(token=token, amount=amount) for token, amount in kept.items())
    return evidence.model_copy(update={part: getattr(evidence, part).model_copy(update={"cash": cash})})


def resting(book, **parts):
    """Evidence in which this book is held before and after."""
    return make_evidence(**parts).model_copy(update={"before": book, "after": book})


@pytest.mark.parametrize(("oracle", "market"), [("0.99", "1"), ("1", "0.99")])
def test_the_lowest_source_counts_whichever_comes_first(oracle, market):
    snapshot = priced(make_price("dai", oracle), make_price("dai", market, source="uniswap"))

    assert measured(moved_usd, make_evidence(SELL, snapshot=snapshot)) == 990


def test_a_line_that_vanished_has_moved_altogether():
    evidence = resting(make_portfolio(cash={"usdc": 5}, positions={}))
    gone = evidence.model_copy(update={"after": evidence.after.model_copy(update={"cash": ()})})

    assert measured(moved_usd, gone) == Decimal("0.000005")
    assert (measured(nav_before, gone), measured(loss_usd, gone)) == (Decimal("0.000005"), Decimal("0.000005"))


def test_a_token_that_is_not_held_yet_needs_no_price_for_what_was():
    evidence = with_cash(make_evidence(snapshot=priced(without=["wbtc"])), "after", wbtc=7)

    assert measured(nav_before, evidence) == 970_000


def test_a_token_that_does_not_move_needs_no_price_for_what_moves():
    evidence = make_evidence([supply(50_000)], snapshot=priced(without=["dai"]))

    assert measured(moved_usd, evidence) == 50_000
    assert measured(nav_before, evidence) is None


@pytest.mark.parametrize("part", ["before", "after"])
def test_a_loss_is_unknown_when_either_book_is(part):
    evidence = with_cash(make_evidence(snapshot=priced(without=["wbtc"])), part, wbtc=7)

    assert measured(loss_usd, evidence) is None


def test_a_book_that_gained_lost_nothing():
    evidence = make_evidence()

    assert measured(loss_usd, with_cash(evidence, "after", usdc=900_000 * USDC)) == 0


def test_a_good_trade_does_not_pay_for_a_bad_one():
    """One may lose 10 dollars against the oracle; the other asks for 5 more than the oracle says."""
    moves = [*SELL, swap("usdc", "dai", 100 * USDC, 105 * DAI)]

    assert measured(slippage_usd, make_evidence(moves)) == 10


def test_a_token_outside_the_catalog_has_no_worth_and_breaks_nothing():
    snapshot = make_snapshot(prices=(*make_snapshot().prices, make_price("shib", "1")))
    evidence = with_cash(make_evidence(snapshot=snapshot), "before", shib=5)

    assert {"day_loss", "week_loss", "transaction_value"} <= codes(rows_of("budgets", evidence))


def test_a_measure_is_taken_once_per_case():
    taken = []

    @once
    def measure(case):
        taken.append(case)
        return len(taken)

    first, second = Case(make_evidence()), Case(make_evidence())
    assert [measure(first), measure(first), measure(second)] == [1, 1, 2]


def shares(evidence, code):
    return {row.subject: row.observed for row in rows_of("exposure", evidence) if row.code == code}


def test_a_book_of_half_a_dollar_has_shares_too():
    evidence = resting(make_portfolio(cash={"usdc": USDC // 2}, positions={}))

    assert shares(evidence, "reserve_share") == {"usdc": "1"}


def pool_of(supplied, withdrawable=10**30):
    """Every pool of this size."""
    sizes = {"supplied": supplied, "withdrawable": withdrawable, "borrowed": 0}
    return make_snapshot(rates=tuple(rate.model_copy(update=sizes) for rate in make_snapshot().rates))


IN_AND_OUT = [supply(0).model_copy(update={"amount_in": 100}), withdraw("aave-usdc", "usdc", 200)]


@pytest.mark.parametrize(
    ("held", "moves", "expected"),
    [
        (300, [supply(0).model_copy(update={"amount_in": 200})], "0.41666667"),  # 500 of 1,000 and our own 200
        (600, IN_AND_OUT, "0.5"),  # 500 of 1,000: what we take out at the same time makes no pool smaller
    ],
)
def test_our_share_of_a_pool_counts_what_we_add_and_nothing_else(held, moves, expected):
    before = make_portfolio(positions={"aave-usdc": held})

    assert shares(make_evidence(moves, before=before, snapshot=pool_of(1_000)), "pool_supplied_share") == {
        "aave-usdc": expected
    }


def test_a_pool_of_one_unit_is_a_pool():
    evidence = make_evidence([supply(0).model_copy(update={"amount_in": 1})], snapshot=pool_of(10**6, withdrawable=1))

    assert shares(evidence, "pool_withdrawable_share") == {"aave-usdc": "1"}


def test_a_deposit_too_small_to_show_is_an_entry():
    """One DAI on top of a million is within the tolerance, and the protocol must still be good enough."""
    before = make_portfolio(positions={"vault-limited-dai": 10**6 * DAI})

    rows = rows_of("protocol", make_evidence([deposit(DAI)], before=before, scores=()))

    assert [(row.subject, row.observed, row.passed) for row in rows] == [
        ("limited-vault", "unknown", False),
        ("limited-vault", "unknown", False),
    ]


def score(points, *, has_open_incident=False):
    return ProtocolScore(protocol="aave-v3", score=points, has_open_incident=has_open_incident, reasons=())


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ((score(90), score(40)), ["40", "none"]),
        ((score(40), score(90)), ["40", "none"]),
        ((score(90), score(90, has_open_incident=True)), ["90", "open"]),
    ],
)
def test_of_two_opinions_about_a_protocol_the_worse_counts(scores, expected):
    assert [row.observed for row in rows_of("protocol", make_evidence(scores=scores))] == expected


def used(evidence):
    return {row.subject for row in rows_of("freshness", evidence) if row.code == "price_missing"}


BARE = make_portfolio(cash={"usdc": 10**6 * USDC}, positions={})
UNPRICED = priced(without=["usdx"])


@pytest.mark.parametrize("part", ["before", "after"])
def test_a_token_in_either_book_needs_a_price(part):
    evidence = resting(BARE, snapshot=UNPRICED)

    assert used(with_cash(evidence, part, usdx=1)) == {"usdx"}
    assert used(with_cash(evidence, part, usdx=0)) == set()


@pytest.mark.parametrize(
    "trade",
    [
        swap("usdc", "usdx", USDC, DAI, venue="usdc-usdx-100"),
        swap("usdx", "usdc", DAI, USDC, venue="usdc-usdx-100"),
    ],
)
def test_a_token_that_is_traded_needs_a_price_whatever_the_books_say(trade):
    held = make_evidence([trade], before=make_portfolio(cash={"usdc": USDC, "usdx": DAI}), snapshot=UNPRICED)

    assert used(held.model_copy(update={"before": BARE, "after": BARE})) == {"usdx"}
