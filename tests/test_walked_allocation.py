"""Allocation walked through markets: nothing from the future, no money from nowhere, exits only as far as pools pay."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bench.quality_allocation import RULES, walk
from bench.stable_markets import Markets, known_rates
from bench.walked_decision import decide, weekly_problem
from tools.history import FloatArray

DAYS = 330
NAMES = ("aave:DAI", "aave:USDC", "aave:USDT", "compound:USDC")
ASSETS = ("DAI", "USDC", "USDT", "USDC")


def make_markets(*, gas_unit_usd: float = 1e-4, rates: FloatArray | None = None) -> Markets:
    generator = np.random.default_rng(4)
    noise = generator.normal(0.0, 0.002, (DAYS, 4))
    shape = (DAYS, 4)
    return Markets(
        days=pd.date_range("2023-01-01", periods=DAYS, freq="D"),
        names=NAMES,
        assets=ASSETS,
        apr=np.abs(np.array([0.03, 0.04, 0.05, 0.06]) + noise) if rates is None else rates,
        price=1.0 + generator.normal(0.0, 1e-5, shape),
        supplied_usd=np.full(shape, 3e8),
        liquid_usd=np.full(shape, 1e8),
        tvl_usd=np.full(shape, 3e8),
        stale_days=np.zeros(shape),
        gas_unit_usd=np.full(DAYS, gas_unit_usd),
    )


def after(markets: Markets, today: int) -> Markets:
    """The same past with another present and future."""
    changed = {
        name: np.concatenate([column[:today], column[today:] * 3.0 + 0.1])
        for name, column in markets._asdict().items()
        if isinstance(column, np.ndarray)
    }
    return markets._replace(**changed)


@pytest.mark.parametrize("rule", RULES)
def test_no_rule_reads_today_or_later(rule: str) -> None:
    markets, held = make_markets(), np.array([0.1, 0.2, 0.0, 0.3])

    before = RULES[rule](markets, 300, held)
    perturbed = RULES[rule](after(markets, 300), 300, held)

    assert before.tobytes() == perturbed.tobytes()


def test_decision_keeps_the_policys_limits_and_prefers_what_pays() -> None:
    weights = dict(zip(NAMES, decide(make_markets(), 300, np.zeros(4)), strict=True))

    assert sum(weights.values()) == pytest.approx(0.35)  # the demo's turnover of one run
    assert weights["compound:USDC"] == pytest.approx(0.35, abs=1e-6)


def test_what_lost_its_peg_is_left_and_not_entered() -> None:
    markets = make_markets()
    markets.price[299, 2] = 0.97

    wanted = decide(markets, 300, np.array([0.0, 0.0, 0.3, 0.2]))

    assert wanted[2] == pytest.approx(0.0, abs=1e-9)


def test_young_market_is_not_entered() -> None:
    markets = make_markets()
    markets.apr[:250, 3] = np.nan

    lines = {line.id: line for line in weekly_problem(markets, 300, np.zeros(4)).strategies}

    assert lines["compound:USDC"].max_buy == 0.0
    assert lines["aave:USDT"].max_buy > 0.0


def test_small_and_stale_markets_have_no_known_rate() -> None:
    markets = make_markets()
    markets.tvl_usd[299, 0], markets.stale_days[299, 1] = 1e6, 5.0

    assert np.isnan(known_rates(markets, 300)).tolist() == [True, True, False, False]


def test_walk_of_one_market_is_its_rate_less_one_entry() -> None:
    markets = make_markets(rates=np.full((DAYS, 4), 0.05))._replace(price=np.ones((DAYS, 4)))

    def usdc(_: Markets, __: int, held: FloatArray) -> FloatArray:
        return np.array([0.0, 1.0, 0.0, 0.0])

    path = walk(markets, usdc, 300)

    gas_share = 450_000 * 1e-4 / 1e6
    grown = (1 + 0.05 / 365) ** 30 * (1 - gas_share)
    assert path.legs == 1
    assert path.annual == pytest.approx(grown ** (365 / 30) - 1, rel=1e-6)


def test_exit_waits_for_liquidity() -> None:
    markets = make_markets()
    markets.liquid_usd[307:, 1] = 0.0

    def in_and_out(_: Markets, today: int, held: FloatArray) -> FloatArray:
        return np.array([0.0, 1.0, 0.0, 0.0]) if today < 307 else np.zeros(4)

    assert walk(markets, in_and_out, 300).legs == 1


def test_gas_that_eats_the_gain_keeps_everything_idle() -> None:
    assert decide(make_markets(gas_unit_usd=1.0), 300, np.zeros(4)).tolist() == [0.0] * 4
