"""The linear program against hand calculations and a brute-force search; limits, prices and infeasibility."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import Infeasible, InvariantBroken, StaleOrDisputed
from tests.builders import make_rate
from tests.builders_optimizer import cap, cash, line, problem
from tools.allocation_lines import AMOUNTS, Cap, StrategyLine
from tools.optimizer import Solution, optimize
from tools.rate_impact import EarningCurve, concave_envelope, curve_supply_apr, diluted_apr, earning_curve, tent
from tools.solvers.linear_program import LinearProgram


def names(solution: Solution) -> list[str]:
    return [name for name, _ in solution.binding]


def test_everything_above_the_reserve_goes_to_the_best_rate() -> None:
    solution = optimize(problem([line("a", 0.03), line("b", 0.05)], [cash("usdc", 1.0)]))

    assert solution.weights == pytest.approx({"a": 0.0, "b": 0.9})
    assert solution.cash["usdc"] == pytest.approx(0.1)
    assert solution.turnover == pytest.approx(0.9)
    assert names(solution) == ["reserve"]


def test_cap_binds_with_the_yield_difference_as_its_shadow_price() -> None:
    caps = (cap("strategy:b", 0.4, "b"),)

    solution = optimize(problem([line("a", 0.03), line("b", 0.05)], [cash("usdc", 1.0)], caps=caps))

    assert solution.weights == pytest.approx({"a": 0.5, "b": 0.4})
    assert dict(solution.binding)["strategy:b"] == pytest.approx(0.02 / 5)


def test_turnover_limit_counts_what_leaves_a_line_once() -> None:
    lines = [line("a", 0.03, current=0.5), line("b", 0.05)]

    solution = optimize(problem(lines, [cash("usdc", 0.5)], max_turnover=0.3, min_reserve=0.4))

    assert solution.weights == pytest.approx({"a": 0.3, "b": 0.3})
    assert solution.cash["usdc"] == pytest.approx(0.4)
    assert "turnover" in names(solution)


def test_swap_that_costs_more_than_it_earns_is_not_made() -> None:
    lines = [line("a", 0.030), line("b", 0.034, token="dai")]
    better_by = 0.004 / 5  # over the horizon

    cheap = optimize(problem(lines, [cash("usdc", 1.0), cash("dai", 0.0, cost=better_by / 4)]))
    dear = optimize(problem(lines, [cash("usdc", 1.0), cash("dai", 0.0, cost=better_by * 1.1)]))

    assert cheap.weights["b"] > 0.89
    assert dear.weights == pytest.approx({"a": 0.9, "b": 0.0})


def test_swap_is_paid_for_out_of_the_reserve_token() -> None:
    solution = optimize(problem([line("b", 0.5, token="dai")], [cash("usdc", 1.0), cash("dai", 0.0, cost=0.01)]))

    assert solution.weights["b"] == pytest.approx(0.9 / 1.01)
    assert solution.cash["usdc"] == pytest.approx(0.1)


def test_swap_limit_holds() -> None:
    lines = [line("b", 0.5, token="dai")]

    solution = optimize(problem(lines, [cash("usdc", 1.0), cash("dai", 0.0)], max_swaps=0.2))

    assert solution.weights["b"] == pytest.approx(0.2)
    assert names(solution) == ["swaps"]


def test_token_that_cannot_be_swapped_is_used_where_it_is() -> None:
    lines = [line("a", 0.03), line("w", 0.01, token="weth")]

    solution = optimize(problem(lines, [cash("usdc", 0.8), cash("weth", 0.2, can_swap=False)]))

    assert solution.weights == pytest.approx({"a": 0.7, "w": 0.2})


def test_falling_marginal_rates_split_between_pools() -> None:
    sizes = np.array([0.0, 0.3, 1.0])
    falling = [
        EarningCurve(sizes=sizes, earnings=np.array([0.0, 0.3 * top, 0.3 * top + 0.7 * 0.01])) for top in (0.05, 0.04)
    ]
    lines = [StrategyLine(name, "usdc", 0.0, 1.0, 1.0, curve) for name, curve in zip("ab", falling, strict=True)]

    solution = optimize(problem(lines, [cash("usdc", 1.0)], min_reserve=0.4))

    assert solution.weights == pytest.approx({"a": 0.3, "b": 0.3})


def test_risk_aversion_avoids_the_tail() -> None:
    scenarios = np.zeros((100, 3))
    scenarios[:10, 1] = -0.05  # b loses 5 % on ten days of a hundred
    lines, holdings = [line("a", 0.03), line("b", 0.05)], [cash("usdc", 1.0)]

    bold = optimize(problem(lines, holdings, scenarios=scenarios, risk_aversion=0.0))
    careful = optimize(problem(lines, holdings, scenarios=scenarios, risk_aversion=1.0))

    assert bold.weights["b"] == pytest.approx(0.9)
    assert careful.weights == pytest.approx({"a": 0.9, "b": 0.0})


def test_cvar_limit_caps_the_risky_size_exactly() -> None:
    scenarios = np.zeros((100, 3))
    scenarios[:10, 1] = -0.05

    solution = optimize(
        problem([line("a", 0.03), line("b", 0.05)], [cash("usdc", 1.0)], scenarios=scenarios, max_cvar=0.01)
    )

    assert solution.weights["b"] == pytest.approx(0.01 / 0.05)
    assert "cvar-95" in names(solution)


def test_equal_choices_stay_where_they_are() -> None:
    solution = optimize(problem([line("a", 0.03, current=0.9), line("b", 0.03)], [cash("usdc", 0.1)]))

    assert solution.turnover == pytest.approx(0.0, abs=1e-9)


def test_infeasible_limits_are_named() -> None:
    stuck = line("a", 0.03, current=0.9, max_sell=0.1)

    with pytest.raises(Infeasible, match=r"strategy:a by 0\.3000"):
        optimize(problem([stuck], [cash("usdc", 0.1)], caps=(cap("strategy:a", 0.5, "a"),)))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((field, value) for field in AMOUNTS for value in (np.nan, np.inf, -1.0)),
        *(("max_cvar", value) for value in (np.nan, -0.1)),
        *(("cvar_level", value) for value in (np.nan, 0.0, 1.0, 1.5)),
    ],
)
def test_number_that_would_switch_a_limit_off_is_refused(field: str, value: float) -> None:
    with pytest.raises(InvariantBroken, match=f"^{field} of an allocation must be .*, it is {value}$"):
        problem([line("a", 0.03)], [cash("usdc", 1.0)], **{field: value})


def test_lines_that_share_a_name_are_refused() -> None:
    with pytest.raises(InvariantBroken, match="strategies of an allocation must name a once, it stands there 2 times"):
        problem([line("b", 0.03), line("a", 0.03), line("a", 0.05)], [cash("usdc", 1.0)])
    with pytest.raises(InvariantBroken, match="cash of an allocation must name usdc once, it stands there 2 times"):
        problem([line("a", 0.03)], [cash("usdc", 0.5), cash("usdc", 0.5)])


def test_cap_on_a_line_that_is_not_there_is_refused() -> None:
    strange = Cap(name="aave", strategies={"b": 1.0}, tokens={}, limit=0.5)

    with pytest.raises(InvariantBroken, match="cap aave of an allocation names b, which is no line of it"):
        problem([line("a", 0.03)], [cash("usdc", 1.0)], caps=(strange,))


def test_problem_without_its_reserve_is_refused() -> None:
    with pytest.raises(InvariantBroken, match="must list the reserve token usdc"):
        problem([], [])


@pytest.mark.parametrize("shape", [(30, 3), (30, 1), (30,)])
def test_scenarios_of_other_lines_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(StaleOrDisputed, match=r"scenarios has shape .* is required"):
        problem([line("a", 0.03)], [cash("usdc", 1.0)], scenarios=np.zeros(shape))


def test_program_whose_definitions_clash_says_so() -> None:
    program = LinearProgram()
    column = program.add_column(upper=1.0)
    program.add_row({column: 1.0}, lower=2.0)

    with pytest.raises(Infeasible, match="its own definitions"):
        program.solve()


def test_answer_that_breaks_a_row_is_never_returned() -> None:
    program = LinearProgram()
    column = program.add_column(gain=1.0, upper=1.0)
    program.add_row({column: 1.0}, name="limit", upper=0.5)

    with pytest.raises(InvariantBroken, match=r"violates a constraint by 0\.5"):
        program.certify(np.array([1.0]), np.zeros(1))
    with pytest.raises(InvariantBroken):
        program.certify(np.array([np.nan]), np.zeros(1))


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.floats(0.0, 0.2), min_size=2, max_size=2),
    st.floats(0.2, 0.9),
    st.floats(0.05, 0.9),
    st.floats(0.05, 0.5),
)
def test_no_feasible_grid_point_beats_the_optimum(
    aprs: list[float], limit: float, turnover: float, held: float
) -> None:
    lines = [line("a", aprs[0], current=held), line("b", aprs[1])]
    caps = (cap("protocol:x", max(limit, held), "a", "b"),)

    solution = optimize(problem(lines, [cash("usdc", 1.0 - held)], caps=caps, max_turnover=turnover))

    def value(a: float, b: float) -> float:
        churn = 0.00005 * (abs(a - held) + b)
        return (a * aprs[0] + b * aprs[1]) / 5 - churn

    grid = np.linspace(0.0, 1.0, 41)
    feasible = [
        value(a, b)
        for a in grid
        for b in grid
        if a + b <= min(max(limit, held), 0.9) and max(held - a, 0) + max(a + b - held, 0) <= turnover
    ]
    assert solution.objective >= max(feasible, default=-1.0) - 1e-9


def test_supply_rate_follows_both_slopes_of_the_curve() -> None:
    curve = make_rate("aave-dai").curve

    assert curve is not None
    assert curve_supply_apr(curve, 0.4) == pytest.approx(0.025 * 0.4 * 0.9)
    assert curve_supply_apr(curve, 0.9) == pytest.approx((0.05 + 0.375) * 0.9 * 0.9)


def test_deposit_lowers_a_curve_rate_by_the_curves_own_change() -> None:
    rate = make_rate("aave-dai", supplied_tokens=1000)

    diluted = diluted_apr(rate, 0.04, added=1000 * 10**18 / 9)

    # utilization falls from 0.70 to 0.63: the rate is proportional to its square below the kink
    assert diluted == pytest.approx(0.04 * (0.63 / 0.70) ** 2)


def test_withdrawal_raises_a_curve_rate() -> None:
    rate = make_rate("aave-dai", supplied_tokens=1000)

    assert diluted_apr(rate, 0.04, added=-100 * 10**18) > 0.04


def test_pool_without_curve_shares_fixed_earnings_and_withdrawals_promise_no_more() -> None:
    rate = make_rate("vault-limited-dai", supplied_tokens=1000).model_copy(update={"curve": None})

    assert diluted_apr(rate, 0.04, added=1000 * 10**18) == pytest.approx(0.02)
    assert diluted_apr(rate, 0.04, added=-500 * 10**18) == 0.04


def test_negative_rate_and_empty_pool_are_not_diluted() -> None:
    assert diluted_apr(make_rate("aave-dai"), -0.02, added=1e24) == -0.02
    assert diluted_apr(make_rate("aave-dai", supplied_tokens=0), 0.02, added=1e24) == 0.02


def test_curve_without_borrowers_dilutes_like_a_pool() -> None:
    rate = make_rate("aave-dai", supplied_tokens=1000).model_copy(update={"borrowed": 0})

    assert diluted_apr(rate, 0.04, added=1000 * 10**18) == pytest.approx(0.02)


def test_earning_curve_is_concave_and_exact_at_the_current_size() -> None:
    rate = make_rate("aave-dai", supplied_tokens=1000)

    curve = earning_curve(rate, 0.04, current=0.2, upper=0.9, units_per_share=500e18)
    slopes = [slope for _, slope in curve.segments()]

    assert slopes == sorted(slopes, reverse=True)
    assert np.interp(0.2, curve.sizes, curve.earnings) == pytest.approx(0.2 * 0.04)


def test_growth_is_promised_less_than_what_is_held() -> None:
    rate = make_rate("aave-dai", supplied_tokens=1000)

    curve = earning_curve(rate, 0.04, current=0.2, upper=0.9, units_per_share=500e18, growth_apr=0.01)
    half, held, most = (float(np.interp(size, curve.sizes, curve.earnings)) for size in (0.1, 0.2, 0.9))

    assert held == pytest.approx(0.2 * 0.04)
    assert most - held == pytest.approx(0.9 * diluted_apr(rate, 0.01, added=0.7 * 500e18) - 0.2 * 0.01)
    assert held - half > 0.1 * 0.02


def test_envelope_cuts_the_point_that_bends_up() -> None:
    curve = concave_envelope(np.array([0.0, 1.0, 2.0, 3.0]), np.array([0.0, 1.0, 1.2, 2.0]))

    assert curve.sizes.tolist() == [0.0, 1.0, 3.0]


@pytest.mark.parametrize(("target", "expected"), [(0.25, {"a": 0.25}), (0.0, {"a": 0.0}), (0.95, {"a": 0.9})])
def test_tent_draws_the_size_to_its_target_as_far_as_limits_allow(target: float, expected: Mapping[str, float]) -> None:
    lines = [StrategyLine("a", "usdc", 0.1, 1.0, 1.0, tent(target, 1.0))]

    solution = optimize(problem(lines, [cash("usdc", 0.9)]))

    assert solution.weights == pytest.approx(expected)
