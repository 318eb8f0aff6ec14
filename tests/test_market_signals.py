"""Signals of single series: hand values, published tests, causality, and what bad input gets told."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from domain.errors import StaleOrDisputed
from tools.markets.market_signals import (
    Access,
    Direction,
    PegState,
    Regime,
    read_peg,
    read_pressure,
    read_regime,
    read_trend,
)

NAN = np.nan
series = arrays(np.float64, st.integers(0, 60), elements=st.floats(0.9, 1.1) | st.just(NAN))


def test_trend_slope_is_the_theil_sen_slope_of_scipy() -> None:
    values = np.random.default_rng(1).normal(size=30).cumsum()

    trend = read_trend(values, column="apr")

    assert trend is not None
    assert trend.slope_per_day == pytest.approx(stats.theilslopes(values, np.arange(30)).slope)


def test_trend_test_is_kendalls_where_nothing_is_remembered() -> None:
    """With continuity correction, as Kendall's S has it; residuals alternate, so that nothing widens the variance."""
    values = np.arange(12.0) + 1.6 * (-1.0) ** np.arange(12)
    s = sum(np.sign(values[j] - values[i]) for i in range(12) for j in range(i + 1, 12))

    trend = read_trend(values, column="apr")

    assert trend is not None
    assert trend.p_value == pytest.approx(2 * stats.norm.sf((s - 1) / np.sqrt(12 * 11 * 29 / 18)))
    assert trend.direction is Direction.RISING


def test_memory_widens_the_test_as_yue_and_wang_do() -> None:
    """Computed here from their equations 6 to 9, with the autocorrelation of what the Theil-Sen line leaves."""
    n, source = 30, np.random.default_rng(11)
    values = np.zeros(n)
    for day in range(1, n):
        values[day] = 0.7 * values[day - 1] + source.normal()
    values += 0.08 * np.arange(n)
    left = values - stats.theilslopes(values, np.arange(n)).slope * np.arange(n)
    left -= left.mean()
    memory = (left[1:] * left[:-1]).sum() / (left**2).sum()
    widened = 1 + 2 * sum((1 - lag / n) * memory**lag for lag in range(1, n))
    s = sum(np.sign(values[j] - values[i]) for i in range(n) for j in range(i + 1, n))

    trend = read_trend(values, column="apr")

    assert trend is not None
    assert memory > 0.3
    assert trend.p_value == pytest.approx(
        2 * stats.norm.sf((abs(s) - 1) / np.sqrt(n * (n - 1) * (2 * n + 5) / 18 * widened))
    )


def test_gaps_do_not_bend_a_slope() -> None:
    values = 0.03 + 0.001 * np.arange(30.0)
    values[[3, 4, 11]] = NAN

    trend = read_trend(values, column="apr")

    assert trend is not None
    assert (trend.slope_per_day, trend.known_days) == (pytest.approx(0.001), 27)


@pytest.mark.parametrize("memory", [0.0, 0.5])
def test_series_without_a_trend_rarely_shows_one(memory: float) -> None:
    source, found = np.random.default_rng(5), 0
    for _ in range(300):
        noise, values = source.normal(size=30), np.zeros(30)
        for day in range(1, 30):
            values[day] = memory * values[day - 1] + noise[day]
        trend = read_trend(values, column="apr")
        found += trend is not None and trend.direction is not Direction.FLAT

    assert found / 300 < 0.13


def test_constant_rate_is_flat_and_nine_days_are_too_few() -> None:
    flat = read_trend(np.full(30, 0.04), column="apr")

    assert flat is not None
    assert (flat.direction, flat.slope_per_day, flat.p_value) == (Direction.FLAT, 0.0, 1.0)
    assert read_trend(np.arange(9.0), column="apr") is None
    assert read_trend(np.arange(10.0), column="apr") is not None


@pytest.mark.parametrize(("size", "regime"), [(0.0001, Regime.CALM), (0.02, Regime.TURBULENT)])
def test_regime_ranks_the_newest_fortnight_among_the_earlier_ones(size: float, regime: Regime) -> None:
    past = np.random.default_rng(2).normal(0.05, 0.002, 200)
    newest = 0.05 + size * (-1.0) ** np.arange(20)

    reading = read_regime(np.concatenate([past, newest]), column="apr")

    assert reading is not None
    assert reading.regime is regime


@pytest.mark.parametrize(
    "values", [np.full(200, 0.04), np.arange(60.0), np.array([]), np.append(np.arange(200.0), NAN)],
    ids=["constant", "short", "empty", "unknown today"],
)  # fmt: skip
def test_regime_of_too_little_is_unknown(values: np.ndarray) -> None:
    assert read_regime(values, column="apr") is None


