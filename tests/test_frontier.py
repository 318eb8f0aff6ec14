"""The efficient frontier: less tail costs earnings, limits hold at every point, each point is proven."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from domain.errors import Infeasible, InvariantBroken
from tests.builders_optimizer import make_returns
from tools.allocation_lines import AllocationProblem, Cap, CashLine, StrategyLine
from tools.frontier import RISK_AVERSIONS, efficient_frontier
from tools.rate_impact import concave_envelope

SIZES = np.array([0.0, 0.3, 1.0])


def make_problem(*, cap: float = 0.7) -> AllocationProblem:
    """Three strategies that earn the more the more they may lose; beyond 30 % each pays half."""
    returns = make_returns(120, 3)
    lines = tuple(
        StrategyLine(f"s{index}", "usdc", 0.0, 1.0, 1.0, concave_envelope(SIZES, np.array([0.0, 0.3, 0.65]) * apr))
        for index, apr in enumerate((0.03, 0.10, 0.30))
    )
    return AllocationProblem(
        strategies=lines,
        cash=(CashLine("usdc", 1.0, 0.0, 0.0, 0.0),),
        reserve_token="usdc",
        min_reserve=0.1,
        caps=(Cap("protocol:x", {"s1": 1.0, "s2": 1.0}, {}, cap),),
        max_turnover=1.0,
        max_swaps=1.0,
        horizon_days=30,
        risk_aversion=0.0,
        scenarios=np.column_stack([returns, np.zeros(120)]),
    )


def test_each_point_earns_and_risks_less_than_the_one_before() -> None:
    points = efficient_frontier(make_problem())

    assert len(points) >= 4
    assert all(one.gain > other.gain and one.cvar > other.cvar for one, other in pairwise(points))


def test_points_are_concave_so_that_no_mixture_of_two_beats_a_third() -> None:
    points = efficient_frontier(make_problem())

    prices = [(one.gain - other.gain) / (one.cvar - other.cvar) for one, other in pairwise(points)]

    assert prices == sorted(prices)


def test_every_point_keeps_the_limits_and_carries_its_proof() -> None:
    for point in efficient_frontier(make_problem()):
        weights = point.solution.weights
        assert weights["s1"] + weights["s2"] <= 0.7 + 1e-9
        assert point.solution.cash["usdc"] >= 0.1 - 1e-9
        assert point.solution.certificate.gap <= 1e-9
        assert point.solution.objective == pytest.approx(point.gain - point.risk_aversion * point.cvar, abs=1e-12)


def test_the_end_without_aversion_earns_most_and_the_other_end_hardly_risks() -> None:
    points = efficient_frontier(make_problem(), (0.0, 1000.0))

    assert points[0].solution.weights["s2"] == pytest.approx(0.7)  # its second half still pays more than s1
    assert points[-1].cvar == pytest.approx(0.0, abs=1e-12)


def test_limits_without_room_are_infeasible() -> None:
    with pytest.raises(Infeasible, match="protocol:x"):
        efficient_frontier(make_problem(cap=-0.1))


@pytest.mark.parametrize("aversions", [(), (-1.0, 1.0), (1.0, 0.5), (1.0, 1.0), (0.0, np.nan), (0.0, np.inf)])
def test_aversions_that_do_not_rise_from_zero_are_refused(aversions: tuple[float, ...]) -> None:
    with pytest.raises(InvariantBroken, match="rise"):
        efficient_frontier(make_problem(), aversions)


def test_default_aversions_span_from_none_to_thirty() -> None:
    assert RISK_AVERSIONS[0] == 0.0
    assert RISK_AVERSIONS[-1] == 30.0
