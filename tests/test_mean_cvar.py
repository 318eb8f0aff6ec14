"""Mean against CVaR: skfolio's weights on the same objective, limits by name, starts that replay, bad input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from domain.errors import Infeasible, InvariantBroken, StaleOrDisputed
from tests.builders_optimizer import make_day, make_limits, make_returns
from tools.history import FloatArray
from tools.solvers.mean_cvar import MeanCvar, MeanCvarAnswer
from tools.solvers.trading_limits import TradingLimits, long_only


def solve(limits: TradingLimits, *, risk_aversion: float = 1.0, days: int = 120) -> MeanCvarAnswer:
    return MeanCvar(make_returns(days), limits, risk_aversion=risk_aversion).solve(*make_day())


def tail(returns: FloatArray, weights: FloatArray) -> float:
    """Mean of the worst 6 of 120."""
    return float(np.sort(-(returns @ weights))[::-1][:6].mean())


def test_weights_keep_budget_and_bounds_and_the_answer_adds_up() -> None:
    limits = make_limits()
    expected, current = make_day()

    answer = solve(limits, risk_aversion=0.5)

    costs = 0.0004 * np.abs(answer.weights - current).sum()
    assert answer.weights.sum() == pytest.approx(1.0, abs=1e-12)
    assert 0 <= answer.weights.min() <= answer.weights.max() <= 0.4
    assert answer.expected == pytest.approx(expected @ answer.weights - costs, abs=1e-15)
    assert answer.cvar == pytest.approx(tail(make_returns(), answer.weights), abs=1e-15)
    assert answer.certificate.objective == pytest.approx(answer.expected - 0.5 * answer.cvar, abs=1e-15)


def test_no_random_weights_do_better() -> None:
    limits, returns = make_limits(), make_returns()
    expected, current = make_day()
    others = np.random.default_rng(5).dirichlet(np.ones(8), 2000)
    others = others[others.max(axis=1) <= 0.4]

    answer = solve(limits)
    utilities = [
        expected @ weights - 0.0004 * np.abs(weights - current).sum() - tail(returns, weights) for weights in others
    ]

    assert answer.certificate.objective >= max(utilities)


def test_same_objective_as_skfolio() -> None:
    """skfolio deducts costs in every scenario too, so that its utility counts them twice at risk aversion one."""
    skfolio = pytest.importorskip("skfolio", reason="needs the peer skfolio")
    from skfolio.optimization import MeanRisk, ObjectiveFunction

    returns, current = make_returns(), make_day()[1]
    expected = returns.mean(axis=0)
    model = MeanRisk(
        objective_function=ObjectiveFunction.MAXIMIZE_UTILITY,
        risk_measure=skfolio.RiskMeasure.CVAR,
        risk_aversion=1.0,
        max_weights=0.4,
        transaction_costs=0.0002,
        previous_weights=current,
    ).fit(returns)
    weights = np.asarray(model.weights_)

    answer = MeanCvar(returns, make_limits(cost=0.0004), risk_aversion=1.0).solve(expected, current)

    peers = expected @ weights - 0.0004 * np.abs(weights - current).sum() - tail(returns, weights)
    assert answer.certificate.objective == pytest.approx(peers, rel=1e-5)
    assert answer.certificate.objective >= peers - 1e-9
    assert answer.weights == pytest.approx(weights, abs=1e-3)


def test_group_that_binds_is_named_with_what_a_little_more_would_bring() -> None:
    returns, (expected, current) = make_returns(), make_day()
    limit = 0.3

    def objective(group_limit: float) -> float:
        limits = make_limits(group_limit=group_limit)
        return MeanCvar(returns, limits, risk_aversion=1.0).solve(expected, current).certificate.objective

    answer = MeanCvar(returns, make_limits(group_limit=limit), risk_aversion=1.0).solve(expected, current)

    assert answer.weights[:4].sum() == pytest.approx(limit)
    assert dict(answer.prices)["protocol:a"] == pytest.approx(
        (objective(limit + 1e-5) - objective(limit)) / 1e-5, rel=1e-4
    )


def test_costs_above_any_gain_leave_everything_where_it_is() -> None:
    expected, current = make_day()

    answer = MeanCvar(make_returns(), make_limits(upper=1.0, cost=1.0), risk_aversion=1.0).solve(expected, current)

    assert answer.weights == pytest.approx(current, abs=1e-12)


def test_a_recorded_start_replays_bit_for_bit_on_a_solver_that_did_other_things() -> None:
    returns, limits, (expected, current) = make_returns(), make_limits(), make_day()
    busy, fresh = (MeanCvar(returns, limits, risk_aversion=1.0) for _ in range(2))
    start = busy.solve(expected, current).start

    busy.solve(expected * 3.0, current)
    first = busy.solve(expected * 1.1, current, start)
    again = fresh.solve(expected * 1.1, current, start)

    assert first.weights.tobytes() == again.weights.tobytes()
    assert first.certificate == again.certificate


def test_one_scenario_and_one_strategy_are_enough() -> None:
    answer = MeanCvar(np.array([[-0.1]]), long_only(np.ones(1), np.zeros(1)), risk_aversion=2.0).solve(
        np.array([0.01]), np.ones(1)
    )

    assert answer.weights.tolist() == [1.0]
    assert answer.cvar == pytest.approx(0.1)


def test_budget_above_all_bounds_is_infeasible_and_says_so() -> None:
    with pytest.raises(Infeasible, match=r"break budget by 0\.2000"):
        solve(make_limits(upper=0.1))


def test_groups_that_leave_no_room_are_named() -> None:
    limits = replace(make_limits(upper=0.25, group_limit=0.0), upper=np.array([0.4] * 4 + [0.1] * 4))

    with pytest.raises(Infeasible, match=r"(budget|protocol:a) by 0\.6000"):
        solve(limits)


@pytest.mark.parametrize("place", ["expected", "current"])
def test_argument_that_is_no_number_is_named(place: str) -> None:
    arguments = dict(zip(("expected", "current"), make_day(), strict=True))
    arguments[place][3] = np.nan

    with pytest.raises(StaleOrDisputed, match=f"{place}, entry 3: nan"):
        MeanCvar(make_returns(), make_limits(), risk_aversion=1.0).solve(**arguments)


def test_no_scenarios_give_no_plausible_number() -> None:
    with pytest.raises(StaleOrDisputed, match="scenarios has shape"):
        MeanCvar(np.empty((0, 8)), make_limits(), risk_aversion=1.0)


def test_mismatched_columns_are_refused() -> None:
    with pytest.raises(StaleOrDisputed, match=r"scenarios has shape \(120, 7\), \(120, 8\) is required"):
        MeanCvar(make_returns(size=7), make_limits(), risk_aversion=1.0)


@pytest.mark.parametrize(
    ("risk_aversion", "level"), [(0.0, 0.95), (np.nan, 0.95), (np.inf, 0.95), (1.0, 1.0), (1.0, np.nan)]
)
def test_aversion_and_level_outside_their_range_are_refused(risk_aversion: float, level: float) -> None:
    with pytest.raises(InvariantBroken, match="risk aversion"):
        MeanCvar(make_returns(), make_limits(), risk_aversion=risk_aversion, level=level)


def test_limits_on_no_weights_are_refused() -> None:
    with pytest.raises(InvariantBroken, match="upper has 0 entries"):
        long_only(np.empty(0), np.empty(0))
