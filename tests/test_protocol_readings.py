"""What one snapshot says of each protocol: the worst of its strategies, and unknown where one of them is."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from domain.market import Catalog, MarketSnapshot, RateObservation
from domain.risk_facts import Factor
from tests.builders import make_catalog, make_price, make_rate, make_snapshot
from tests.builders_history import make_history
from tools.markets.protocol_factors import ProtocolReadings
from tools.markets.protocol_readings import read_protocols

VAULT = "vault-limited-dai"


def read(
    snapshot: MarketSnapshot | None = None, incidents: frozenset[str] = frozenset(), **history: object
) -> dict[str, ProtocolReadings]:
    found = read_protocols(make_catalog(), snapshot or make_snapshot(), make_history(**history), incidents=incidents)
    return {readings.protocol: readings for readings in found}


def with_rates(*changed: RateObservation) -> MarketSnapshot:
    rates = {rate.strategy: rate for rate in (*make_snapshot().rates, *changed)}
    return make_snapshot(rates=tuple(rates.values()))


def without(strategy: str) -> MarketSnapshot:
    return make_snapshot(rates=tuple(rate for rate in make_snapshot().rates if rate.strategy != strategy))


def rate(strategy: str, **changes: object) -> RateObservation:
    known = next(rate for rate in make_snapshot().rates if rate.strategy == strategy)
    return known.model_copy(update=changes)


def test_every_protocol_is_read_once() -> None:
    assert list(read()) == ["aave-v3", "limited-vault"]


def test_calm_protocol_is_fully_known() -> None:
    aave = read()["aave-v3"]

    assert (aave.is_stopped, aave.peg_deviation) == (False, 0.0)
    assert (aave.utilization, aave.kink) == (0.7, 0.8)
    assert aave.withdrawable_share == 0.3
    assert aave.deposits_usd[-1] == 20e6 * (3 + 3500 + 60000)


def test_deposits_of_the_past_are_valued_at_the_prices_of_their_day() -> None:
    found = read(
        days=4,
        supplied={VAULT: [10e24, 8e24, None, 7e24]},
        prices={"dai": [1.0, 0.5, 1.0, 1.0]},
        share_prices={VAULT: [1.0] * 4},
    )["limited-vault"]

    assert found.deposits_usd == pytest.approx([10e6, 4e6, np.nan, 20e6], nan_ok=True)  # today is the snapshot's


def test_deposits_of_a_history_without_supplies_are_known_today_only() -> None:
    aave = read()["aave-v3"]

    assert np.isnan(aave.deposits_usd[:-1]).all()
    assert aave.deposits_usd.size == 120


def test_fullest_pool_on_its_own_curve_speaks_for_the_protocol() -> None:
    steep = make_rate("aave-dai").curve
    assert steep is not None
    late = steep.model_copy(update={"optimal_utilization": 0.95})
    supplied = 10**24
    full = rate("aave-dai", supplied=supplied, borrowed=supplied * 96 // 100, curve=late)
    fuller = rate("aave-usdx", supplied=supplied, borrowed=supplied * 90 // 100)

    aave = read(with_rates(full, fuller))["aave-v3"]

    assert (aave.utilization, aave.kink) == (0.9, 0.8)


def test_worst_peg_speaks_for_the_protocol() -> None:
    prices = {"usdc": "1.01", "dai": "1", "usdx": "0.97", "weth": "3500", "wbtc": "60000"}
    snapshot = make_snapshot(prices=tuple(make_price(token, price) for token, price in prices.items()))

    assert read(snapshot)["aave-v3"].peg_deviation == pytest.approx(-0.03)


def test_least_withdrawable_pool_speaks_for_the_protocol() -> None:
    drained = rate("aave-weth", withdrawable=0)

    assert read(with_rates(drained))["aave-v3"].withdrawable_share == 0.0


def test_one_strategy_that_was_not_read_makes_its_protocol_unknown() -> None:
    aave = read(without("aave-wbtc"))["aave-v3"]

    assert (aave.is_stopped, aave.utilization, aave.withdrawable_share) == (None, None, None)
    assert np.isnan(aave.deposits_usd[-1])


def test_pause_is_known_even_where_another_strategy_was_not_read() -> None:
    rates = tuple(entry for entry in make_snapshot().rates if entry.strategy not in {"aave-wbtc", "aave-dai"})
    paused = make_snapshot(rates=(*rates, rate("aave-dai", is_paused=True)))

    assert read(paused)["aave-v3"].is_stopped is True


def test_open_incident_stops_its_protocol_alone() -> None:
    found = read(incidents=frozenset({"aave-v3"}))

    assert (found["aave-v3"].is_stopped, found["limited-vault"].is_stopped) == (True, False)


def test_fall_of_a_share_price_is_the_vaults() -> None:
    slashed = rate(VAULT, share_price=Decimal("0.95"))

    found = read(with_rates(slashed), share_prices={VAULT: [1.0] * 120})

    assert found["limited-vault"].share_price_fall == pytest.approx(0.05)
    assert found["aave-v3"].not_applicable == frozenset({Factor.SHARE_PRICE})


def test_vault_rests_on_the_protocols_that_it_names_and_not_on_other_factors() -> None:
    catalog = make_catalog()
    vault = catalog.strategy(VAULT).model_copy(update={"factors": ("aave-v3", "vault-owner")})
    resting = Catalog.model_validate({**dict(catalog), "strategies": (*catalog.strategies[:-1], vault)})

    found = read_protocols(resting, make_snapshot(), make_history(), incidents=frozenset())

    assert {readings.protocol: readings.rests_on for readings in found} == {
        "aave-v3": frozenset(),
        "limited-vault": frozenset({"aave-v3"}),
    }


def test_share_price_of_a_vault_that_was_not_read_is_unknown() -> None:
    assert read(without(VAULT))["limited-vault"].share_price_fall is None


def test_vault_that_does_not_lend_has_no_utilization_to_know() -> None:
    found = read(with_rates(rate(VAULT, borrowed=None)))["limited-vault"]

    assert found.not_applicable == frozenset({Factor.UTILIZATION})


def test_unpriced_stable_token_makes_the_peg_unknown() -> None:
    known = tuple(price for price in make_snapshot().prices if price.token != "usdx")

    aave = read(make_snapshot(prices=known))["aave-v3"]

    assert aave.peg_deviation is None
    assert np.isnan(aave.deposits_usd[-1])


def test_empty_pool_has_nothing_to_withdraw_and_nothing_lent() -> None:
    empty = rate(VAULT, supplied=0, borrowed=0, withdrawable=0)

    found = read(with_rates(empty))["limited-vault"]

    assert (found.withdrawable_share, found.utilization) == (0.0, 0.0)
