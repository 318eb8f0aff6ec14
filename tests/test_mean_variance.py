"""Mean against variance: hand calculations, skfolio on the same objective, replay, certificates, bad input."""

from __future__ import annotations

import numpy as np
import pytest

from domain.errors import Infeasible, InvariantBroken, StaleOrDisputed
from tests.builders_optimizer import make_day, make_limits, make_returns
from tools.history import FloatArray
from tools.solvers.conditioning import covariance_of
from tools.solvers.mean_variance import MeanVariance, MeanVarianceAnswer
from tools.solvers.trading_limits import TradingLimits, long_only

FREE = np.zeros(2)
NOTHING = np.zeros(2)


def solve(limits: TradingLimits, *, risk_aversion: float = 1.0) -> MeanVarianceAnswer:
    return MeanVariance(covariance_of(make_returns()), limits, risk_aversion=risk_aversion).solve(*make_day())


def test_two_uncorrelated_strategies_share_by_inverse_variance() -> None:
    answer = MeanVariance(np.diag([1e-4, 3e-4]), long_only(np.ones(2), FREE), risk_aversion=1.0).solve(NOTHING, NOTHING)

    assert answer.weights == pytest.approx([0.75, 0.25], abs=1e-6)
    assert answer.variance == pytest.approx(0.75e-4, rel=1e-6)


def test_expected_return_moves_weight_by_its_advantage_over_twice_the_risk() -> None:
    """With equal variances v: w1 - w2 = (mu1 - mu2) / (2 * risk_aversion * v)."""
    answer = MeanVariance(np.diag([1e-4, 1e-4]), long_only(np.ones(2), FREE), risk_aversion=2.0).solve(
        np.array([1e-4, 0.0]), NOTHING
    )

    assert answer.weights == pytest.approx([0.625, 0.375], abs=1e-6)


def test_trade_stops_where_its_gain_no_longer_pays_its_cost() -> None:
    """As above, less the round trip's cost of two sides."""
    limits = long_only(np.ones(2), np.full(2, 2e-5))

    answer = MeanVariance(np.diag([1e-4, 1e-4]), limits, risk_aversion=2.0).solve(
        np.array([1e-4, 0.0]), np.array([0.5, 0.5])
    )

    assert answer.weights == pytest.approx([0.575, 0.425], abs=1e-6)
    assert answer.expected == pytest.approx(1e-4 * 0.575 - 2e-5 * 0.15, abs=1e-9)


def test_costs_above_any_gain_leave_everything_where_it_is() -> None:
    answer = solve(make_limits(upper=1.0, cost=1.0))

    assert answer.weights == pytest.approx(make_day()[1], abs=1e-9)


@pytest.mark.parametrize("cost", [0.0, 0.0004])
@pytest.mark.parametrize("group_limit", [None, 0.3])
def test_no_random_weights_do_better(cost: float, group_limit: float | None) -> None:
    covariance, (expected, current) = covariance_of(make_returns()), make_day()
    others = np.random.default_rng(5).dirichlet(np.ones(8), 2000)
    limit = 1.0 if group_limit is None else group_limit
    others = others[(others.max(axis=1) <= 0.4) & (others[:, :4].sum(axis=1) <= limit)]

    answer = solve(make_limits(cost=cost, group_limit=group_limit))

    def utility(weights: FloatArray) -> float:
        return float(expected @ weights - cost * np.abs(weights - current).sum() - weights @ covariance @ weights)

    assert answer.certificate.objective == pytest.approx(utility(answer.weights), abs=1e-15)
    assert answer.certificate.objective >= max(utility(weights) for weights in others)


def test_same_weights_as_skfolio() -> None:
    skfolio = pytest.importorskip("skfolio", reason="needs the peer skfolio")
    from skfolio.optimization import MeanRisk, ObjectiveFunction

    returns, current = make_returns(), make_day()[1]
    model = MeanRisk(
        objective_function=ObjectiveFunction.MAXIMIZE_UTILITY,
        risk_measure=skfolio.RiskMeasure.VARIANCE,
        risk_aversion=5.0,
        max_weights=0.4,
        transaction_costs=0.0004,
        previous_weights=current,
    ).fit(returns)

    answer = MeanVariance(covariance_of(returns), make_limits(), risk_aversion=5.0).solve(returns.mean(axis=0), current)

    assert answer.weights == pytest.approx(np.asarray(model.weights_), abs=1e-5)


