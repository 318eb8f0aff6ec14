"""Reverse stress of the standing book against the breakers: edges by hand on the sample treasury of 970,000 USD."""

from __future__ import annotations

from decimal import Decimal

import pytest

from domain.breakers import BreakerReadings
from domain.errors import StaleOrDisputed
from graph.what_breaks import Standing, find_what_breaks
from tests.builders import make_catalog, make_portfolio, make_price, make_snapshot
from tests.builders_evidence import make_limits
from tests.builders_shocks import make_facts
from tests.test_breakers import make_readings, make_valuation
from tools.shocks.market_shock import MarketShock

NAV = 970_000
DAY_LIMIT = 0.03


def standing(readings: BreakerReadings | None = None, **changes: object) -> Standing:
    fields: dict[str, object] = {
        "portfolio": make_portfolio(),
        "snapshot": make_snapshot(),
        "catalog": make_catalog(),
        "facts": make_facts(),
        "policy": make_limits(),
        "readings": readings or make_readings(valuation=make_valuation(str(NAV))),
    }
    return Standing(**{**fields, **changes})


@pytest.mark.parametrize(
    ("direction", "held_usd"),
    [("ether", 70_000), ("reserve-backed", 700_000), ("crypto-backed", 100_000), ("algorithmic", 100_000)],
)
def test_day_breaker_trips_where_the_loss_passes_its_share(direction: str, held_usd: int) -> None:
    found = find_what_breaks(standing())[direction]

    assert found.size == pytest.approx(DAY_LIMIT * NAV / held_usd, abs=2e-4)
    assert found.breaches == {"day_drawdown"}


def test_direction_that_touches_nothing_held_is_left_out() -> None:
    assert set(find_what_breaks(standing())) == {
        "ether", "everything-volatile", "reserve-backed", "crypto-backed", "algorithmic",
    }  # fmt: skip


def test_total_loss_below_the_limit_breaks_nothing() -> None:
    small = make_portfolio(positions={"aave-weth": 10**18})

    readings = make_readings(valuation=make_valuation("803500"))

    found = find_what_breaks(standing(readings, portfolio=small))["ether"]

    assert (found.size, found.breaches) == (None, frozenset())


def test_fall_is_measured_from_the_height_that_was_seen() -> None:
    """20,000 USD of the 30,000 that a day may lose of a million are gone already."""
    readings = make_readings(valuation=make_valuation(str(NAV), day="990000", week="990000", peak="990000"))

    found = find_what_breaks(standing(readings))["reserve-backed"]

    assert found.size == pytest.approx((NAV - 0.97 * 990_000) / 700_000, abs=2e-4)


def test_breaker_that_is_tripped_already_trips_at_no_fall_at_all() -> None:
    readings = make_readings(valuation=make_valuation(str(NAV), peak="1200000"))

    found = find_what_breaks(standing(readings))["ether"]

    assert (found.size, found.breaches) == (0.0, {"peak_drawdown"})


def test_other_breakers_are_not_about_a_fall() -> None:
    readings = make_readings(valuation=make_valuation(str(NAV)), incidents=("aave-v3",))

    assert find_what_breaks(standing(readings))["algorithmic"].breaches == {"day_drawdown"}


def test_deposit_that_its_protocol_loses_counts_like_a_fall() -> None:
    trips = standing().measure()

    assert trips(MarketShock({}, lost_in={"aave-v3": 0.1})) == frozenset()
    assert trips(MarketShock({}, lost_in={"aave-v3": 0.2})) == {"day_drawdown"}


def test_limit_without_end_never_trips() -> None:
    policy = make_limits(
        breakers=dict.fromkeys(
            ("max_day_drawdown_share", "max_week_drawdown_share", "max_peak_drawdown_share"), "unlimited"
        )
    )

    assert {found.size for found in find_what_breaks(standing(policy=policy)).values()} == {None}


def test_empty_book_has_nothing_to_break() -> None:
    assert find_what_breaks(standing(portfolio=make_portfolio(cash={}, positions={}))) == {}


def test_unpriced_holding_and_unreadable_valuation_are_unknown() -> None:
    unpriced = make_snapshot(prices=(make_price("usdc", "1"),))

    with pytest.raises(StaleOrDisputed, match="dai has no price"):
        find_what_breaks(standing(snapshot=unpriced))
    with pytest.raises(StaleOrDisputed, match="valuation cannot be read"):
        find_what_breaks(standing(make_readings(valuation=None)))


def test_value_after_a_shock_is_exact() -> None:
    shock = MarketShock({role: 0.1 for role in (make_facts().role_of("usdc"),) if role})

    assert standing().value_usd(shock) == Decimal(NAV) - Decimal(70_000)
