"""The dual on a kept solver against the primal with a row per scenario; bounds hold for any prices; starts replay."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import Infeasible, InvariantBroken, StaleOrDisputed
from tests.builders_optimizer import make_program
from tools.solvers.kept_dual import KeptDual, Start, TailAnswer
from tools.solvers.tail_primal import solve_primal
from tools.solvers.tail_program import (
    Multipliers,
    TailProgram,
    bound_of,
    cvar_of,
    gains_of,
    objective_of,
    pinned,
    violation_of,
)


def solved(program: TailProgram, start: Start | None = None) -> TailAnswer:
    answer = KeptDual(program).solve(start=start)
    assert answer is not None
    return answer


@pytest.mark.parametrize("is_floored", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_dual_and_primal_reach_the_same_objective(seed: int, is_floored: bool) -> None:
    program = make_program(seed, is_floored=is_floored)

    answer = solved(program)
    sizes, slower = solve_primal(program)

    assert answer.certificate.objective == pytest.approx(objective_of(program, sizes), abs=1e-12)
    assert slower.objective + program.offsets.sum() - fixed_part(program) == pytest.approx(
        answer.certificate.objective, abs=1e-12
    )


def fixed_part(program: TailProgram) -> float:
    """Gains are counted from the first breakpoint on in both forms."""
    return gains_of(program, program.breakpoints[:, 0]) - float(program.offsets.sum())


@pytest.mark.parametrize("seed", range(6))
def test_certificate_closes_the_gap_and_recounts_the_answer(seed: int) -> None:
    program = make_program(seed)

    answer = solved(program)

    assert answer.certificate.gap <= 1e-12
    assert answer.certificate.violation <= 1e-9
    assert answer.certificate.objective == objective_of(program, answer.sizes)
    assert answer.gains - program.risk_aversion * answer.cvar == answer.certificate.objective


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 5),
    st.lists(st.floats(-0.01, 0.01), min_size=3, max_size=3),
    st.lists(st.floats(-1.0, 1.0), min_size=60, max_size=60),
)
def test_no_prices_put_the_bound_below_what_is_reached(seed: int, prices: list[float], weights: list[float]) -> None:
    program = make_program(seed)
    reached = solved(program).certificate.objective

    bound = bound_of(program, Multipliers(np.array(prices), np.array(weights)))

    assert bound >= reached - 1e-12


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 30), st.lists(st.integers(-8, 0), min_size=5, max_size=5))
def test_gains_of_very_different_sizes_are_still_proven(seed: int, powers: list[int]) -> None:
    """One coin that must be left at any price stands beside rates of a millionth."""
    program = make_program(seed)
    factors = 10.0 ** np.array(powers)
    spread = replace(program, slopes=program.slopes * factors[:, None] * 100.0, risk_aversion=1e-4)

    answer = KeptDual(spread).solve()
    sizes, slower = solve_primal(spread)

    assert answer is not None
    assert answer.certificate.objective == pytest.approx(objective_of(spread, sizes), abs=1e-9)
    assert slower.certificate.gap <= 1e-6 * max(abs(answer.gains), 1e-4)


def test_tail_is_the_mean_of_the_worst_twentieth() -> None:
    program = make_program()
    scenarios = np.zeros((40, 5))
    scenarios[:3, 0] = [-0.4, -0.2, -0.1]  # two of forty are a twentieth

    cvar = cvar_of(replace(program, scenarios=scenarios), np.array([1.0, 0, 0, 0, 0]))

    assert cvar == pytest.approx(0.3)


def test_gain_without_a_loss_counts_as_negative_risk_only_when_not_floored() -> None:
    program = replace(make_program(), scenarios=np.full((40, 5), 0.01))
    sizes = np.ones(5)

    assert cvar_of(program, sizes) == pytest.approx(-0.05)
    assert cvar_of(replace(program, is_floored=True), sizes) == 0.0


def test_answer_depends_on_program_and_start_only() -> None:
    program, other = make_program(3), make_program(3)
    moved = replace(other, slopes=other.slopes + 1e-4, upper=other.upper * 1.01)
    kept = KeptDual(program)
    start = solved(program).start

    kept.solve(program)
    kept.solve(program, start)
    later = kept.solve(moved, start)
    fresh = KeptDual(program).solve(moved, start)

    assert later is not None
    assert fresh is not None
    assert later.sizes.tobytes() == fresh.sizes.tobytes()
    assert later.certificate == fresh.certificate
    assert later.start == fresh.start


def test_warm_start_changes_the_path_and_not_the_answer() -> None:
    program = make_program(4)
    moved = replace(program, slopes=program.slopes * 1.02)

    warm, cold = solved(moved, solved(program).start), solved(moved)

    assert warm.certificate.solver == "highs-dual-warm"
    assert cold.certificate.solver == "highs-dual"
    assert warm.certificate.objective == pytest.approx(cold.certificate.objective, abs=1e-13)
    assert warm.sizes == pytest.approx(cold.sizes, abs=1e-9)


def test_start_of_another_program_is_refused() -> None:
    start = solved(make_program(size=4)).start

    with pytest.raises(InvariantBroken, match="start has"):
        KeptDual(make_program(size=5)).solve(start=start)


def test_limits_that_cannot_hold_have_no_dual_answer_and_are_named_by_the_primal() -> None:
    program = replace(make_program(), lower=np.array([9.0, -np.inf, 0.05]), upper=np.array([10.0, 0.9, np.inf]))

    assert KeptDual(program).solve() is None
    with pytest.raises(Infeasible, match="total by"):
        solve_primal(program)


def test_tail_limit_holds_in_the_primal() -> None:
    program = replace(make_program(1), risk_aversion=0.001)
    safest = cvar_of(program, solved(replace(program, risk_aversion=100.0)).sizes)
    limit = (safest + cvar_of(program, solved(program).sizes)) / 2

    sizes, answer = solve_primal(program, max_cvar=limit)

    assert cvar_of(program, sizes) == pytest.approx(limit)
    assert "cvar-95" in dict(answer.prices)
    assert objective_of(program, sizes) < solved(program).certificate.objective


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e4])
def test_units_of_the_objective_do_not_move_the_answer(scale: float) -> None:
    program = make_program(2)
    scaled = replace(
        program, slopes=program.slopes * scale, offsets=program.offsets * scale, scenarios=program.scenarios * scale
    )

    assert KeptDual(scaled)._layout.scale == pytest.approx(KeptDual(program)._layout.scale * scale)
    assert solved(scaled).sizes == pytest.approx(solved(program).sizes, abs=1e-9)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_scenario_that_is_no_number_is_named(value: float) -> None:
    program = make_program()
    program.scenarios[7, 2] = value

    with pytest.raises(StaleOrDisputed, match="scenarios, row 7, column 2"):
        KeptDual(program)


def test_limit_that_is_no_range_is_named() -> None:
    program = make_program()
    program.upper[1] = np.nan

    with pytest.raises(StaleOrDisputed, match="limit factor: from -inf to nan"):
        KeptDual(program)


@pytest.mark.parametrize("column", [0, 3])
def test_pinned_size_stays_where_it_is_and_the_rest_is_proven_best(column: int) -> None:
    program = make_program(5)
    kept = KeptDual(program)
    free = kept.solve()
    assert free is not None
    size = float(np.mean(program.breakpoints[column]))

    held = kept.solve(pinned(program, column, size), free.start)

    assert held is not None
    assert held.sizes[column] == size
    assert held.certificate.objective == pytest.approx(objective_of(program, held.sizes), abs=1e-15)
    assert held.certificate.objective <= free.certificate.objective + 1e-15


def test_gain_that_bends_up_is_refused() -> None:
    program = make_program()
    program.slopes[0] = [0.0, 1.0, 0.0]

    with pytest.raises(InvariantBroken, match="concave"):
        KeptDual(program)


def test_sizes_beyond_a_row_or_domain_are_violations() -> None:
    program = make_program()
    sizes = program.breakpoints[:, 0].copy()
    sizes[0] -= 0.25

    assert violation_of(program, sizes) >= 0.25
    assert np.isnan(violation_of(program, np.full(5, np.nan)))
