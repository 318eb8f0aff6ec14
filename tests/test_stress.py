"""Each disaster's loss by hand on the sample treasury: 700k USDC, 100k DAI, 100k USDX and 20 WETH in Aave."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import StaleOrDisputed
from domain.market import Catalog, MarketHistory
from domain.portfolio import Portfolio
from domain.risk import StressLoss
from domain.stress import CRASH, DRAINED_AND_FROZEN, RUN_ON_A_STABLE, StressFamily, scenario_set
from tests.builders import make_catalog, make_portfolio, make_price, make_rate, make_snapshot
from tests.builders_history import make_history
from tools.stress import stress_losses

NAV = 970_000.0
STRATEGIES = tuple(strategy.id for strategy in make_catalog().strategies)
TOKENS = tuple(token.id for token in make_catalog().tokens)
amounts = st.integers(0, 10**24)


def losses(
    history: MarketHistory | None = None,
    positions: dict[str, int] | None = None,
    days: int = 7,
    catalog: Catalog | None = None,
    **changes: object,
) -> dict[str, float]:
    snapshot = make_snapshot(**changes)
    portfolio = make_portfolio(positions=positions)
    found = stress_losses(portfolio, snapshot, catalog or make_catalog(), utilization_days=days, history=history)
    return {loss.scenario: loss.loss for loss in found}


def resting_on_aave() -> Catalog:
    """The vault names Aave as what it rests on."""
    catalog = make_catalog()
    vault = catalog.strategy("vault-limited-dai").model_copy(update={"factors": ("aave-v3", "vault-owner")})
    return Catalog.model_validate({**dict(catalog), "strategies": (*catalog.strategies[:-1], vault)})


def test_depeg_costs_the_share_held_in_the_token_as_cash_and_as_position() -> None:
    found = losses(positions={"vault-limited-dai": 100_000 * 10**18})

    assert found["depeg_50 dai"] == pytest.approx(0.5 * 200_000 / 900_000)
    assert found["depeg_3 usdc"] == pytest.approx(0.03 * 700_000 / 900_000)


def test_only_held_stable_tokens_can_lose_their_peg() -> None:
    depegs = {name for name in losses() if name.startswith("depeg_12")}

    assert depegs == {"depeg_12 usdc", "depeg_12 dai", "depeg_12 usdx"}


def test_volatile_fall_costs_thirty_percent_of_ether() -> None:
    assert losses()["volatile_fall"] == pytest.approx(0.3 * 70_000 / NAV)


def test_blocked_week_costs_the_best_other_rate_and_the_haircut() -> None:
    best = max(rate.supply_apr for rate in make_snapshot().rates)

    assert losses()["utilization"] == pytest.approx((best * 7 / 365 + 0.01) * 170_000 / NAV)
    assert losses(days=90)["utilization"] == pytest.approx((best * 90 / 365 + 0.01) * 170_000 / NAV)


def test_negative_rates_are_nothing_to_forego() -> None:
    found = losses(rates=(make_rate("aave-usdx", apr=-0.01), make_rate("aave-weth", apr=-0.02)))

    assert found["utilization"] == pytest.approx(0.01 * 170_000 / NAV)


def test_bad_debt_costs_five_percent_of_what_is_lent() -> None:
    assert losses()["bad_debt"] == pytest.approx(0.05 * 170_000 / NAV)


def test_pool_that_does_not_lend_has_no_bad_debt() -> None:
    rates = (make_rate("vault-limited-dai").model_copy(update={"borrowed": None}),)

    assert losses(positions={"vault-limited-dai": 10**23}, rates=rates)["bad_debt"] == 0.0


def test_unread_position_counts_as_lending() -> None:
    assert losses(rates=())["bad_debt"] == pytest.approx(0.05 * 170_000 / NAV)


def test_exploit_takes_the_protocol_and_everything_that_rests_on_it() -> None:
    found = losses(positions={"aave-usdx": 10**23, "vault-limited-dai": 10**23}, catalog=resting_on_aave())

    assert found["exploit aave-v3"] == pytest.approx(200_000 / 1_000_000)
    assert found["exploit limited-vault"] == pytest.approx(100_000 / 1_000_000)


def test_protocol_that_is_not_held_can_still_take_what_rests_on_it() -> None:
    found = losses(positions={"vault-limited-dai": 10**23}, catalog=resting_on_aave())

    assert found["exploit aave-v3"] == pytest.approx(100_000 / 900_000)
    assert {name for name in found if name.startswith("exploit")} == {"exploit aave-v3", "exploit limited-vault"}


def test_gas_shock_costs_twenty_times_the_exit() -> None:
    units = 60_000 + 2 * 130_000

    assert losses()["gas"] == pytest.approx(20 * units * 21e-9 * 3500 / NAV)


def test_leaving_a_vault_is_a_redemption() -> None:
    units = 60_000 + 140_000

    found = losses(positions={"vault-limited-dai": 10**23})

    assert found["gas"] == pytest.approx(20 * units * 21e-9 * 3500 / 900_000)


def test_lagging_oracle_hides_the_worst_day_of_the_history() -> None:
    history = make_history(days=3, prices={"weth": [4000.0, 3600.0, 3500.0], "dai": [1.0, None, None]})

    shares = {"stable": 900_000 / NAV, "weth": 70_000 / NAV}

    assert losses()["oracle_lag"] == pytest.approx(0.005 * shares["stable"] + 0.05 * shares["weth"])
    assert losses(history)["oracle_lag"] == pytest.approx(0.005 * shares["stable"] + 0.10 * shares["weth"])


def test_lost_reward_costs_a_month_of_yield() -> None:
    expected = (100_000 * 0.04 + 70_000 * 0.045) * 30 / 365 / NAV

    assert losses()["reward"] == pytest.approx(expected)


def test_negative_rates_are_no_reward_to_lose() -> None:
    found = losses(rates=(make_rate("aave-usdx", apr=-0.01),))

    assert found["reward"] == 0.0


BLOCKED = (0.055 * 7 / 365 + 0.01) * 170_000 / NAV  # the best sample rate pays 5.5 % a year
GAS = 20 * (60_000 + 2 * 130_000) * 21e-9 * 3500 / NAV


def test_run_on_a_stable_is_the_worst_depeg_with_blocked_pools_and_dear_gas() -> None:
    assert losses()[f"combined {RUN_ON_A_STABLE}"] == pytest.approx(0.12 * 700_000 / NAV + BLOCKED + GAS)


def test_crash_is_a_volatile_fall_with_a_lagging_oracle_bad_debt_and_dear_gas() -> None:
    fall, lag, debt = 0.30 * 70_000, 0.005 * 900_000 + 0.05 * 70_000, 0.05 * 170_000

    assert losses()[f"combined {CRASH}"] == pytest.approx((fall + lag + debt) / NAV + GAS)


def test_drained_and_frozen_is_the_worst_exploit_while_all_pools_are_blocked() -> None:
    positions = {"aave-usdx": 100_000 * 10**18, "vault-limited-dai": 150_000 * 10**18}
    nav = 1_050_000

    found = losses(positions=positions)[f"combined {DRAINED_AND_FROZEN}"]

    assert found == pytest.approx(150_000 / nav + (0.055 * 7 / 365 + 0.01) * 250_000 / nav)


def test_book_without_stable_tokens_or_positions_still_has_every_combination() -> None:
    portfolio = make_portfolio(cash={"weth": 10 * 10**18}, positions={})

    found = stress_losses(portfolio, make_snapshot(), make_catalog(), utilization_days=7)

    combined = {hit.subject: hit.loss for hit in found if hit.family == "combined"}
    assert combined == pytest.approx({RUN_ON_A_STABLE: 0.0, CRASH: 0.30 + 0.05, DRAINED_AND_FROZEN: 0.0})


def test_no_disaster_takes_more_than_everything() -> None:
    portfolio = make_portfolio(cash={}, positions={"aave-usdx": 10**18})

    found = stress_losses(portfolio, make_snapshot(), make_catalog(), utilization_days=7)

    everything = {hit.scenario for hit in found if hit.loss == 1.0}
    assert everything == {"exploit aave-v3", "gas", *(f"combined {name}" for name in combinations_of(found))}


def combinations_of(found: tuple[StressLoss, ...]) -> set[str]:
    return {hit.subject for hit in found if hit.family is StressFamily.COMBINED}


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(TOKENS), amounts), st.dictionaries(st.sampled_from(STRATEGIES), amounts))
def test_every_scenario_that_applies_is_measured_once(cash: dict[str, int], positions: dict[str, int]) -> None:
    portfolio, catalog = make_portfolio(cash=cash, positions=positions), resting_on_aave()

    found = stress_losses(portfolio, make_snapshot(), catalog, utilization_days=7)

    measured = [(hit.family, hit.subject) for hit in found]
    assert len(measured) == len(set(measured))
    assert set(measured) == (scenario_set(portfolio, catalog) if is_worth_something(portfolio) else set())
    assert all(0.0 <= hit.loss <= 1.0 for hit in found)


def is_worth_something(portfolio: Portfolio) -> bool:
    return any(line.amount for line in (*portfolio.cash, *portfolio.positions))


def test_empty_portfolio_has_no_shares_to_lose() -> None:
    assert (
        stress_losses(make_portfolio(cash={}, positions={}), make_snapshot(), make_catalog(), utilization_days=7) == ()
    )


@pytest.mark.parametrize("missing", ["usdx", "weth"])
def test_missing_price_of_a_holding_or_of_gas_is_unknown(missing: str) -> None:
    prices = tuple(make_price(t, p) for t, p in {"usdc": "1", "dai": "1", "usdx": "1", "weth": "3500"}.items())
    known = tuple(price for price in prices if price.token != missing)
    portfolio = make_portfolio(positions={"aave-usdx": 10**23})

    with pytest.raises(StaleOrDisputed, match=missing):
        stress_losses(portfolio, make_snapshot(prices=known), make_catalog(), utilization_days=7)
