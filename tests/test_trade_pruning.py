"""Small trades: what does not pay its gas stays, nothing is left too small, and limits come before both."""

from __future__ import annotations

import pytest

from tests.builders_optimizer import cap, cash, line, problem
from tools.optimizer import optimize


def test_trade_that_does_not_pay_its_gas_is_left_alone() -> None:
    lines = [line("a", 0.030, current=0.45), line("b", 0.032, current=0.45)]
    gained = 0.45 * 0.002 / 5 - 2 * 0.45 * 0.00005  # of moving a into b over the horizon, after churn

    free = optimize(problem(lines, [cash("usdc", 0.1)]))
    cheap = optimize(problem(lines, [cash("usdc", 0.1)], trade_cost=gained * 0.9))
    dear = optimize(problem(lines, [cash("usdc", 0.1)], trade_cost=gained * 1.1))

    assert free.weights == pytest.approx({"a": 0.0, "b": 0.9})
    assert cheap.weights == pytest.approx(free.weights)
    assert dear.weights == pytest.approx({"a": 0.45, "b": 0.45})
    assert dear.left_alone == ("a",)


def test_a_decision_solves_cold_and_says_where_an_answer_came_from_the_one_before_it() -> None:
    lines = [line("a", 0.030, current=0.45), line("b", 0.032, current=0.45)]

    free = optimize(problem(lines, [cash("usdc", 0.1)]))
    pruned, again = (optimize(problem(lines, [cash("usdc", 0.1)], trade_cost=1.0)) for _ in range(2))

    assert free.certificate.solver == "highs-dual"
    assert pruned.certificate.solver == "highs-dual-warm"
    assert pruned == again


def test_trade_below_the_least_is_not_made() -> None:
    lines = [line("a", 0.03, current=0.5), line("b", 0.05)]
    caps = (cap("strategy:b", 0.4, "b"),)

    solution = optimize(problem(lines, [cash("usdc", 0.5)], caps=caps, least_trade=0.05))
    smaller = optimize(problem([line("a", 0.03, current=0.48), *lines[1:]], [cash("usdc", 0.52)], caps=caps))
    pinned = optimize(
        problem([line("a", 0.03, current=0.48), *lines[1:]], [cash("usdc", 0.52)], caps=caps, least_trade=0.05)
    )

    assert solution.weights == pytest.approx({"a": 0.5, "b": 0.4})
    assert smaller.weights == pytest.approx({"a": 0.5, "b": 0.4})
    assert pinned.weights == pytest.approx({"a": 0.48, "b": 0.4})


def test_remainder_below_the_least_position_is_left_whole() -> None:
    lines = [line("a", 0.03, current=0.52), line("b", 0.05, current=0.0)]
    caps = (cap("strategy:b", 0.5, "b"),)

    solution = optimize(problem(lines, [cash("usdc", 0.48)], caps=caps, min_reserve=0.48, min_position=0.05))

    assert solution.weights == pytest.approx({"a": 0.0, "b": 0.5})


def test_small_trade_that_a_limit_forces_is_made() -> None:
    lines = [line("a", 0.03, current=0.5)]

    solution = optimize(problem(lines, [cash("usdc", 0.5)], caps=(cap("strategy:a", 0.49, "a"),), least_trade=0.05))

    assert solution.weights == pytest.approx({"a": 0.49})
    assert solution.left_alone == ()
