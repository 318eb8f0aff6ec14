"""What a way out may cost: a multiple of the gas that it was seen to need, whatever the policy's limits are."""

from __future__ import annotations

import pytest

from guards import check
from tests.builders import make_snapshot
from tests.builders_evidence import codes, exit_moves, make_evidence, make_plan, rows_of, supply

GAS, GAS_PRICE = 400_000, 21 * 10**9
"""Used by the sample simulation; of the sample market, in wei."""
MOST = 30 * GAS * GAS_PRICE


def with_cap(fee_cap_wei, *, moves=None, **changes):
    """Evidence about a way out, or other moves, whose envelope may cost so much."""
    moves = exit_moves() if moves is None else moves
    evidence = make_evidence(moves, **changes)
    plan = make_plan(moves, fee_cap_wei=fee_cap_wei, snapshot=evidence.snapshot)
    report = evidence.simulation.model_copy(update={"batch_digest": plan.batch_digest()})
    return evidence.model_copy(update={"plan": plan, "simulation": report})


def fee_rows(evidence):
    rows = [row for row in rows_of("simulation", evidence) if row.code == "exit_fee_cap"]
    return [(row.subject, row.observed, row.limit, row.unit, row.passed) for row in rows]


@pytest.mark.parametrize(("fee_cap_wei", "passed"), [(MOST, True), (MOST + 1, False), (10**24, False)])
def test_a_way_out_may_cost_thirty_times_what_it_was_seen_to_need(fee_cap_wei, passed):
    evidence = with_cap(fee_cap_wei, simulated={"gas_used": GAS})

    assert fee_rows(evidence) == [("envelope", str(fee_cap_wei), str(MOST), "wei", passed)]
    assert codes(check(evidence).denials) == (set() if passed else {"exit_fee_cap"})


@pytest.mark.parametrize(("base_fee_wei", "priority_fee_wei"), [(GAS_PRICE, 0), (0, GAS_PRICE)])
def test_base_and_priority_fee_both_count(base_fee_wei, priority_fee_wei):
    market = make_snapshot(base_fee_wei=base_fee_wei, priority_fee_wei=priority_fee_wei)

    (row,) = fee_rows(with_cap(MOST, simulated={"gas_used": GAS}, snapshot=market))

    assert row == ("envelope", str(MOST), str(MOST), "wei", True)


def test_a_market_without_a_gas_price_closes_no_way_out():
    evidence = with_cap(MOST + 1, snapshot=make_snapshot(base_fee_wei=0, priority_fee_wei=0))

    assert fee_rows(evidence) == [("envelope", str(MOST + 1), "unlimited", "wei", True)]
    assert check(evidence).is_pass


def test_what_is_no_way_out_is_bounded_by_the_policy_instead():
    assert fee_rows(with_cap(MOST + 1, moves=(supply(50_000),))) == []
