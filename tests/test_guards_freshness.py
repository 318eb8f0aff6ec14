"""Freshness and trading state: age, lag, sources and agreement at their limits; future dates are not fresh."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domain.verdict import TradingState
from tests.builders import (
    NOW,
    PRICES,
    make_portfolio,
    make_price,
    make_snapshot,
)
from tests.builders_evidence import (
    DAI,
    USDC,
    codes,
    exit_moves,
    make_evidence,
    make_limits,
    make_report,
    make_stress,
    rows_of,
    supply,
    swap,
    withdraw,
)

MAX_AGE = 86_400 + 600  # heartbeat of the sample feeds plus the policy's 600 seconds


def denied(**parts):
    return codes(rows_of("freshness", make_evidence(**parts)))


def prices_with(*replaced):
    """Two sources for every token, except where replaced."""
    names = {price.token for price in replaced}
    others = [make_price(t, p, source=s) for t, p in PRICES.items() for s in ("oracle", "uniswap") if t not in names]
    return make_snapshot(prices=(*others, *replaced))


def pair(token, oracle, market, *, age_seconds=60):
    return (
        make_price(token, oracle, age_seconds=age_seconds),
        make_price(token, market, source="uniswap", age_seconds=age_seconds),
    )


@pytest.mark.parametrize(
    ("age_seconds", "expected"),
    [(MAX_AGE, set()), (MAX_AGE + 1, {"price_stale"}), (-15, set()), (-16, {"price_stale"})],
)
def test_a_price_may_be_as_old_as_heartbeat_and_allowance_and_not_from_the_future(age_seconds, expected):
    assert denied(snapshot=prices_with(*pair("dai", "1", "1", age_seconds=age_seconds))) == expected


def test_a_held_token_without_a_price_denies():
    snapshot = make_snapshot(prices=tuple(p for p in make_snapshot().prices if p.token != "dai"))

    assert denied(snapshot=snapshot) == {"price_missing"}


def test_a_token_that_nobody_holds_or_trades_needs_no_price():
    snapshot = make_snapshot(prices=tuple(p for p in make_snapshot().prices if p.token != "wbtc"))

    assert denied(snapshot=snapshot) == set()


def test_the_gas_token_needs_a_price_even_when_it_is_not_held():
    snapshot = make_snapshot(prices=tuple(p for p in make_snapshot().prices if p.token != "weth"))
    before = make_portfolio(positions={"aave-usdx": DAI})

    assert denied(snapshot=snapshot, before=before) == {"price_missing"}


def test_one_source_is_too_few_and_the_same_source_twice_is_one():
    twice = (make_price("dai", "1"), make_price("dai", "1"))

    assert denied(snapshot=prices_with(make_price("dai", "1"))) == {"price_sources_too_few"}
    assert denied(snapshot=prices_with(*twice)) == {"price_sources_too_few"}


@pytest.mark.parametrize(("market", "expected"), [("1.01", set()), ("1.010001", {"price_disputed"})])
def test_sources_may_differ_by_one_percent_of_the_lower(market, expected):
    assert denied(snapshot=prices_with(*pair("dai", "1", market))) == expected


@pytest.mark.parametrize(
    ("price", "expected"),
    [("0.99", set()), ("0.989999", {"stable_deviation"}), ("1.01", set()), ("1.010001", {"stable_deviation"})],
)
def test_a_stable_token_off_its_peg_may_not_be_entered(price, expected):
    moves = [swap("usdc", "dai", 1_000 * USDC, 999 * DAI)]

    assert denied(moves=moves, snapshot=prices_with(*pair("dai", price, price))) == expected


@pytest.mark.parametrize(("oracle", "market"), [("1", "0.98"), ("0.98", "1"), ("1.02", "1")])
def test_one_source_off_the_peg_is_enough_to_stay_out(oracle, market):
    moves = [swap("usdc", "dai", 1_000 * USDC, 999 * DAI)]

    assert "stable_deviation" in denied(moves=moves, snapshot=prices_with(*pair("dai", oracle, market)))


def test_a_stable_token_without_a_price_may_not_be_entered():
    snapshot = make_snapshot(prices=tuple(p for p in make_snapshot().prices if p.token != "dai"))

    found = denied(moves=[swap("usdc", "dai", 1_000 * USDC, 999 * DAI)], snapshot=snapshot)

    assert found == {"price_missing", "stable_deviation"}


@pytest.mark.parametrize(("held", "left"), [(1, 0), (0, 1)])
def test_a_token_that_only_one_of_the_books_holds_needs_a_price(held, left):
    snapshot = make_snapshot(prices=tuple(p for p in make_snapshot().prices if p.token != "wbtc"))
    before, after = (make_portfolio(cash={"usdc": 10**12, "wbtc": amount}, positions={}) for amount in (held, left))

    assert denied(moves=[supply(1)], before=before, after=after, snapshot=snapshot) == {"price_missing"}


def test_an_empty_line_and_a_token_that_is_only_sold_are_told_apart():
    snapshot = make_snapshot(prices=tuple(p for p in make_snapshot().prices if p.token != "usdx"))
    empty = make_portfolio(cash={"usdc": 10**12, "usdx": 0}, positions={})
    sale = [swap("usdc", "usdx", USDC, DAI, venue="usdc-usdx-100"), swap("usdx", "usdc", DAI, 1, venue="usdc-usdx-100")]

    assert denied(moves=[supply(1)], before=empty, snapshot=snapshot) == set()
    assert denied(moves=sale, before=empty, snapshot=snapshot) == {"price_missing"}


@pytest.mark.parametrize("pair_traded", [("usdc", "usdx"), ("usdx", "usdc")])
def test_a_traded_token_needs_a_price_although_neither_book_holds_it(pair_traded):
    snapshot = make_snapshot(prices=tuple(p for p in make_snapshot().prices if p.token != "usdx"))
    rich = make_portfolio(cash={"usdc": 10**12, "usdx": 10**21}, positions={})
    none = make_portfolio(cash={"usdc": 10**12}, positions={})
    trade = [swap(*pair_traded, 10**6, 1, venue="usdc-usdx-100")]

    evidence = make_evidence(trade, before=rich, snapshot=snapshot)
    rows = rows_of("freshness", evidence.model_copy(update={"before": none, "after": none}))

    assert [(row.code, row.subject) for row in rows if not row.passed] == [("price_missing", "usdx")]


def test_a_stable_token_off_its_peg_may_be_held():
    assert denied(snapshot=prices_with(*pair("dai", "0.9", "0.9"))) == set()


def test_a_volatile_token_has_no_peg():
    moves = [swap("usdc", "weth", 3_500 * USDC, 99 * 10**16, venue="usdc-weth-500")]

    assert denied(moves=moves) == set()


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (NOW + timedelta(seconds=900), set()),
        (NOW + timedelta(seconds=901), {"snapshot_old", "rate_stale"}),
        (NOW - timedelta(seconds=16), {"snapshot_old", "rate_stale"}),
    ],
)
def test_snapshot_and_rates_may_be_fifteen_minutes_old(moment, expected):
    assert denied(now=moment) == expected


@pytest.mark.parametrize("field", ["taken_at", "block_time"])
@pytest.mark.parametrize(
    ("age", "expected"), [(900, set()), (901, {"snapshot_old"}), (-15, set()), (-16, {"snapshot_old"})]
)
def test_the_older_of_reading_and_block_counts(field, age, expected):
    """A node that stands still answers at once, and the block it answers from is old."""
    snapshot = make_snapshot(**{field: NOW - timedelta(seconds=age)})

    assert denied(snapshot=snapshot) == expected


@pytest.mark.parametrize("order", [1, -1])
def test_a_snapshot_with_one_moment_ahead_of_us_has_no_age(order):
    moments = [NOW - timedelta(seconds=60), NOW + timedelta(seconds=16)][::order]
    snapshot = make_snapshot(taken_at=moments[0], block_time=moments[1])

    (row,) = (row for row in rows_of("freshness", make_evidence(snapshot=snapshot)) if row.code == "snapshot_old")

    assert (row.passed, row.observed, row.subject) == (False, "unknown", "snapshot")


@pytest.mark.parametrize(("head", "expected"), [(130, set()), (131, {"block_lag"}), (99, {"block_lag"})])
def test_the_head_may_be_thirty_blocks_ahead_and_never_behind(head, expected):
    assert denied(head_block_number=head) == expected


def test_entering_a_strategy_without_a_rate_denies():
    assert denied(snapshot=make_snapshot(rates=())) == {"rate_stale", "strategy_paused"}


def test_entering_a_paused_strategy_denies():
    rates = tuple(rate.model_copy(update={"is_paused": True}) for rate in make_snapshot().rates)

    assert denied(snapshot=make_snapshot(rates=rates)) == {"strategy_paused"}


def test_a_growing_position_counts_as_entered_whatever_the_calls_say():
    evidence = make_evidence([swap("usdc", "dai", 1_000 * USDC, 999 * DAI)], snapshot=make_snapshot(rates=()))
    after = make_portfolio(positions={"aave-usdx": 100_200 * DAI, "aave-weth": 20 * DAI})

    rows = rows_of("freshness", evidence.model_copy(update={"after": after}))

    assert codes(rows) == {"rate_stale", "strategy_paused"}


def state_codes(moves, state, **parts):
    return codes(rows_of("trading_state", make_evidence(moves, trading_state=state, **parts)))


def test_active_lets_every_batch_reach_the_other_guards():
    assert state_codes([supply(1)], TradingState.ACTIVE) == set()


def test_halted_lets_only_the_way_out_pass():
    assert state_codes([supply(1)], TradingState.HALTED) == {"trading_state_halted"}
    assert state_codes(exit_moves(), TradingState.HALTED) == set()


def stress(loss):
    return make_report(stress=make_stress(exploit=loss))


BUY = [swap("usdc", "dai", 1_000 * USDC, 999 * DAI)]
ROTATE = [withdraw("aave-usdx", "usdx", DAI), supply(1)]


@pytest.mark.parametrize(
    ("moves", "before", "after", "expected"),
    [
        (BUY, 0.2, 0.19, set()),
        (BUY, 0.2, 0.2, {"trading_state_reducing"}),
        (BUY, None, 0.1, {"trading_state_reducing"}),
        (BUY, 0.1, None, {"trading_state_reducing"}),
        (ROTATE, 0.2, 0.1, {"trading_state_reducing"}),
        (list(exit_moves()), None, None, set()),
    ],
)
def test_reducing_asks_for_less_stress_and_no_entry(moves, before, after, expected):
    reports = {
        "risk_before": None if before is None else stress(before),
        "risk_after": None if after is None else stress(after),
    }

    assert state_codes(moves, TradingState.REDUCING, **reports) == expected


def test_reducing_passes_nothing_without_a_scenario():
    report = make_report(stress=())

    assert state_codes(BUY, TradingState.REDUCING, risk_before=report, risk_after=report) == {"trading_state_reducing"}


def test_the_policy_decides_how_many_sources_are_enough():
    policy = make_limits(freshness={"min_price_sources_count": 1})

    assert denied(snapshot=prices_with(make_price("dai", "1")), policy=policy) == set()
