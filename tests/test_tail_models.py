"""GARCH against arch, jumps against a simulation and against sums that can be counted, exits by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from domain.errors import Infeasible, StaleOrDisputed
from tools.risk.garch import Garch, fit_garch, garch_tail
from tools.risk.jump_market import jump_market
from tools.risk.jump_mixture import TailMarket, jump_sums, jump_tail
from tools.risk.liquidity_risk import exit_days, liquidity_tail
from tools.risk.tail_definition import tail_of


def clustered(count: int = 600) -> np.ndarray:
    """A GARCH(1,1) path with t innovations."""
    source, variance, path = np.random.default_rng(12), 1.0, []
    for shock in source.standard_t(5, count) * math.sqrt(3 / 5):
        path.append(math.sqrt(variance) * shock)
        variance = 0.05 + 0.10 * path[-1] ** 2 + 0.85 * variance
    return np.array(path) * 0.02


def fitted(returns: np.ndarray) -> Garch:
    model = fit_garch(returns)
    assert model is not None
    return model


def test_garch_equals_arch() -> None:
    arch = pytest.importorskip("arch", reason="arch is a development dependency")
    returns = clustered()
    scale = returns.std()
    peer = arch.arch_model((returns - returns.mean()) / scale, mean="Zero", vol="GARCH", dist="t", rescale=False)
    peer = peer.fit(disp="off")

    ours = fitted(returns)

    assert ours.log_likelihood == pytest.approx(peer.loglikelihood - 600 * math.log(scale), abs=0.01)
    assert [ours.reaction, ours.persistence, ours.freedom] == pytest.approx(peer.params.to_numpy()[1:], rel=0.01)
    expected = math.sqrt(peer.forecast(horizon=1).variance.to_numpy()[-1, 0]) * scale
    assert ours.deviations[-1] == pytest.approx(expected, rel=1e-3)


def test_garch_horizon_adds_up_expected_variances() -> None:
    model = fitted(clustered())
    tomorrow = model.deviations[-1] ** 2
    day_after = model.constant + (model.reaction + model.persistence) * tomorrow

    assert model.horizon_deviation(1) == pytest.approx(math.sqrt(tomorrow))
    assert model.horizon_deviation(2) == pytest.approx(math.sqrt(tomorrow + day_after))


def test_garch_tail_is_the_t_at_tomorrows_deviation() -> None:
    model, found = fitted(clustered()), garch_tail(clustered(), level=0.99)
    unit = stats.t.ppf(0.99, model.freedom) * math.sqrt((model.freedom - 2) / model.freedom)

    assert found is not None
    assert found.var.value == pytest.approx(model.deviations[-1] * unit - model.mean)
    assert found.var.lower <= found.var.value <= found.var.upper
    assert found.cvar.value > found.var.value
    assert found == garch_tail(clustered(), level=0.99)


def test_garch_of_little_is_unknown_and_of_a_constant_impossible() -> None:
    assert garch_tail(clustered(249), level=0.95) is None
    with pytest.raises(Infeasible, match="returns that vary"):
        fit_garch(np.full(300, 0.001))


def market(chances: list[float], losses: list[float], *, deviation: float = 0.01) -> TailMarket:
    """Subjects that move alike, each with its own jump."""
    count = len(chances)
    covariance = np.full((count, count), deviation**2)
    return TailMarket(np.full(count, 2e-4), covariance, 5.0, np.array(chances), np.diag(losses))


def test_without_jumps_the_tail_is_the_closed_form_of_the_t() -> None:
    weights = np.array([0.4, 0.6])
    unit = stats.t.ppf(0.99, 5) * math.sqrt(3 / 5)
    shortfall = stats.t.expect(lambda x: x, args=(5,), lb=stats.t.ppf(0.99, 5), conditional=True) * math.sqrt(3 / 5)

    found = jump_tail(weights, market([0.0, 0.0], [0.5, 0.5]), level=0.99, horizon_days=4)

    assert found.var == pytest.approx(0.02 * unit - 8e-4, rel=1e-9)
    assert found.cvar == pytest.approx(0.02 * shortfall - 8e-4, rel=1e-6)


def test_market_that_stands_still_leaves_the_jumps() -> None:
    """The worst 1 % of probability: both jumps 0.01 %, only the loss of 0.6 another 0.49 %, the rest that of 0.4."""
    found = jump_tail(np.array([0.4, 0.6]), market([0.02, 0.005], [1.0, 1.0], deviation=0.0), level=0.99)

    assert found.var == pytest.approx(0.4 - 2e-4, abs=1 / 256)  # one step of the grid
    assert found.cvar == pytest.approx((0.0001 * 1.0 + 0.0049 * 0.6 + 0.005 * 0.4) / 0.01 - 2e-4, rel=3e-3)


def test_sums_keep_their_mean_and_add_up_to_one() -> None:
    chances, losses = np.array([0.01, 0.002, 0.03, 0.0]), np.array([0.2, 0.7, 0.013, 0.9])

    sums, probabilities = jump_sums(chances, losses)

    assert probabilities.sum() == pytest.approx(1.0, abs=1e-12)
    assert probabilities @ sums == pytest.approx(chances @ losses, rel=1e-6)
    assert probabilities[0] == pytest.approx(0.99 * 0.998 * 0.97, rel=1e-3)
    assert sums[-1] == pytest.approx(0.913)


def test_tail_equals_a_simulation_within_its_noise() -> None:
    source, count = np.random.default_rng(7), 400_000
    chances, losses = source.uniform(0.001, 0.01, 8), source.uniform(0.1, 1.0, 8)
    weights = source.dirichlet(np.ones(8))
    moves = source.standard_t(5, count) * 0.01 * math.sqrt(3 / 5) + 2e-4
    moves -= (source.random((count, 8)) < chances) @ (weights * losses)

    found = jump_tail(weights, market(chances.tolist(), losses.tolist()), level=0.99)

    assert found == pytest.approx(tail_of(moves, 0.99), rel=0.02)


def test_same_input_gives_the_same_bits() -> None:
    weights, jumps = np.array([0.4, 0.6]), market([0.02, 0.005], [0.3, 0.9])

    first, second = (jump_tail(weights.copy(), jumps, level=0.95, horizon_days=30) for _ in range(2))

    assert (first.var.hex(), first.cvar.hex()) == (second.var.hex(), second.cvar.hex())


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"jump_probability": np.array([0.1, 1.0])}, "row 1 of jump_probability is 1.0"),
        ({"jump_loss": np.array([[0.1, 0.0], [0.0, -0.2]])}, "row 1 of jump_loss 1 is -0.2"),
        ({"mean": np.array([np.nan, 0.0])}, "row 0 of mean is nan"),
        ({"covariance": np.full((2, 2), np.inf)}, "row 0 of covariance 0 is inf"),
        ({"covariance": -np.eye(2)}, "column 0: variance -1, the least is 0"),
        ({"covariance": np.array([[1e-4, 9e-4], [0.0, 1e-4]])}, "not symmetric"),
        ({"covariance": np.array([[1e-4, -5e-4], [-5e-4, 1e-4]])}, "eigenvalue -4 of its correlation"),
        ({"freedom": 2.0}, "freedom of the market is 2.0"),
        ({"mean": np.zeros(3)}, "shapes"),
    ],
)
def test_impossible_market_is_named(change: dict[str, np.ndarray | float], rule: str) -> None:
    fields = {name: getattr(market([0.1, 0.1], [0.1, 0.1]), name) for name in TailMarket.__slots__}

    with pytest.raises(StaleOrDisputed, match=rule):
        jump_tail(np.array([0.5, 0.5]), TailMarket(**{**fields, **change}), level=0.99)


def test_days_that_jumped_become_sources_and_leave_the_calm_days() -> None:
    values = np.random.default_rng(3).standard_normal((530, 2)) * 0.001
    values[200] = [-0.05, -0.03]

    found = jump_market(values)

    assert found is not None
    assert found.jump_probability.tolist() == [1 / 500]
    assert found.jump_loss.tolist() == [[0.05, 0.03]]
    assert np.sqrt(np.diag(found.covariance)) == pytest.approx(0.001, rel=0.1)
    assert jump_tail(np.array([0.5, 0.5]), found, level=0.99, horizon_days=30).cvar > 0.03
    assert jump_market(values[:129]) is None


def test_exit_takes_a_day_and_then_what_borrowers_release() -> None:
    days = exit_days(
        np.array([100.0, 100.0, 100.0, 0.0]), np.array([150.0, 40.0, 40.0, 0.0]), np.array([0, 20, 0, 0.0])
    )

    assert days.tolist() == [1.0, 4.0, math.inf, 0.0]


def test_slow_exit_is_exposed_longer_than_a_day_and_shorter_than_its_days() -> None:
    values = np.random.default_rng(1).standard_normal((400, 2)) * 0.01
    weights = np.array([0.5, 0.5])

    at_once, slow, blocked = (
        liquidity_tail(weights, values, np.array([1.0, days]), level=0.95) for days in (1.0, 20.0, math.inf)
    )

    assert at_once is not None
    assert at_once.tail == pytest.approx(tail_of(values @ weights, 0.95))
    assert slow is not None
    factor = math.sqrt(21 * 41 / 120)
    assert slow.tail == pytest.approx(tail_of(values @ (weights * [1.0, factor]), 0.95))
    assert blocked is not None
    assert blocked.tail is None


def test_exit_of_unknown_or_negative_numbers_is_refused() -> None:
    with pytest.raises(StaleOrDisputed, match="row 1 of withdrawable is nan"):
        exit_days(np.ones(2), np.array([1.0, np.nan]), np.ones(2))
    with pytest.raises(StaleOrDisputed, match="released have the shape"):
        exit_days(np.ones(2), np.ones(2), np.ones(3))
    with pytest.raises(StaleOrDisputed, match=r"row 0 of exit days is -1\.0"):
        liquidity_tail(np.ones(1), np.zeros((50, 1)), np.array([-1.0]), level=0.95)
    assert liquidity_tail(np.ones(1), np.zeros((19, 1)), np.ones(1), level=0.95) is None
