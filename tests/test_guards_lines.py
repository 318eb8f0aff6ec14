"""The straight lines behind feasible parts: their crossings, and what each family draws them between."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal

import pytest

from domain.plan import Move
from domain.portfolio import Portfolio
from domain.units import EXACT
from domain.verdict import Economics, Evidence
from guards.case import Case
from guards.lines import (
    Entry,
    Line,
    budget_lines,
    economics_lines,
    exposure_lines,
    slippage_lines,
)
from tests.builders import make_portfolio, make_snapshot
from tests.builders_evidence import (
    DAI,
    USDC,
    deposit,
    make_budget,
    make_evidence,
    make_limits,
    supply,
    swap,
    withdraw,
)

THOUSAND = 1_000 * USDC
BEFORE = make_portfolio(cash={"usdc": 900 * THOUSAND}, positions={"aave-usdx": 100_000 * DAI})


def draw(family: Callable[[Case], Iterator[Entry]], evidence: Evidence) -> Mapping[tuple[str, str], Line]:
    return dict(family(Case(evidence)))


# before, after, the most that passes, the least that passes
CROSSINGS = [
    (-1, 1, 5_000, 0),
    (-3, 1, 7_500, 0),
    (-1, 2, 3_333, 0),
    (-1, 9_999, 1, 0),
    (-1, 10_000, 0, 0),
    (0, 1, 0, 0),
    (-1, 0, 10_000, 0),
    (0, 0, 10_000, 0),
    (-1, -2, 10_000, 0),
    (1, -1, 0, 5_000),
    (1, -2, 0, 3_334),
    (2, -1, 0, 6_667),
    (1, 0, 0, 10_000),
    (1, 1, 0, 10_001),
    (2, 1, 0, 10_001),
]


@pytest.mark.parametrize(("before", "after", "most", "least"), CROSSINGS)
def test_a_part_passes_up_to_the_crossing_or_from_it_on(before: int, after: int, most: int, least: int) -> None:
    line = Line(Decimal(before), Decimal(after))

    assert (line.most_bps, line.least_bps) == (most, least)


def test_a_crossing_is_exact_far_beyond_28_digits() -> None:
    just_below = EXACT.add(Decimal(-1), Decimal(10) ** -40)

    assert Line(just_below, Decimal(1)).most_bps == 4_999
    assert Line(Decimal(1), just_below).least_bps == 5_001


AFTER = make_portfolio(cash={"usdc": 700 * THOUSAND}, positions={"aave-usdx": 100_000 * DAI})
NO_WBTC = make_snapshot(prices=tuple(price for price in make_snapshot().prices if price.token != "wbtc"))
WITH_WBTC = make_portfolio(cash={"usdc": 900 * THOUSAND, "wbtc": 1}, positions={"aave-usdx": 100_000 * DAI})


@pytest.mark.parametrize("parts", [{"before": WITH_WBTC, "after": AFTER}, {"before": BEFORE, "after": WITH_WBTC}])
def test_a_book_without_a_value_on_either_side_has_no_shares(parts: dict[str, Portfolio]) -> None:
    evidence = make_evidence([supply(50_000)], snapshot=NO_WBTC, **parts)

    assert draw(exposure_lines, evidence) == {}


def test_shares_run_between_the_values_of_both_books() -> None:
    lines = draw(exposure_lines, make_evidence([deposit(50_000 * DAI), supply(10_000)], before=WITH_DAI))

    # 900,000 USDC, 60,000 DAI and 40,000 USDX in Aave; limits as in make_limits()
    assert lines["protocol_share", "aave-v3"] == Line(Decimal(40_000 - 700_000), Decimal(50_000 - 700_000))
    assert lines["strategy_share", "vault-limited-dai"] == Line(Decimal(-350_000), Decimal(50_000 - 350_000))
    assert lines["token_share", "dai"] == Line(Decimal(60_000 - 400_000), Decimal(60_000 - 400_000))
    assert lines["reserve_share", "usdc"] == Line(Decimal(100_000 - 900_000), Decimal(100_000 - 890_000))
    assert lines["run_turnover", "batch"] == Line(Decimal(-350_000), Decimal(60_000 - 350_000))
    assert lines["day_turnover", "24 hours"] == Line(Decimal(-800_000), Decimal(60_000 - 800_000))


WITH_DAI = make_portfolio(cash={"usdc": 900 * THOUSAND, "dai": 60_000 * DAI}, positions={"aave-usdx": 40_000 * DAI})


def test_a_position_that_is_left_runs_down_to_nothing() -> None:
    moves = [withdraw("aave-usdx", "usdx", 40_000 * DAI, is_whole=True)]

    lines = draw(exposure_lines, make_evidence(moves, before=WITH_DAI))

    assert lines["strategy_share", "aave-usdx"] == Line(Decimal(40_000 - 350_000), Decimal(-350_000))
    assert ("pool_supplied_share", "aave-usdx") not in lines


IN_AAVE = make_portfolio(cash={"usdc": 900 * THOUSAND}, positions={"aave-usdc": 100 * THOUSAND})


@pytest.mark.parametrize(
    ("moves", "after", "joined"),
    [
        ([supply(50_000)], 150, 50),
        ([supply(50_000), withdraw("aave-usdc", "usdc", 70 * THOUSAND)], 80, 0),
    ],
)
def test_only_what_joins_a_pool_makes_it_larger(moves: list[Move], after: int, joined: int) -> None:
    lines = draw(exposure_lines, make_evidence(moves, before=IN_AAVE))

    # a tenth of 20,000,000 and three tenths of 6,000,000, in base units of USDC
    assert lines["pool_supplied_share", "aave-usdc"] == Line(
        Decimal(-1_900 * THOUSAND), Decimal((after - 2_000) * THOUSAND - joined * THOUSAND // 10)
    )
    assert lines["pool_withdrawable_share", "aave-usdc"] == Line(
        Decimal(-1_700 * THOUSAND), Decimal((after - 1_800) * THOUSAND)
    )


def test_a_sale_without_a_price_leaves_the_shares_their_lines() -> None:
    venue = "usdc-weth-500"
    moves = [swap("usdc", "weth", 10 * THOUSAND, 1, venue=venue), swap("weth", "usdc", 10_000 * DAI, 1, venue=venue)]
    no_weth = make_snapshot(prices=tuple(price for price in make_snapshot().prices if price.token != "weth"))

    drawn = {code for code, _ in draw(exposure_lines, make_evidence(moves, before=BEFORE, snapshot=no_weth))}

    assert "strategy_share" in drawn
    assert not drawn & {"run_turnover", "day_turnover"}


def test_a_pool_that_was_not_read_has_no_line() -> None:
    lines = draw(exposure_lines, make_evidence([supply(50_000)], snapshot=make_snapshot(rates=())))

    assert not {code for code, _ in lines} & {"pool_supplied_share", "pool_withdrawable_share"}


def test_gain_must_pay_all_of_the_cost_with_part_of_itself() -> None:
    economics = Economics(lower_gain_usd=120.0, cost_usd=20.0, break_even_days=6.0)

    lines = draw(economics_lines, make_evidence(economics=economics))

    assert lines == {
        ("net_gain", "batch"): Line(Decimal(25), Decimal(-95)),
        ("break_even", "batch"): Line(Decimal(6), Decimal(-24)),
    }


@pytest.mark.parametrize(
    ("economics", "drawn"),
    [
        (None, set()),
        (Economics(lower_gain_usd=None, cost_usd=1.0, break_even_days=None), set()),
        (Economics(lower_gain_usd=1.0, cost_usd=None, break_even_days=1.0), {"break_even"}),
        (Economics(lower_gain_usd=1.0, cost_usd=1.0, break_even_days=None), {"net_gain"}),
    ],
)
def test_economics_that_are_unknown_have_no_line(economics: Economics | None, drawn: set[str]) -> None:
    assert {code for code, _ in draw(economics_lines, make_evidence(economics=economics))} == drawn


def test_slippage_runs_on_from_what_the_windows_have_used() -> None:
    evidence = make_evidence(
        [swap("usdc", "dai", 50_000 * USDC, 49_800 * DAI)],
        budget=make_budget(slippage_day_usd=1_900, slippage_week_usd=4_000),
    )

    assert draw(slippage_lines, evidence) == {
        ("day_slippage", "24 hours"): Line(Decimal(-100), Decimal(100)),
        ("week_slippage", "7 days"): Line(Decimal(-1_000), Decimal(-800)),
    }


def test_budgets_run_on_from_what_the_windows_have_used_and_gas_is_in_none() -> None:
    used = make_budget(value_day_usd=1_480_000, value_week_usd=1, loss_day_usd=4_000, loss_week_usd=2)
    evidence = make_evidence([swap("usdc", "dai", 50_000 * USDC, 49_800 * DAI)], budget=used, haircut_bps=20)

    assert draw(budget_lines, evidence) == {
        ("transaction_value", "batch"): Line(Decimal(-500_000), Decimal(-450_000)),
        ("day_value", "24 hours"): Line(Decimal(-20_000), Decimal(30_000)),
        ("week_value", "7 days"): Line(Decimal(-2_999_999), Decimal(-2_949_999)),
        ("day_loss", "24 hours"): Line(Decimal(-1_000), Decimal(-900)),
        ("week_loss", "7 days"): Line(Decimal(-9_998), Decimal(-9_898)),
    }


def test_what_cannot_be_priced_or_is_unlimited_has_no_line() -> None:
    unpriced = make_evidence([swap("usdc", "dai", THOUSAND, 996 * DAI)], snapshot=make_snapshot(prices=()))
    free = make_evidence(policy=make_limits(economics={"max_break_even_days": "unlimited"}))

    assert (draw(slippage_lines, unpriced), draw(budget_lines, unpriced)) == ({}, {})
    assert ("break_even", "batch") not in draw(economics_lines, free)
