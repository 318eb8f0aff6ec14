"""Contributions that sum to the total, concentration, and correlation on ordinary and on bad days."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvariantBroken, StaleOrDisputed
from tools.risk.concentration import concentration, effective_bets
from tools.risk.dependence import correlation, stressed_correlation
from tools.risk.risk_contributions import (
    Contributions,
    cvar_contributions,
    var_contributions,
    volatility_contributions,
)
from tools.risk.risk_metrics import downside_deviation
from tools.risk.tail_definition import tail_matrix, weighted_tail

WEIGHTS = np.array([0.5, 0.3, -0.1])


def sample(rows: int = 300, columns: int = 3, seed: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).standard_t(4, (rows, columns)) * np.geomspace(0.001, 0.02, columns)


def tail_losses(weights: np.ndarray) -> tuple[float, float]:
    var, cvar = tail_matrix((sample() @ weights)[None, :], 0.95)
    return float(var[0]), float(cvar[0])


def required(found: Contributions | None) -> Contributions:
    assert found is not None
    return found


def test_components_sum_to_volatility() -> None:
    found = required(volatility_contributions(WEIGHTS, sample()))

    assert found.total == pytest.approx((sample() @ WEIGHTS).std(ddof=1) * math.sqrt(365))
    assert found.component.sum() == pytest.approx(found.total, rel=1e-12)


def test_components_sum_to_var_and_cvar() -> None:
    var, cvar = tail_losses(WEIGHTS)

    assert required(var_contributions(WEIGHTS, sample(), level=0.95)).total == pytest.approx(var, rel=1e-12)
    assert required(cvar_contributions(WEIGHTS, sample(), level=0.95)).total == pytest.approx(cvar, rel=1e-12)


@pytest.mark.parametrize("column", [0, 1, 2])
def test_marginal_is_the_derivative_of_the_total(column: int) -> None:
    bump = np.eye(3)[column] * 1e-7
    before, after = tail_losses(WEIGHTS - bump)[1], tail_losses(WEIGHTS + bump)[1]

    found = required(cvar_contributions(WEIGHTS, sample(), level=0.95))

    assert found.marginal[column] == pytest.approx((after - before) / 2e-7, rel=1e-6)


def test_days_that_tie_at_var_share_its_fraction() -> None:
    values = np.repeat([[-0.1, 0.0], [0.0, -0.1], [0.01, 0.01]], [2, 2, 36], axis=0)

    found = required(cvar_contributions(np.array([0.5, 0.5]), values, level=0.95))

    assert found.component == pytest.approx([0.025, 0.025])


@given(st.integers(0, 10_000), st.sampled_from([0.95, 0.99]))
def test_components_sum_to_the_total_for_any_sample(seed: int, level: float) -> None:
    values, weights = sample(120, 4, seed), np.random.default_rng(seed).standard_normal(4)
    expected = np.sort(-values @ weights)
    index = math.ceil(level * 120 - 1e-9) - 1

    found = required(cvar_contributions(weights, values, level=level))

    excess = (expected[index:] - expected[index]).sum() / ((1 - level) * 120)
    assert found.component.sum() == pytest.approx(expected[index] + excess, rel=1e-9, abs=1e-12)


def test_contributions_of_little_or_of_nothing_are_unknown() -> None:
    assert cvar_contributions(WEIGHTS, sample(19), level=0.95) is None
    assert var_contributions(WEIGHTS, np.full((50, 3), np.nan), level=0.95) is None
    assert volatility_contributions(WEIGHTS, np.full((50, 3), 0.25)) is None
    assert volatility_contributions(np.array([0.5, 0.3, 0.2]), np.full((200, 3), 0.001)) is None
    assert volatility_contributions(np.array([0.1, 0.2, -0.3]), np.repeat(sample(200, 1), 3, axis=1)) is None
    assert volatility_contributions(WEIGHTS, sample(1)) is None


def test_contributions_of_impossible_numbers_are_refused_by_name() -> None:
    values = sample()
    values[8, 1] = np.inf

    with pytest.raises(StaleOrDisputed, match="row 8 of column 1 is inf, must be finite"):
        cvar_contributions(WEIGHTS, values, level=0.95)
    with pytest.raises(StaleOrDisputed, match=r"shape \(2,\), returns \(300, 3\)"):
        volatility_contributions(WEIGHTS[:2], sample())
    with pytest.raises(StaleOrDisputed, match="row 0 of weights is nan"):
        var_contributions(np.array([np.nan, 1.0, 1.0]), sample(), level=0.95)


def test_equal_holdings_are_as_many_as_they_are() -> None:
    assert concentration(np.full(4, 25.0)) == (0.25, 4.0)
    assert concentration(np.array([3.0, 1.0])) == (0.625, 1.6)
    assert concentration(np.zeros(3)) is None
    assert concentration(np.array([])) is None


@pytest.mark.parametrize("wrong", [-1.0, np.nan, np.inf])
def test_value_that_is_none_is_refused(wrong: float) -> None:
    with pytest.raises(StaleOrDisputed, match=f"row 1 of values is {wrong}"):
        concentration(np.array([1.0, wrong]))


def test_independent_equal_risks_are_as_many_bets() -> None:
    volatilities = np.array([0.01, 0.02, 0.04])

    assert effective_bets(1 / volatilities, np.diag(volatilities**2)) == pytest.approx(3.0)


def test_holdings_that_move_as_one_are_one_bet() -> None:
    assert effective_bets(np.full(3, 1 / 3), np.full((3, 3), 4e-4)) == pytest.approx(1.0)
    assert effective_bets(np.array([1.0, -1.0, 0.0]), np.full((3, 3), 4e-4)) is None


def test_covariance_that_is_none_is_refused() -> None:
    with pytest.raises(StaleOrDisputed, match="transpose differ by"):
        effective_bets(np.ones(2), np.array([[1.0, 0.5], [0.1, 1.0]]))
    with pytest.raises(StaleOrDisputed, match="their covariance"):
        effective_bets(np.ones(3), np.eye(2))
    with pytest.raises(StaleOrDisputed, match="row 1 of covariance 0 is nan"):
        effective_bets(np.ones(2), np.array([[1.0, np.nan], [np.nan, 1.0]]))
    with pytest.raises(StaleOrDisputed, match="column 0: variance -1, the least is 0"):
        effective_bets(np.ones(2), -np.eye(2))
    with pytest.raises(StaleOrDisputed, match="eigenvalue -1 of its correlation, the least is 0"):
        effective_bets(np.ones(2), np.array([[1.0, 2.0], [2.0, 1.0]]))


def test_stress_shows_the_correlation_that_calm_days_hide() -> None:
    source = np.random.default_rng(2)
    values = source.standard_normal((500, 3)) * 0.01
    values[:40] -= source.exponential(0.05, (40, 1))

    calm, stressed = correlation(values), stressed_correlation(values)

    assert calm is not None
    assert stressed is not None
    assert stressed.stressed_days == 100
    assert (stressed.values >= calm.sample - 1e-9).all()
    assert stressed.values[0, 1] > calm.sample[0, 1]
    assert np.linalg.eigvalsh(stressed.values).min() > -1e-12
    assert np.diag(stressed.values).tolist() == [1.0, 1.0, 1.0]


def test_stress_needs_twenty_bad_days_and_bears_a_constant_column() -> None:
    constant = np.column_stack((sample(200)[:, 0], np.full(200, 0.01)))

    assert stressed_correlation(sample(97)) is None
    found = stressed_correlation(constant)
    assert found is not None
    assert found.values == pytest.approx(np.eye(2))


def test_infinite_return_is_named_before_it_correlates() -> None:
    values = sample()
    values[5, 2] = -np.inf

    with pytest.raises(StaleOrDisputed, match="row 5 of dai is -inf"):
        correlation(values, ["usdc", "weth", "dai"])
    with pytest.raises(StaleOrDisputed, match="2 columns are named"):
        correlation(values, ["usdc", "weth"])


def test_downside_deviation_counts_losses_over_all_days() -> None:
    returns = np.array([0.03, -0.01, 0.02, -0.03] * 3)

    found = downside_deviation(returns)

    assert found is not None
    assert found.value == pytest.approx(math.sqrt((0.01**2 + 0.03**2) / 4 * 365))


@pytest.mark.parametrize("target", [np.nan, np.inf])
def test_downside_of_a_target_that_is_none_is_our_own_mistake(target: float) -> None:
    with pytest.raises(InvariantBroken, match=f"daily target is {target}, must be finite"):
        downside_deviation(sample()[:, 2], target=target)


def test_downside_deviation_equals_empyrical() -> None:
    peer = pytest.importorskip("empyrical", reason="empyrical-reloaded is a development dependency")
    returns = sample()[:, 2]

    found = downside_deviation(returns)

    assert found is not None
    assert found.value == pytest.approx(peer.downside_risk(returns, annualization=365))


@given(st.lists(st.floats(-0.5, 0.5), min_size=20, max_size=60), st.sampled_from([0.95, 0.9]))
def test_equal_weights_are_no_weights(losses: list[float], level: float) -> None:
    count = len(losses)
    var, cvar = tail_matrix(-np.array(losses)[None, :], level)

    weighted = weighted_tail(np.array(losses), np.full(count, 1 / count), level)

    assert weighted == pytest.approx((float(var[0]), float(cvar[0])), abs=1e-12)
