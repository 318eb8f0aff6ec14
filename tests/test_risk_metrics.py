"""Risk of one series against hand calculations, SciPy and skfolio's independent implementation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import skfolio.measures as peer
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.covariance import ledoit_wolf

from domain.risk import TailRisk
from tools.risk.dependence import correlation
from tools.risk.risk_metrics import (
    compound_windows,
    downside_deviation,
    historical_tail,
    max_drawdown,
    parametric_tail,
    volatility,
)
from tools.risk.tail_definition import tail_of

LEVELS = [0.95, 0.99]
RISING = np.full(100, 0.001)


def heavy_tailed(count: int = 400) -> np.ndarray:
    return np.random.default_rng(11).standard_t(4, count) * 0.01


def tail(returns: np.ndarray, level: float = 0.95, horizon_days: int = 1) -> TailRisk:
    found = historical_tail(returns, level=level, horizon_days=horizon_days)
    assert found is not None
    return found


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("count", [40, 100, 333, 730])
def test_var_and_cvar_equal_skfolio(level: float, count: int) -> None:
    returns = heavy_tailed(count)

    var, cvar = tail_of(returns, level)

    assert var == pytest.approx(peer.value_at_risk(returns, beta=level), abs=1e-12)
    assert cvar == pytest.approx(peer.cvar(returns, beta=level), abs=1e-12)


def test_var_of_a_hundred_losses_is_the_sixth_largest() -> None:
    returns = -np.arange(1.0, 101.0) / 1000

    var, cvar = tail_of(returns, 0.95)

    assert var == pytest.approx(0.095)
    assert cvar == pytest.approx(np.mean([0.096, 0.097, 0.098, 0.099, 0.1]))


def test_cvar_counts_the_fraction_of_the_atom_at_var() -> None:
    returns = np.array([-0.10, -0.02, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])

    _, cvar = tail_of(returns, 0.85)

    assert cvar == pytest.approx((0.1 * 0.10 + 0.05 * 0.02) / 0.15)


@pytest.mark.parametrize("level", LEVELS)
def test_series_that_only_rises_has_no_tail_risk(level: float) -> None:
    found = tail(RISING, level)

    assert (found.var.value, found.cvar.value, found.var.upper) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("returns", [np.array([]), np.array([0.01]), np.array([np.nan, 0.01, np.nan])])
def test_too_few_observations_are_unknown_and_not_zero(returns: np.ndarray) -> None:
    measured = (
        volatility(returns),
        max_drawdown(returns),
        historical_tail(returns, level=0.95),
        parametric_tail(returns, level=0.95),
    )

    assert measured == (None, None, None, None)


def test_spread_and_drawdown_need_ten_known_days() -> None:
    measures = (volatility, downside_deviation, max_drawdown)
    few, enough = (np.append(heavy_tailed(count), np.nan) for count in (9, 10))

    assert [measure(few) for measure in measures] == [None, None, None]
    assert None not in [measure(enough) for measure in measures]


def test_unknown_days_do_not_count_as_observations() -> None:
    returns = np.concatenate([heavy_tailed(50), np.full(50, np.nan)])

    assert tail(returns).var.sample_size == 50


def test_var_interval_is_the_binomial_order_statistics() -> None:
    losses = np.arange(1.0, 201.0) / 1000
    low_rank, high_rank = stats.binom.ppf([0.05, 0.95], 200, 0.95)

    found = tail(-losses)

    assert found.var.lower == pytest.approx(losses[int(low_rank) - 1])
    assert found.var.upper == pytest.approx(losses[int(high_rank)])


def test_var_interval_covers_the_true_quantile_about_as_often_as_it_says() -> None:
    truth = -stats.norm.ppf(0.05)
    source = np.random.default_rng(3)

    hits = 0
    for _ in range(200):
        var = tail(source.standard_normal(250)).var
        hits += var.lower <= truth <= var.upper

    assert hits >= 0.84 * 200


def test_measures_are_the_same_in_every_call() -> None:
    assert tail(heavy_tailed()) == tail(heavy_tailed())
    assert volatility(heavy_tailed()) == volatility(heavy_tailed())


def test_volatility_is_the_annualized_sample_deviation() -> None:
    found = volatility(heavy_tailed())

    assert found is not None
    assert found.value == pytest.approx(stats.tstd(heavy_tailed()) * math.sqrt(365))
    assert found.lower < found.value < found.upper


def test_drawdown_is_the_deepest_fall_from_a_peak() -> None:
    found = max_drawdown(np.array([0.0] * 5 + [0.10, -0.10, -0.10, 0.50, -0.05]))

    assert found is not None
    assert found.depth.value == pytest.approx(1 - 0.9 * 0.9)
    assert found.duration_days == 2


def test_first_day_loss_is_a_drawdown_from_the_start() -> None:
    found = max_drawdown(np.array([-0.2] + [0.01] * 9))

    assert found is not None
    assert found.depth.value == pytest.approx(0.2)


def test_horizon_compounds_overlapping_windows_and_counts_independent_ones() -> None:
    returns = heavy_tailed(104)

    windows = compound_windows(returns, 5)
    found = tail(returns, horizon_days=5)

    assert windows is not None
    assert windows[0] == pytest.approx(np.prod(1 + returns[:5]) - 1)
    assert windows.size == 100
    assert found.var.sample_size == 20
    assert historical_tail(returns[:-1], level=0.95, horizon_days=5) is None


def test_horizon_longer_than_the_series_is_unknown() -> None:
    assert historical_tail(RISING[:5], level=0.95, horizon_days=5) is None


@pytest.mark.parametrize("level", LEVELS)
def test_parametric_tail_of_a_normal_sample_is_the_normal_formula(level: float) -> None:
    returns = stats.norm.ppf((np.arange(1, 2000) - 0.5) / 1999) * 0.01  # quantiles: kurtosis just below 3
    deviation = stats.tstd(returns)

    found = parametric_tail(returns, level=level, horizon_days=4)

    assert found is not None
    assert found.var.value == pytest.approx(2 * deviation * stats.norm.ppf(level), rel=1e-9)
    assert found.cvar.value == pytest.approx(2 * deviation * stats.norm.pdf(stats.norm.ppf(level)) / (1 - level))


def test_parametric_tail_of_heavy_tails_is_the_matched_student_t() -> None:
    returns = heavy_tailed(2000)
    freedom = 4 + 6 / stats.kurtosis(returns)
    scale = stats.tstd(returns) * math.sqrt((freedom - 2) / freedom)
    shortfall = -stats.t.expect(lambda x: x, args=(freedom,), ub=stats.t.ppf(0.01, freedom), conditional=True)

    found = parametric_tail(returns, level=0.99)

    assert found is not None
    assert found.var.value == pytest.approx(scale * stats.t.ppf(0.99, freedom) - returns.mean())
    assert found.cvar.value == pytest.approx(scale * shortfall - returns.mean(), rel=1e-6)


def test_parametric_tail_of_a_constant_gain_is_zero() -> None:
    found = parametric_tail(RISING, level=0.99)

    assert found is not None
    assert found.cvar.value == 0.0


def test_shrunk_correlation_equals_sklearn_on_standardized_columns() -> None:
    values = np.random.default_rng(5).standard_normal((60, 4)) * [1e-5, 1e-4, 1e-2, 1.0]
    standardized = (values - values.mean(axis=0)) / values.std(axis=0)
    expected, shrinkage = ledoit_wolf(standardized)

    found = correlation(values)

    assert found is not None
    assert found.sample == pytest.approx(np.corrcoef(values, rowvar=False))
    assert found.shrinkage == pytest.approx(shrinkage)
    assert found.shrunk == pytest.approx(expected)


def test_constant_column_correlates_with_nothing() -> None:
    values = np.column_stack([np.full(30, 0.01), heavy_tailed(30)])

    found = correlation(values)

    assert found is not None
    assert found.sample[0, 1] == 0.0
    assert found.sample[0, 0] == 1.0
    assert np.isfinite(found.shrunk).all()


def test_all_columns_constant_still_gives_a_finite_matrix() -> None:
    found = correlation(np.zeros((30, 2)))

    assert found is not None
    assert found.shrunk == pytest.approx(np.eye(2))


def test_correlation_without_ten_complete_rows_is_unknown() -> None:
    values = heavy_tailed(22).reshape(11, 2)
    values[3, 1] = np.nan

    assert correlation(values) is not None
    assert correlation(values[:10]) is None


@given(st.lists(st.floats(-0.5, 0.5), min_size=2, max_size=60), st.sampled_from(LEVELS))
def test_cvar_is_never_below_var_and_neither_is_negative(values: list[float], level: float) -> None:
    var, cvar = tail_of(np.array(values), level)

    assert 0 <= var <= cvar + 1e-12
    assert cvar <= max(-min(values), 0) + 1e-12
