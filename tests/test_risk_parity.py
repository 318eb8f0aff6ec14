"""Equal risk contributions and the hierarchical tree: hand calculations, skfolio, scales far apart, bad input."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import InvariantBroken, StaleOrDisputed
from tests.builders_optimizer import make_returns
from tools.history import FloatArray
from tools.solvers.conditioning import covariance_of
from tools.solvers.risk_parity import hierarchical_risk_parity, risk_contributions, risk_parity, with_least_deviation

BOTH = [risk_parity, hierarchical_risk_parity]


def test_without_correlation_weights_are_inverse_to_deviations() -> None:
    weights = risk_parity(np.diag([0.01, 0.02, 0.05]) ** 2)

    assert weights == pytest.approx(np.array([10.0, 5.0, 2.0]) / 17.0)


def test_a_strategy_listed_twice_shares_the_risk_of_its_twins() -> None:
    """Two perfect copies and one other of equal deviation: x (2x) = y**2 for each copy, so that y = sqrt(2) x."""
    covariance = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]) * 1e-4

    weights = risk_parity(covariance)

    assert weights[0] == pytest.approx(weights[1])
    assert weights[2] == pytest.approx(np.sqrt(2.0) * weights[0])


def test_budgets_are_met() -> None:
    budgets = np.array([0.5, 0.2, 0.1, 0.1, 0.05, 0.03, 0.01, 0.01])
    covariance = covariance_of(make_returns())

    weights = risk_parity(covariance, budgets)

    assert risk_contributions(covariance, weights) == pytest.approx(budgets, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(12, 30), st.integers(1, 8))
def test_contributions_are_equal_however_far_apart_the_scales_are(seed: int, days: int, decades: int) -> None:
    returns = np.random.default_rng(seed).standard_normal((days, 6)) * np.logspace(-decades, 0, 6)
    covariance = with_least_deviation(covariance_of(returns), 1e-10)

    weights = risk_parity(covariance)

    assert risk_contributions(covariance, weights) == pytest.approx(np.full(6, 1 / 6), abs=1e-8)
    assert weights.min() > 0


def test_same_weights_as_skfolio() -> None:
    pytest.importorskip("skfolio", reason="needs the peer skfolio")
    from skfolio.cluster import HierarchicalClustering, LinkageMethod
    from skfolio.optimization import HierarchicalRiskParity, RiskBudgeting
    from skfolio.seriation import HierarchicalSeriation

    returns = make_returns(size=9, seed=8)
    single = HierarchicalClustering(linkage_method=LinkageMethod.SINGLE)
    tree = HierarchicalSeriation(hierarchical_clustering_estimator=single, optimal_ordering=False)

    equal = RiskBudgeting().fit(returns).weights_
    hierarchical = HierarchicalRiskParity(seriation_estimator=tree).fit(returns).weights_

    assert risk_parity(covariance_of(returns)) == pytest.approx(np.asarray(equal), abs=1e-4)
    assert hierarchical_risk_parity(covariance_of(returns)) == pytest.approx(np.asarray(hierarchical), abs=1e-12)


def test_tree_gives_twins_one_share_together() -> None:
    """Leaves two and three are copies: the first cut leaves strategy one alone against both."""
    covariance = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0], [0.0, 1.0, 1.0]]) * 1e-4

    weights = hierarchical_risk_parity(covariance)

    assert weights == pytest.approx([0.5, 0.25, 0.25])


def test_least_deviation_raises_what_hardly_moves_and_nothing_else() -> None:
    covariance = np.array([[1e-12, 1e-9], [1e-9, 1e-4]])

    raised = with_least_deviation(covariance, 1e-4)

    assert np.sqrt(np.diag(raised)) == pytest.approx([1e-4, 1e-2])
    assert raised[0, 1] == 1e-9


def test_contributions_of_what_never_varies_are_zero() -> None:
    assert risk_contributions(np.zeros((2, 2)), np.array([0.5, 0.5])).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("weigh", BOTH)
def test_one_strategy_gets_everything_and_none_gives_none(weigh: Callable[[FloatArray], FloatArray]) -> None:
    assert weigh(np.array([[1e-4]])).tolist() == [1.0]
    assert weigh(np.empty((0, 0))).tolist() == []


@pytest.mark.parametrize("weigh", BOTH)
def test_strategy_that_never_moves_is_named(weigh: Callable[[FloatArray], FloatArray]) -> None:
    with pytest.raises(StaleOrDisputed, match="column 1: variance 0"):
        weigh(np.diag([1e-4, 0.0]))


@pytest.mark.parametrize("weigh", BOTH)
def test_matrix_with_a_hole_is_refused(weigh: Callable[[FloatArray], FloatArray]) -> None:
    with pytest.raises(StaleOrDisputed, match="row 0, column 1: nan"):
        weigh(np.array([[1.0, np.nan], [np.nan, 1.0]]))


def test_contributions_of_a_hole_are_refused() -> None:
    with pytest.raises(StaleOrDisputed, match="weights, entry 1: nan"):
        risk_contributions(np.eye(2), np.array([1.0, np.nan]))


def test_strategies_that_offset_each_other_have_no_risk_to_share() -> None:
    with pytest.raises(StaleOrDisputed, match="offset each other"):
        risk_parity(np.array([[1.0, -1.0], [-1.0, 1.0]]))


@pytest.mark.parametrize("budgets", [[0.5, 0.6], [1.0, 0.0]])
def test_budgets_that_are_none_are_refused(budgets: list[float]) -> None:
    with pytest.raises(InvariantBroken, match="budgets"):
        risk_parity(np.eye(2), np.array(budgets))
