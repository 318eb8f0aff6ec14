"""No solver is believed: a poor, impossible or unproven answer is refused with the numbers that say so."""

from __future__ import annotations

import numpy as np
import pytest

from domain.errors import InvariantBroken
from domain.plan import Certificate
from tools.solvers.certificates import certify
from tools.solvers.linear_program import LinearProgram


def proof(*, objective: float = 1.0, bound: float = 1.0, violation: float = 0.0, size: float = 1.0) -> Certificate:
    return certify("planted", objective=objective, bound=bound, violation=violation, size=size)


def two_columns() -> LinearProgram:
    """Maximize 2a + b with a + b <= 1: a = 1 at a price of 2."""
    program = LinearProgram()
    first, second = program.add_column(gain=2.0, upper=2.0), program.add_column(gain=1.0, upper=2.0)
    program.add_row({first: 1.0, second: 1.0}, name="together", upper=1.0)
    return program


def test_proof_states_what_is_left_to_gain() -> None:
    certificate = proof(bound=1.0 + 1e-7)

    assert certificate.solver == "planted"
    assert certificate.gap == pytest.approx(1e-7)


def test_gap_is_never_negative() -> None:
    assert proof(bound=1.0 - 1e-12).gap == 0.0


@pytest.mark.parametrize("bound", [1.00001, 0.99999, np.nan, np.inf])
def test_objective_away_from_its_bound_is_refused(bound: float) -> None:
    with pytest.raises(InvariantBroken, match="proven is at most"):
        proof(bound=bound)


@pytest.mark.parametrize("violation", [2e-7, np.nan, np.inf])
def test_broken_limit_is_refused(violation: float) -> None:
    with pytest.raises(InvariantBroken, match="violates a constraint"):
        proof(violation=violation)


def test_gap_is_judged_against_the_larger_part_of_the_objective() -> None:
    """Earnings and risk that cancel leave a small objective, not a small error."""
    assert proof(objective=0.0, bound=1e-7, size=1.0).gap == 1e-7
    with pytest.raises(InvariantBroken):
        proof(objective=0.0, bound=1e-7, size=0.01)


def test_linear_answer_carries_its_proof() -> None:
    answer = two_columns().solve()

    assert answer.values == pytest.approx([1.0, 0.0])
    assert answer.prices == (("together", pytest.approx(2.0)),)
    assert answer.certificate.solver == "highs-primal"
    assert answer.certificate.gap <= 1e-12


@pytest.mark.parametrize("prices", [[1.0], [0.0], [-2.0], [3.0]])
def test_feasible_answer_with_prices_that_prove_nothing_is_refused(prices: list[float]) -> None:
    with pytest.raises(InvariantBroken, match="proven is at most"):
        two_columns().certify(np.array([0.0, 1.0]), np.array(prices))


def test_prices_on_the_wrong_side_of_a_row_only_weaken_the_bound() -> None:
    """A negative price would pay for a lower side that this row does not have: it counts as none."""
    with pytest.raises(InvariantBroken, match="proven is at most 6"):
        two_columns().certify(np.array([1.0, 0.0]), np.array([-5.0]))