def test_group_price_is_what_a_little_more_would_bring() -> None:
    narrow, wide = solve(make_limits(group_limit=0.3)), solve(make_limits(group_limit=0.3001))

    gained = wide.certificate.objective - narrow.certificate.objective
    assert narrow.weights[:4].sum() == pytest.approx(0.3, abs=1e-9)
    assert dict(narrow.prices)["protocol:a"] == pytest.approx(gained / 1e-4, rel=1e-2)


def test_answers_do_not_depend_on_what_was_solved_before() -> None:
    covariance, (expected, current) = covariance_of(make_returns()), make_day()
    busy, fresh = (MeanVariance(covariance, make_limits(), risk_aversion=1.0) for _ in range(2))

    busy.solve(expected * -7.0, current)
    busy.solve(expected * 1e-6, current)
    first, again = busy.solve(expected, current), fresh.solve(expected, current)

    assert first.weights.tobytes() == again.weights.tobytes()
    assert first.certificate == again.certificate


@pytest.mark.parametrize("scale", [1e-8, 1e-3, 1e3])
def test_certificate_closes_whatever_the_units(scale: float) -> None:
    """The least variance falls with the square: solvers' tolerances are absolute and would stop far away."""
    covariance = covariance_of(make_returns() * scale)
    nothing = np.zeros(8)

    answer = MeanVariance(covariance, make_limits(cost=0.0), risk_aversion=1.0).solve(nothing, nothing)

    assert answer.certificate.gap <= 1e-6 * max(answer.variance, 1e-14)


def test_strategies_that_never_move_take_what_their_bound_allows() -> None:
    covariance = np.diag([0.0, 1e-4, 1e-4])

    answer = MeanVariance(covariance, long_only(np.full(3, 0.5), np.zeros(3)), risk_aversion=1.0).solve(
        np.zeros(3), np.zeros(3)
    )

    assert answer.weights == pytest.approx([0.5, 0.25, 0.25], abs=1e-6)


def test_limits_without_room_are_infeasible() -> None:
    with pytest.raises(Infeasible, match=r"add up to 0\.8000 at most"):
        solve(make_limits(upper=0.1))


@pytest.mark.parametrize(
    ("covariance", "message"),
    [
        (np.diag([1.0, np.nan]), "row 1, column 1: nan"),
        (np.diag([1.0, -1.0]), "column 1: variance -1"),
        (np.array([[1.0, 0.5], [0.2, 1.0]]), "not symmetric"),
        (np.array([[1.0, 2.0], [2.0, 1.0]]), "eigenvalue -1"),
        (np.eye(3), r"shape \(3, 3\)"),
    ],
)
def test_matrix_that_is_no_covariance_is_refused(covariance: FloatArray, message: str) -> None:
    with pytest.raises(StaleOrDisputed, match=message):
        MeanVariance(covariance, long_only(np.ones(2), FREE), risk_aversion=1.0)


def test_expected_return_that_is_no_number_is_named() -> None:
    with pytest.raises(StaleOrDisputed, match="expected, entry 1: inf"):
        MeanVariance(np.eye(2), long_only(np.ones(2), FREE), risk_aversion=1.0).solve(np.array([0.0, np.inf]), NOTHING)


@pytest.mark.parametrize("risk_aversion", [0.0, np.nan, np.inf])
def test_aversion_that_is_no_number_above_zero_is_refused(risk_aversion: float) -> None:
    with pytest.raises(InvariantBroken, match=f"risk aversion {risk_aversion} must be above 0"):
        MeanVariance(np.eye(2), long_only(np.ones(2), FREE), risk_aversion=risk_aversion)


def test_negative_limits_are_refused() -> None:
    with pytest.raises(InvariantBroken, match="negative"):
        long_only(np.array([1.0, -0.1]), FREE)
