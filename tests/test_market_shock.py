"""One shock on the sample market: prices, fees, pools and deposits move by exactly what it says, and nothing else."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import StaleOrDisputed
from domain.risk_facts import RiskFacts, TokenRole
from tests.builders import make_catalog, make_portfolio, make_rate, make_snapshot
from tests.builders_shocks import make_facts
from tools.shocks.market_shock import MarketShock, loss_rate, shocked_portfolio, shocked_snapshot
from tools.stress import line_of

CATALOG, SNAPSHOT = make_catalog(), make_snapshot()
DEPEG = MarketShock(falls={TokenRole.RESERVE_BACKED: 0.12}, gas_factor=3.0)


def price_after(shock: MarketShock, token: str, facts: RiskFacts | None = None) -> Decimal | None:
    return shocked_snapshot(SNAPSHOT, CATALOG, facts or make_facts(), shock).price_usd(token)


def rate_of(strategy: str, shock: MarketShock) -> float:
    return loss_rate(line_of(CATALOG.strategy(strategy).token, strategy, SNAPSHOT, CATALOG), shock, make_facts())


def test_token_of_the_role_falls_and_the_others_stay() -> None:
    assert price_after(DEPEG, "usdc") == Decimal("0.88")
    assert price_after(DEPEG, "dai") == Decimal(1)


def test_every_source_of_a_price_falls_alike() -> None:
    after = shocked_snapshot(SNAPSHOT, CATALOG, make_facts(), DEPEG)

    assert {price.price_usd for price in after.prices_of("usdc")} == {Decimal("0.88")}


def test_token_without_a_role_falls_like_the_worst_of_its_kind() -> None:
    shock = MarketShock(falls={TokenRole.CRYPTO_BACKED: 0.02, TokenRole.RESERVE_BACKED: 0.10, TokenRole.ETHER: 0.40})

    assert price_after(shock, "usdx", RiskFacts()) == Decimal("0.90")
    assert price_after(shock, "wbtc", RiskFacts()) == Decimal("36000.0")


def test_token_that_loses_everything_still_has_a_price() -> None:
    price = price_after(MarketShock(falls={TokenRole.ETHER: 1.0}), "weth")

    assert price is not None
    assert 0 < price < Decimal("1e-20")


def test_fees_rise_by_the_factor_and_round_against_us() -> None:
    after = shocked_snapshot(
        make_snapshot(base_fee_wei=3), CATALOG, make_facts(), MarketShock(falls={}, gas_factor=1.5)
    )

    assert after.base_fee_wei == 5


def test_blocked_pools_are_lent_out_and_others_are_not() -> None:
    shock = MarketShock(falls={}, blocked=frozenset({TokenRole.ALGORITHMIC}))

    after = shocked_snapshot(SNAPSHOT, CATALOG, make_facts(), shock)

    drained, other = after.rate("aave-usdx"), after.rate("aave-usdc")
    assert drained is not None
    assert (drained.utilization, drained.withdrawable) == (1.0, 0)
    assert other == SNAPSHOT.rate("aave-usdc")


def test_pool_of_a_token_without_a_role_is_blocked_with_any_of_its_kind() -> None:
    shock = MarketShock(falls={}, blocked=frozenset({TokenRole.ALGORITHMIC}))

    assert shock.blocks("dai", RiskFacts(), is_stable=True)
    assert not shock.blocks("weth", RiskFacts(), is_stable=False)


def test_vault_that_does_not_lend_is_not_blocked() -> None:
    vault = make_rate("vault-limited-dai").model_copy(update={"borrowed": None})
    shock = MarketShock(falls={}, blocked=frozenset({TokenRole.CRYPTO_BACKED}))

    after = shocked_snapshot(make_snapshot(rates=(vault,)), CATALOG, make_facts(), shock)

    assert after.rate("vault-limited-dai") == vault


def test_deposit_loses_what_its_protocol_lost_at_what_its_token_is_worth() -> None:
    shock = MarketShock(falls={TokenRole.CRYPTO_BACKED: 0.5}, lost_in={"limited-vault": 0.2})

    assert rate_of("vault-limited-dai", shock) == pytest.approx(1 - 0.5 * 0.8)
    assert rate_of("aave-dai", shock) == pytest.approx(0.5)


def test_deposit_loses_with_a_protocol_that_it_names_as_a_factor() -> None:
    assert rate_of("vault-limited-dai", MarketShock(falls={}, lost_in={"vault-owner": 0.3})) == pytest.approx(0.3)


def test_positions_shrink_by_what_their_protocol_lost_rounded_down() -> None:
    portfolio = make_portfolio(positions={"aave-usdx": 3, "vault-limited-dai": 3})

    after = shocked_portfolio(portfolio, CATALOG, MarketShock(falls={}, lost_in={"aave-v3": 0.5}))

    assert [position.amount for position in after.positions] == [1, 3]
    assert after.cash == portfolio.cash


@given(st.floats(0, 1), st.floats(0, 50), st.floats(0, 50))
def test_a_larger_size_never_falls_less(fall: float, first: float, second: float) -> None:
    shock = MarketShock(falls={TokenRole.ETHER: fall}, gas_factor=4.0)
    small, large = shock.scaled(min(first, second)), shock.scaled(max(first, second))

    assert small.falls[TokenRole.ETHER] <= large.falls[TokenRole.ETHER] <= 1.0
    assert small.gas_factor <= large.gas_factor


def test_half_the_size_is_half_the_fall_and_half_the_way_to_the_fee() -> None:
    half = MarketShock(falls={TokenRole.ETHER: 0.4}, gas_factor=4.0, lost_in={"aave-v3": 0.1}).scaled(0.5)

    assert half == MarketShock(falls={TokenRole.ETHER: 0.2}, gas_factor=2.5, lost_in={"aave-v3": 0.05})


def test_size_zero_is_today() -> None:
    shock = MarketShock(
        falls={TokenRole.ETHER: 0.4}, gas_factor=7.0, blocked=frozenset({TokenRole.ETHER}), lost_in={"aave-v3": 0.1}
    ).scaled(0.0)

    assert shocked_snapshot(SNAPSHOT, CATALOG, make_facts(), shock) == SNAPSHOT
    assert shocked_portfolio(make_portfolio(), CATALOG, shock) == make_portfolio()


@pytest.mark.parametrize("share", [-0.1, 1.1, math.nan, math.inf])
def test_fall_that_is_no_share_is_refused_by_name(share: float) -> None:
    with pytest.raises(StaleOrDisputed, match="ether must be a share of 0 to 1"):
        MarketShock(falls={TokenRole.ETHER: share})
    with pytest.raises(StaleOrDisputed, match="aave-v3 must be a share"):
        MarketShock(falls={}, lost_in={"aave-v3": share})


@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf])
def test_gas_factor_and_size_that_are_no_amounts_are_refused(value: float) -> None:
    with pytest.raises(StaleOrDisputed, match="gas factor"):
        MarketShock(falls={}, gas_factor=value)
    with pytest.raises(StaleOrDisputed, match="size of a shock"):
        DEPEG.scaled(value)
