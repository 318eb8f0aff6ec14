"""Backtests against hand calculations, SciPy's distributions and simulations whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from domain.errors import StaleOrDisputed
from tools.risk.risk_backtest import (
    breaches_of,
    christoffersen_independence,
    conditional_coverage,
    holm_rejections,
    kupiec,
    shortfall_ratio,
)


def breaches_at(*days: int, length: int = 250) -> np.ndarray:
    found = np.zeros(length, dtype=bool)
    found[list(days)] = True
    return found


def test_kupiec_equals_the_hand_calculation() -> None:
    """20 breaches in 250 days at 95 %: 2 (230 ln(0.92 / 0.95) + 20 ln(0.08 / 0.05))."""
    statistic = 2 * (230 * math.log(0.92 / 0.95) + 20 * math.log(0.08 / 0.05))

    found = kupiec(breaches_at(*range(0, 200, 10)), level=0.95)

    assert found.statistic == pytest.approx(statistic)
    assert found.p_value == pytest.approx(stats.chi2.sf(statistic, 1))


def test_kupiec_accepts_exactly_the_expected_number() -> None:
    found = kupiec(breaches_at(*range(0, 200, 20), length=200), level=0.95)

    assert found == (0.0, 1.0)


@pytest.mark.parametrize("days", [(), tuple(range(250))])
def test_kupiec_rejects_none_and_all(days: tuple[int, ...]) -> None:
    assert kupiec(breaches_at(*days), level=0.95).p_value < 0.001


def test_independence_equals_the_hand_calculation() -> None:
    """Days 10 and 11, 50 and 51, and 90: of 249 pairs 2 follow a breach with a breach, 3 with calm."""
    together = stats.binom.logpmf(5, 249, 5 / 249) - math.log(math.comb(249, 5))
    apart = stats.binom.logpmf(3, 244, 3 / 244) - math.log(math.comb(244, 3))
    apart += stats.binom.logpmf(2, 5, 2 / 5) - math.log(math.comb(5, 2))

    found = christoffersen_independence(breaches_at(10, 11, 50, 51, 90))

    assert found.statistic == pytest.approx(2 * (apart - together))
    assert found.p_value == pytest.approx(stats.chi2.sf(found.statistic, 1))


def test_scattered_breaches_are_independent() -> None:
    assert christoffersen_independence(breaches_at(10, 60, 110, 170, 220)).p_value > 0.5


def test_no_breach_depends_on_nothing() -> None:
    assert christoffersen_independence(breaches_at()) == (0.0, 1.0)


def test_conditional_coverage_adds_both_statistics() -> None:
    breaches = breaches_at(10, 11, 50, 51, 90)
    both = kupiec(breaches, level=0.99).statistic + christoffersen_independence(breaches).statistic

    found = conditional_coverage(breaches, level=0.99)

    assert found.statistic == pytest.approx(both)
    assert found.p_value == pytest.approx(stats.chi2.sf(both, 2))


def test_right_forecasts_are_rejected_about_as_often_as_the_test_says() -> None:
    source = np.random.default_rng(8)

    rejected = [kupiec(source.random(1000) > 0.95, level=0.95).p_value < 0.05 for _ in range(400)]

    assert 0.02 <= np.mean(rejected) <= 0.09


@pytest.mark.parametrize(("scale", "contains"), [(1.0, True), (0.8, False), (1.3, False)])
def test_shortfall_ratio_tells_right_from_wrong_forecasts(scale: float, contains: bool) -> None:
    returns = np.random.default_rng(4).standard_normal(20_000)
    var, cvar = np.full((2, returns.size), [[stats.norm.ppf(0.95)], [2.0627 * scale]])

    found = shortfall_ratio(returns, var, cvar)

    assert found is not None
    assert found.contains_one is contains
    assert found.value == pytest.approx(1 / scale, rel=0.02)
    assert found == shortfall_ratio(returns, var, cvar)


def test_interval_holds_a_right_forecast_of_heavy_tails_about_as_often_as_it_says() -> None:
    """A year of t(4) has some 18 breaches; a percentile interval holds one in only 85 % of such years."""
    source = np.random.default_rng(21)
    quantile = stats.t.ppf(0.95, 4)
    shortfall = stats.t.pdf(quantile, 4) / 0.05 * (4 + quantile**2) / 3
    years = [source.standard_t(4, 365) for _ in range(120)]

    found = [shortfall_ratio(year, np.full(365, quantile), np.full(365, shortfall)) for year in years]

    assert np.mean([ratio.contains_one for ratio in found if ratio is not None]) >= 0.9


def test_shortfall_of_four_breaches_is_unknown() -> None:
    returns = np.where(breaches_at(1, 2, 3, 4), -1.0, 0.0)
    forecast = np.full(returns.size, 0.5)

    assert shortfall_ratio(returns, forecast, forecast) is None


def test_loss_that_equals_its_forecast_is_no_breach() -> None:
    assert breaches_of(np.array([-0.1, -0.1]), np.array([0.1, 0.09])).tolist() == [False, True]


def test_holm_is_stricter_than_each_test_alone_and_stops_at_the_first_that_stands() -> None:
    assert holm_rejections([0.04, 0.001, 0.03, 0.02]) == (False, True, False, False)
    assert holm_rejections([0.001, 0.012, 0.02, 0.04]) == (True, True, True, True)
    assert holm_rejections([]) == ()


@pytest.mark.parametrize("value", [np.nan, -0.1, 1.1])
def test_p_value_that_is_none_rejects_nothing_silently(value: float) -> None:
    with pytest.raises(StaleOrDisputed, match=rf"row 0 of p_values is {value}, must be in \[0, 1\]"):
        holm_rejections([value, 0.001])


def test_days_that_neither_breach_nor_hold_are_refused() -> None:
    with pytest.raises(StaleOrDisputed, match="breaches are float64, must be bool: row 0 is nan"):
        kupiec(np.full(200, np.nan), level=0.95)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_day_without_a_number_is_named(value: float) -> None:
    forecasts = np.full(200, 0.1)
    forecasts[17] = value

    with pytest.raises(StaleOrDisputed, match="row 17 of forecasts"):
        breaches_of(np.zeros(200), forecasts)


def test_few_days_and_different_lengths_are_refused() -> None:
    with pytest.raises(StaleOrDisputed, match="needs 100"):
        kupiec(breaches_at(length=99), level=0.95)
    with pytest.raises(StaleOrDisputed, match=r"\(3,\) returns for \(4,\)"):
        breaches_of(np.zeros(3), np.zeros(4))
