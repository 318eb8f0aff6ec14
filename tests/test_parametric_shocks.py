"""Parametric shocks: defaults are recorded medians, sizes are what they say, shocks of one day add up."""

from __future__ import annotations

from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import StaleOrDisputed
from domain.risk_facts import TokenRole
from tests.builders import make_catalog, make_portfolio, make_snapshot
from tests.builders_shocks import make_facts
from tools.shocks.episodes import EPISODES
from tools.shocks.market_shock import MarketShock
from tools.shocks.parametric_shocks import (
    ALTCOIN_PER_ETHER,
    BITCOIN_PER_ETHER,
    CRASH_DISCOUNT,
    CRASH_GAS_FACTOR,
    drain,
    ether_crash,
    freeze,
    run_on_stable,
    together,
)
from tools.shocks.stress_replay import make_book, shock_loss

NAV = 970_000.0


def loss_of(shock: MarketShock) -> float:
    book = make_book(make_portfolio(), make_snapshot(), make_catalog())
    assert book is not None
    found = shock_loss(book, shock, make_facts(), name="invented")
    return found.loss - found.gas


@pytest.mark.parametrize(
    ("role", "default"), [(TokenRole.BITCOIN, BITCOIN_PER_ETHER), (TokenRole.ALTCOIN, ALTCOIN_PER_ETHER)]
)
def test_what_falls_with_ether_does_so_like_the_median_episode(role: TokenRole, default: float) -> None:
    recorded = median(episode.falls[role].value / episode.falls[TokenRole.ETHER].value for episode in EPISODES)

    assert default == pytest.approx(recorded, abs=0.01)


def test_discount_and_gas_are_those_of_the_median_episode() -> None:
    discounts = [episode.discount.value for episode in EPISODES if not episode.discount.is_assumed]

    assert median(episode.gas_factor.value for episode in EPISODES) == CRASH_GAS_FACTOR
    assert median(discounts) == pytest.approx(CRASH_DISCOUNT)


def test_ether_crash_costs_what_ether_is_held() -> None:
    assert loss_of(ether_crash(0.5)) == pytest.approx(0.5 * 70_000 / NAV)


def test_liquid_staking_loses_its_discount_of_what_ether_left() -> None:
    assert ether_crash(0.5, discount=0.1).falls[TokenRole.LIQUID_STAKING] == pytest.approx(0.55)


def test_nothing_falls_below_nothing() -> None:
    shock = ether_crash(0.9)

    assert shock.falls[TokenRole.ALTCOIN] == 1.0
    assert shock.falls[TokenRole.BITCOIN] == pytest.approx(0.747)


def test_run_on_a_stable_token_blocks_its_own_pools_only() -> None:
    shock = run_on_stable(TokenRole.ALGORITHMIC, 0.3)

    assert loss_of(shock) == pytest.approx(0.3 * 100_000 / NAV)
    assert shock.blocked == {TokenRole.ALGORITHMIC}


def test_run_on_ether_is_no_run_on_a_stable_token() -> None:
    with pytest.raises(StaleOrDisputed, match=r"needs one of .*, got ether"):
        run_on_stable(TokenRole.ETHER, 0.3)


def test_drained_protocol_takes_its_deposits_and_no_cash() -> None:
    assert loss_of(drain(["aave-v3"])) == pytest.approx(170_000 / NAV)
    assert loss_of(drain(["aave-v3"], 0.05)) == pytest.approx(0.05 * 170_000 / NAV)


def test_freeze_costs_nothing_and_blocks_every_pool() -> None:
    book = make_book(make_portfolio(), make_snapshot(), make_catalog())
    assert book is not None

    found = shock_loss(book, freeze(), make_facts(), name="freeze")

    assert (found.loss - found.gas, found.blocked_share) == (0.0, pytest.approx(170_000 / NAV))


def test_shocks_of_one_day_hit_what_the_others_left() -> None:
    day = together(run_on_stable(TokenRole.ALGORITHMIC, 0.5), drain(["aave-v3"], 0.2), ether_crash(0.1))

    usdx, ether = 100_000 * (1 - 0.5 * 0.8), 70_000 * (1 - 0.9 * 0.8)
    assert loss_of(day) == pytest.approx((usdx + ether) / NAV)


def test_no_shock_is_today() -> None:
    assert loss_of(together()) == 0.0


falls = st.dictionaries(st.sampled_from(TokenRole), st.floats(0, 1))
shocks = st.builds(
    MarketShock,
    falls=falls,
    gas_factor=st.floats(0, 50),
    blocked=st.frozensets(st.sampled_from(TokenRole)),
    lost_in=st.dictionaries(st.sampled_from(["aave-v3", "limited-vault"]), st.floats(0, 1)),
)


@given(shocks, shocks)
def test_order_of_a_day_does_not_matter_and_no_shock_mends_another(first: MarketShock, second: MarketShock) -> None:
    both, reversed_order = together(first, second), together(second, first)

    assert loss_of(both) == pytest.approx(loss_of(reversed_order))
    assert both.blocked == reversed_order.blocked == first.blocked | second.blocked
    assert loss_of(both) >= max(loss_of(first), loss_of(second)) - 1e-12


@given(shocks, st.floats(0, 1), st.floats(0, 1))
def test_loss_never_shrinks_along_a_direction(shock: MarketShock, first: float, second: float) -> None:
    small, large = sorted([first, second])

    assert loss_of(shock.scaled(small)) <= loss_of(shock.scaled(large)) + 1e-12


@pytest.mark.parametrize("fall", [-0.1, 1.1, float("nan")])
def test_size_that_is_no_share_is_refused(fall: float) -> None:
    for shock in (
        ether_crash,
        lambda size: run_on_stable(TokenRole.ALGORITHMIC, size),
        lambda size: drain(["a"], size),
    ):
        with pytest.raises(StaleOrDisputed, match="must be a share of 0 to 1"):
            shock(fall)


def test_single_name_is_no_list_of_protocols_to_drain() -> None:
    with pytest.raises(StaleOrDisputed, match="must be a list of names, got the single name 'aave-v3'"):
        drain("aave-v3")
