"""Pools that are entered and left in one batch, books of cents, and what is traded without a price."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pytest

from domain.plan import Move
from domain.portfolio import Portfolio
from domain.units import divide_up
from domain.verdict import Finding
from guards import GUARDS
from guards.case import Case
from tests.builders import make_portfolio, make_rate, make_snapshot
from tests.builders_evidence import DAI, USDC, make_evidence, make_limits, rows_of, supply, swap, withdraw

IN_AAVE = make_portfolio(cash={"usdc": 900_000 * USDC}, positions={"aave-usdc": 100_000 * USDC})


def judge(moves: Sequence[Move], before: Portfolio = IN_AAVE, **parts: object) -> dict[tuple[str, str], Finding]:
    rows = rows_of("exposure", make_evidence(moves, before=before, **parts))
    return {(row.code, row.subject): row for row in rows}


@pytest.mark.parametrize(
    ("moves", "held", "joined"),
    [
        ([supply(50_000)], 150_000, 50_000),
        ([supply(50_000), withdraw("aave-usdc", "usdc", 20_000 * USDC)], 130_000, 30_000),
        ([supply(50_000), withdraw("aave-usdc", "usdc", 70_000 * USDC)], 80_000, 0),
    ],
)
def test_only_what_joins_a_pool_makes_it_larger(moves: list[Move], held: int, joined: int) -> None:
    evidence = make_evidence(moves, before=IN_AAVE)

    observed = {row.code: row.observed for row in GUARDS["exposure"](Case(evidence)) if row.subject == "aave-usdc"}

    assert observed["pool_supplied_share"] == divide_up(Decimal(held), Decimal(20_000_000 + joined))
    assert observed["pool_withdrawable_share"] == divide_up(Decimal(held), Decimal(6_000_000))


def test_a_pool_of_one_unit_has_a_share_and_an_empty_one_has_none() -> None:
    free = make_limits(exposure={"max_pool_withdrawable_share": "unlimited"})

    def judged(withdrawable: int) -> bool:
        rates = (make_rate("aave-usdc", decimals=6).model_copy(update={"withdrawable": withdrawable}),)
        return judge([supply(1)], snapshot=make_snapshot(rates=rates), policy=free)[
            "pool_withdrawable_share", "aave-usdc"
        ].passed

    assert (judged(1), judged(0)) == (True, False)


def test_a_book_of_cents_has_shares_too() -> None:
    cents = make_portfolio(cash={"usdc": USDC // 2}, positions={"aave-usdc": USDC // 4})

    rows = judge([withdraw("aave-usdc", "usdc", USDC // 4)], cents)

    assert rows["reserve_share", "usdc"].observed == "1"
    assert rows["issuer_share", "usdc-issuer"].observed == "1"


def test_a_trade_without_a_price_leaves_turnover_unknown_and_the_book_its_shares() -> None:
    venue = "usdc-weth-500"
    moves = [swap("usdc", "weth", 10_000 * USDC, 1, venue=venue), swap("weth", "usdc", 10_000 * DAI, 1, venue=venue)]
    no_weth = make_snapshot(prices=tuple(price for price in make_snapshot().prices if price.token != "weth"))

    rows = judge(moves, snapshot=no_weth, policy=make_limits(exposure={"max_issuer_share": "unlimited"}))

    assert {code for (code, _), row in rows.items() if not row.passed} == {"run_turnover", "day_turnover"}
    assert rows["run_turnover", "batch"].observed == "unknown"
    assert rows["strategy_share", "aave-usdc"].observed == "0.1"


def test_a_holding_without_a_price_leaves_every_share_unknown() -> None:
    book = make_portfolio(cash={"usdc": 900_000 * USDC}, positions={"aave-usdx": 10_000 * DAI})
    no_usdx = make_snapshot(prices=tuple(price for price in make_snapshot().prices if price.token != "usdx"))

    rows = judge([supply(50_000)], book, snapshot=no_usdx)

    shares = [row for (code, _), row in rows.items() if not code.startswith("pool")]
    assert {row.observed for row in shares} == {"unknown"}
    assert not any(row.passed for row in shares)
    assert ("strategy_share", "aave-usdx") in rows
