"""Reverse stress finds where a known edge lies, says what broke there, and judges with the guards' own measures."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import StaleOrDisputed
from domain.policy import Policy
from domain.risk_facts import TokenRole
from guards.what_if import on_market
from tests.builders import make_catalog
from tests.builders_evidence import codes, make_evidence, make_limits, rows_of
from tests.builders_shocks import make_facts
from tools.shocks.market_shock import MarketShock, shocked_snapshot
from tools.shocks.reverse_stress import TOTAL_LOSSES, smallest_breaking


def edge_at(limit: float):
    return lambda size: frozenset({"loss"}) if size > limit else frozenset()


@settings(max_examples=100)
@given(st.floats(1e-4, 0.9999))
def test_one_edge_is_found_to_the_tolerance(limit: float) -> None:
    found = smallest_breaking(edge_at(limit), tolerance=1e-6)

    assert found.size is not None
    assert found.holds_at is not None
    assert found.holds_at <= limit < found.size <= limit + 1e-6
    assert found.breaches == {"loss"}


def test_what_is_broken_already_breaks_at_zero() -> None:
    found = smallest_breaking(lambda size: frozenset({"reserve_share"}))

    assert (found.size, found.holds_at, found.measurements) == (0.0, None, 1)


def test_what_never_breaks_says_up_to_where_it_was_asked() -> None:
    found = smallest_breaking(edge_at(2.0), largest=1.5)

    assert (found.size, found.holds_at, found.breaches) == (None, 1.5, frozenset())
    assert found.measurements == 65


def test_one_step_and_its_halves_are_enough_where_nothing_mends() -> None:
    found = smallest_breaking(edge_at(0.3), steps=1, tolerance=0.1)

    assert (found.holds_at, found.size) == (0.25, 0.3125)
    assert found.measurements == 2 + 4  # at 0 and 1, then 0.5, 0.25, 0.375 and 0.3125


def test_first_of_several_breaks_is_the_one_that_is_named() -> None:
    def measure(size: float) -> frozenset[str]:
        return frozenset(code for code, limit in (("far", 0.7), ("near", 0.30001)) if size > limit)

    assert smallest_breaking(measure).breaches == {"near"}


def test_break_that_mends_again_is_found_where_the_scan_touches_it() -> None:
    found = smallest_breaking(lambda size: frozenset({"dip"}) if 0.40 < size < 0.43 else frozenset())

    assert found.size == pytest.approx(0.40, abs=1e-5)


def test_tolerance_below_what_floats_can_say_still_ends() -> None:
    found = smallest_breaking(edge_at(0.3), tolerance=1e-300)

    assert found.size == math.nextafter(0.3, 1)
    assert found.measurements < 130


@pytest.mark.parametrize(
    "wrong", [{"largest": 0.0}, {"largest": math.nan}, {"tolerance": 0.0}, {"tolerance": math.inf}, {"steps": 0}]
)
def test_search_that_cannot_end_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(StaleOrDisputed, match="reverse stress needs"):
        smallest_breaking(edge_at(0.5), **wrong)


def broken_after(shock: MarketShock, guard: str, policy: Policy) -> frozenset[str]:
    """What one guard says of the sample batch, had the market been hit before it was judged."""
    evidence = make_evidence(policy=policy)
    snapshot = shocked_snapshot(evidence.snapshot, make_catalog(), make_facts(), shock)
    return frozenset(codes(rows_of(guard, on_market(evidence, snapshot))))


def test_guards_break_where_a_stable_token_leaves_its_band() -> None:
    policy = make_limits(freshness={"max_stable_deviation_bps": 100})

    found = smallest_breaking(
        lambda size: broken_after(TOTAL_LOSSES["reserve-backed"].scaled(size), "freshness", policy),
        largest=0.05,
        steps=5,
        tolerance=1e-4,
    )

    assert found.size == pytest.approx(0.01, abs=2e-4)
    assert found.breaches == {"stable_deviation"}


def test_fall_of_ether_breaks_the_issuer_cap_of_what_is_left() -> None:
    """Dollars of one issuer grow as a share while ether falls: by hand, 700 / (900 + 70 (1 - f)) = 0.75."""
    fall = 1 - (700 / 0.75 - 900) / 70
    policy = make_limits(exposure={"max_issuer_share": "0.75"})

    found = smallest_breaking(
        lambda size: broken_after(TOTAL_LOSSES["ether"].scaled(size), "exposure", policy), steps=4, tolerance=1e-4
    )

    assert found.size == pytest.approx(fall, abs=1e-3)
    assert found.breaches == {"issuer_share"}


def test_size_along_a_total_loss_is_the_fall_itself() -> None:
    shock = TOTAL_LOSSES["crypto-backed"].scaled(0.12)

    assert shock.falls == {TokenRole.CRYPTO_BACKED: 0.12}
    assert Decimal(str(shock.gas_factor)) == 1