def test_pressure_measures_the_way_from_the_kink_to_full() -> None:
    found = read_pressure(np.array([0.70, 0.85, 0.88, 0.91]), kink=0.80, column="pool")

    assert found is not None
    assert (found.access, found.days_above) == (Access.TIGHT, 3)
    assert found.excess == pytest.approx(0.55)
    assert found.days_to_full == pytest.approx(0.09 / 0.05)  # slopes of pairs: .03 .03 .03 .07 .09 .15


@pytest.mark.parametrize(
    ("newest", "access"), [(0.80, Access.FREE), (0.81, Access.TIGHT), (0.99, Access.CLOSED), (1.02, Access.CLOSED)]
)
def test_access_changes_above_the_kink_and_at_full(newest: float, access: Access) -> None:
    found = read_pressure(np.array([newest]), kink=0.80, column="pool")

    assert found is not None
    assert found.access is access
    assert 0.0 <= found.excess <= 1.0
    assert found.days_to_full is None


def test_falling_utilization_is_never_full() -> None:
    found = read_pressure(np.array([0.95, 0.93, 0.90]), kink=0.80, column="pool")

    assert found is not None
    assert found.days_to_full is None


@pytest.mark.parametrize(
    ("price", "state"),
    [(1.005, PegState.HOLDING), (0.9949, PegState.STRAINED), (0.98, PegState.BROKEN), (1.03, PegState.BROKEN)],
)
def test_peg_is_judged_on_both_sides(price: float, state: PegState) -> None:
    found = read_peg(np.array([1.0, 0.97, NAN, price]), column="usdc")

    assert found is not None
    assert found.state is state
    assert (found.lowest, found.known_days) == (pytest.approx(-0.03), 3)


def test_peg_of_staked_ether_is_against_its_own_anchor() -> None:
    found = read_peg(np.array([0.94]), column="steth", anchor=0.99)

    assert found is not None
    assert found.deviation == pytest.approx(0.94 / 0.99 - 1)


def test_unknown_today_is_unknown_whatever_yesterday_was() -> None:
    assert read_peg(np.array([1.0, NAN]), column="usdc") is None
    assert read_pressure(np.array([0.5, NAN]), kink=0.8, column="pool") is None
    assert read_peg(np.array([]), column="usdc") is None
    assert read_pressure(np.array([]), kink=0.8, column="pool") is None


@pytest.mark.parametrize("wrong", [np.inf, -np.inf, 0.0, -1.0])
def test_impossible_price_is_refused_with_column_row_and_rule(wrong: float) -> None:
    with pytest.raises(StaleOrDisputed, match="column usdc, row 1: must be finite and within"):
        read_peg(np.array([1.0, wrong]), column="usdc")


def test_negative_utilization_and_infinite_rates_are_refused() -> None:
    with pytest.raises(StaleOrDisputed, match="column pool, row 0"):
        read_pressure(np.array([-0.1]), kink=0.8, column="pool")
    for read in (read_trend, read_regime):
        with pytest.raises(StaleOrDisputed, match="column apr, row 2"):
            read(np.array([0.1, 0.2, np.inf]), column="apr")


@pytest.mark.parametrize("kink", [0.0, 1.0, NAN])
def test_kink_outside_the_curve_is_refused(kink: float) -> None:
    with pytest.raises(StaleOrDisputed, match="kink of pool"):
        read_pressure(np.array([0.5]), kink=kink, column="pool")


@pytest.mark.parametrize("anchor", [0.0, -1.0, NAN, np.inf])
def test_anchor_that_is_no_price_is_refused(anchor: float) -> None:
    with pytest.raises(StaleOrDisputed, match="anchor of usdc"):
        read_peg(np.array([1.0]), column="usdc", anchor=anchor)


@pytest.mark.parametrize("days", [0, -1])
def test_window_of_less_than_a_day_is_refused(days: int) -> None:
    for read in (read_trend, read_regime, read_peg):
        with pytest.raises(StaleOrDisputed, match=f"days of usdc must be 1 or more, got {days}"):
            read(np.full(120, 1.0), column="usdc", days=days)


def test_table_instead_of_a_series_is_refused() -> None:
    with pytest.raises(StaleOrDisputed, match="one value per day, got shape"):
        read_trend(np.ones((3, 2)), column="apr")


@settings(max_examples=60, deadline=None)
@given(series)
def test_no_series_of_prices_is_answered_outside_its_bounds(values: np.ndarray) -> None:
    trend, peg = read_trend(values, column="apr"), read_peg(values, column="usdc")
    pressure = read_pressure(values, kink=0.8, column="pool")

    assert trend is None or 0.0 <= trend.p_value <= 1.0
    assert peg is None or peg.lowest <= peg.deviation
    assert pressure is None or (0.0 <= pressure.excess <= 1.0 and pressure.days_above <= values.size)
