"""Each disaster's loss by hand on the sample treasury: 700k USDC, 100k DAI, 100k USDX and 20 WETH in Aave."""

from __future__ import annotations

import pytest

from domain.errors import StaleOrDisputed
from domain.market import MarketHistory
from tests.builders import make_catalog, make_portfolio, make_price, make_rate, make_snapshot
from tests.builders_history import make_history
from tools.stress import stress_losses

NAV = 970_000.0


def losses(
    history: MarketHistory | None = None, positions: dict[str, int] | None = None, **changes: object
) -> dict[str, float]:
    catalog = make_catalog()
    snapshot = make_snapshot(**changes)
    found = stress_losses(make_portfolio(positions=positions), snapshot, catalog, utilization_days=7, history=history)
    return {loss.scenario: loss.loss for loss in found}


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


def test_bad_debt_costs_five_percent_of_what_is_lent() -> None:
    assert losses()["bad_debt"] == pytest.approx(0.05 * 170_000 / NAV)


def test_pool_that_does_not_lend_has_no_bad_debt() -> None:
    rates = (make_rate("vault-limited-dai").model_copy(update={"borrowed": None}),)

    assert losses(positions={"vault-limited-dai": 10**23}, rates=rates)["bad_debt"] == 0.0


def test_unread_position_counts_as_lending() -> None:
    assert losses(rates=())["bad_debt"] == pytest.approx(0.05 * 170_000 / NAV)


def test_exploit_takes_the_protocol_and_everything_that_rests_on_it() -> None:
    catalog = make_catalog()
    vault = next(s for s in catalog.strategies if s.id == "vault-limited-dai")
    resting = vault.model_copy(update={"factors": ("aave-v3",)})
    changed = catalog.model_copy(update={"strategies": (*catalog.strategies[:-1], resting)})
    portfolio = make_portfolio(positions={"aave-usdx": 10**23, "vault-limited-dai": 10**23})

    found = {
        loss.scenario: loss.loss for loss in stress_losses(portfolio, make_snapshot(), changed, utilization_days=7)
    }

    assert found["exploit aave-v3"] == pytest.approx(200_000 / 1_000_000)
    assert found["exploit limited-vault"] == pytest.approx(100_000 / 1_000_000)


def test_gas_shock_costs_twenty_times_the_exit() -> None:
    units = 60_000 + 2 * 130_000

    assert losses()["gas"] == pytest.approx(20 * units * 21e-9 * 3500 / NAV)


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
