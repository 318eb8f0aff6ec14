"""The 21 samples that break optimizers: ours prove their answers on each, and the samples have the defects named."""

from __future__ import annotations

import numpy as np
import pytest

from bench.ill_conditioned import KINDS, Sample, ill_conditioned_samples
from bench.ill_conditioned_runs import attempt, cvar_of, least_cvar, least_variance, shares_risk, shares_tree
from domain.errors import StaleOrDisputed
from tools.history import FloatArray
from tools.solvers.conditioning import covariance_of, moves
from tools.solvers.mean_cvar import MeanCvar
from tools.solvers.mean_variance import MeanVariance
from tools.solvers.trading_limits import long_only

SAMPLES = list(ill_conditioned_samples())


def of_kind(kind: str) -> list[FloatArray]:
    return [sample.returns for sample in SAMPLES if sample.name.startswith(kind)]


def test_seven_kinds_come_with_three_seeds_each_and_the_same_every_time() -> None:
    again = list(ill_conditioned_samples())

    assert len(SAMPLES) == 21
    assert {kind: len(of_kind(kind)) for kind in KINDS} == dict.fromkeys(KINDS, 3)
    assert all(np.array_equal(one.returns, other.returns) for one, other in zip(SAMPLES, again, strict=True))


def test_samples_have_the_defects_that_their_names_say() -> None:
    assert all(returns.shape[0] < returns.shape[1] for returns in of_kind("few_days"))
    assert all(np.array_equal(returns[:, 0], returns[:, 6]) for returns in of_kind("duplicates"))
    assert all(np.count_nonzero(~moves(returns)) == 2 for returns in of_kind("fixed_rates"))
    assert all(np.count_nonzero(~returns.any(axis=0)) == 3 for returns in of_kind("zero_columns"))
    assert all(returns.min() == -0.95 and returns.max() == 30.0 for returns in of_kind("jumps"))
    assert all(np.median(returns.std(axis=0)) < 5e-6 for returns in of_kind("hourly"))


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_every_optimizer_answers_within_its_limits(sample: Sample) -> None:
    assert attempt(least_variance, sample.returns) is not None
    assert attempt(least_cvar, sample.returns) is not None
    assert shares_risk(sample.returns)
    assert shares_tree(sample.returns)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_expected_returns_and_costs_are_proven_too(sample: Sample) -> None:
    size = sample.returns.shape[1]
    limits, current = long_only(np.full(size, 0.25), np.full(size, 1e-4)), np.full(size, 1.0 / size)
    expected = sample.returns.mean(axis=0)

    variance = MeanVariance(covariance_of(sample.returns), limits, risk_aversion=1.0).solve(expected, current)
    tail = MeanCvar(sample.returns, limits, risk_aversion=1.0).solve(expected, current)

    for answer in (variance, tail):
        assert answer.certificate.gap <= 1e-6 * max(abs(answer.certificate.objective), 1e-6)
        assert answer.certificate.violation <= 1e-9


def test_an_exception_and_a_broken_limit_both_count_as_failure() -> None:
    def refuse(returns: FloatArray) -> FloatArray:
        raise StaleOrDisputed("planted")

    assert attempt(refuse, SAMPLES[0].returns) is None
    assert attempt(lambda returns: np.full(20, 0.06), SAMPLES[0].returns) is None
    assert attempt(lambda returns: np.full(20, 0.05), SAMPLES[0].returns) is not None


def test_tail_of_a_sample_counts_the_edge_scenario_in_part() -> None:
    """5 % of 30 days is a day and a half."""
    returns = np.zeros((30, 1))
    returns[:2, 0] = [-0.3, -0.1]

    assert cvar_of(returns, np.ones(1)) == pytest.approx((0.3 + 0.1 / 2) / 1.5)


def test_constant_column_has_exactly_no_variance() -> None:
    returns = np.column_stack([np.full(50, 0.1 / 3), np.linspace(0.0, 1.0, 50)])

    assert covariance_of(returns)[0].tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("returns", "message"),
    [
        (np.ones((1, 2)), "1 days, a covariance needs 2"),
        (np.empty((0, 2)), "0 days"),
        (np.array([[0.1, 0.2], [np.inf, 0.1]]), "row 1, column usdc: inf"),
    ],
)
def test_sample_too_short_or_with_holes_has_no_covariance(returns: FloatArray, message: str) -> None:
    with pytest.raises(StaleOrDisputed, match=message):
        covariance_of(returns, ("usdc", "dai"))
