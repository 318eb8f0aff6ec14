"""Readings over canned contract answers: exact prices and rates, holdings rounded down, nothing made up."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from collectors.aave_reserves import RAY
from collectors.answers import Question
from collectors.quality import sift
from collectors.reader import ChainMarketReader
from collectors.vaults import probe_shares, redemption_question
from domain import abi
from domain.errors import StaleOrDisputed, UnknownSubject
from domain.market import StrategyKind
from tests.builders import (
    ACCOUNT,
    CONTRACTS,
    NOW,
    address,
    make_catalog,
    make_price,
    make_rate,
    make_snapshot,
)
from tests.fakes_chain import FakeReads, FixedClock

CATALOG = make_catalog()
VAULT = CATALOG.strategy("vault-limited-dai")
RATE_STRATEGY = address(0x901)
PRICES = {"usdc": 1, "dai": 1, "usdx": 1, "weth": 3500, "wbtc": 60_000}
Q96 = 2**96


def feed(token_id: str) -> Question:
    return Question(CATALOG.token(token_id).feed, abi.LATEST_ROUND_DATA)


def pool(venue_id: str) -> Question:
    venue = next(venue for venue in CATALOG.venues if venue.id == venue_id)
    return Question(venue.pool, abi.SLOT_0)


def reserve_question(function: abi.AbiFunction, token_id: str = "usdc") -> Question:
    return Question(CONTRACTS.aave_data_provider, function, (CATALOG.token(token_id).address,))


def vault_question(function: abi.AbiFunction) -> Question:
    return Question(VAULT.contract, function)


def balance(contract: str, holder: str = ACCOUNT) -> Question:
    return Question(contract, abi.BALANCE_OF, (holder,))


def set_round(reads: FakeReads, token_id: str, answer: int, *, round_id=9, answered=9, age_seconds=60) -> None:
    reads.set(feed(token_id), round_id, answer, 0, int(NOW.timestamp()) - age_seconds, answered)


def set_pool(reads: FakeReads, venue_id: str, sqrt_price: int) -> None:
    reads.set(pool(venue_id), sqrt_price, 0, 0, 0, 0, 0, True)


def set_reserve(reads: FakeReads, token_id: str, *, is_paused=False, is_frozen=False) -> None:
    unit = 10 ** CATALOG.token(token_id).decimals
    amounts = (0, 0, 1000 * unit, 100 * unit, 600 * unit, RAY * 3 // 100, 0, 0, 0, RAY, RAY, 0)
    reads.set(reserve_question(abi.AAVE_RESERVE_DATA, token_id), *amounts)
    configuration = (18, 8000, 8500, 10500, 1000, True, True, False, True, is_frozen)
    reads.set(reserve_question(abi.AAVE_RESERVE_CONFIGURATION, token_id), *configuration)
    reads.set(reserve_question(abi.AAVE_PAUSED, token_id), is_paused)
    reads.set(reserve_question(abi.AAVE_RATE_STRATEGY, token_id), RATE_STRATEGY)
    strategy = CATALOG.strategy(f"aave-{token_id}")
    reads.set(balance(CATALOG.token(token_id).address, strategy.receipt), 300 * unit)


def make_reads() -> FakeReads:
    """A calm market at the builders' prices; the account holds 7 USDC, 5 aUSDX and 3 vault shares."""
    reads = FakeReads()
    for token in CATALOG.tokens:
        reads.set(Question(token.address, abi.DECIMALS), token.decimals)
        reads.set(Question(token.feed, abi.DECIMALS), 8)
        set_round(reads, token.id, PRICES[token.id] * 10**8)
        set_reserve(reads, token.id)
        reads.set(balance(token.address), 7 * 10**6 if token.id == "usdc" else 0)
    for strategy in CATALOG.strategies:
        reads.set(balance(strategy.receipt), 0)
    reads.set(balance(CATALOG.strategy("aave-usdx").receipt), 5 * 10**18)
    reads.set(balance(VAULT.receipt), 3 * 10**18)
    # usdc has 6 decimals and the others 18: one dollar is 10^12 base units of them per base unit of usdc
    set_pool(reads, "usdc-dai-100", 10**6 * Q96)
    set_pool(reads, "usdc-usdx-100", 10**6 * Q96)
    set_pool(reads, "usdc-weth-500", Q96 * 10**6 // 50)  # 2,500 USDC per WETH: (10^6 / 50)^2 = 10^12 / 2,500
    curve = {abi.AAVE_BASE_RATE: 0, abi.AAVE_SLOPE_1: 4, abi.AAVE_SLOPE_2: 75, abi.AAVE_OPTIMAL_USAGE: 80}
    for function, percent in curve.items():
        reads.set(Question(RATE_STRATEGY, function), RAY * percent // 100)
    set_vault(reads)
    return reads


def set_vault(reads: FakeReads, *, price: str = "1.5", price_later: str = "1.5") -> None:
    token = CATALOG.token(VAULT.token)
    reads.set(vault_question(abi.VAULT_TOTAL_ASSETS), 900 * 10**18)
    reads.set(balance(token.address, VAULT.contract), 400 * 10**18)
    reads.set(redemption_question(VAULT), int(Decimal(price) * probe_shares(VAULT)))
    reads.set_later(redemption_question(VAULT), int(Decimal(price_later) * probe_shares(VAULT)))


def reader(reads: FakeReads, **options) -> ChainMarketReader:
    return ChainMarketReader(reads, CATALOG, FixedClock(), **options)


def prices_of(reads: FakeReads) -> dict[tuple[str, str], Decimal]:
    return {(price.token, price.source): price.price_usd for price in reader(reads).snapshot().prices}


def vault_apr(reads: FakeReads, **options) -> float:
    return reader(reads, **options).snapshot().rate(VAULT.id).supply_apr


def test_oracle_prices_are_exact_and_dated_by_the_feed():
    reads = make_reads()
    set_round(reads, "dai", 99_999_999, age_seconds=120)

    oracle, _ = reader(reads).snapshot().prices_of("dai")

    assert oracle.price_usd == Decimal("0.99999999")
    assert oracle.observed_at == NOW - timedelta(seconds=120)


def test_the_market_price_is_the_pool_times_the_other_tokens_oracle_price():
    reads = make_reads()
    set_round(reads, "usdc", 90_000_000)

    prices = prices_of(reads)

    assert prices["weth", "uniswap"] == Decimal(2250)  # 2,500 USDC of 0.90 USD
    assert prices["weth", "oracle"] == Decimal(3500)


def test_the_reserve_token_is_priced_against_the_first_other_stable_token():
    reads = make_reads()
    set_round(reads, "dai", 98_000_000)

    assert prices_of(reads)["usdc", "uniswap"] == Decimal("0.98")


@pytest.mark.parametrize(
    "broken",
    [{"answer": 0}, {"answer": -1}, {"answer": 10**8, "answered": 8}, {"answer": 10**8, "age_seconds": -1}],
)
def test_an_unfinished_negative_or_future_round_is_no_price(broken):
    reads = make_reads()
    set_round(reads, "weth", **broken)

    prices = prices_of(reads)

    assert ("weth", "oracle") not in prices
    assert ("weth", "uniswap") in prices


def test_a_round_of_this_very_block_is_a_price():
    reads = make_reads()
    set_round(reads, "weth", 10**8, age_seconds=0)

    assert ("weth", "oracle") in prices_of(reads)


def test_a_market_price_without_the_other_tokens_oracle_is_no_price():
    reads = make_reads()
    reads.break_(feed("usdc"))

    prices = prices_of(reads)

    assert {token for token, source in prices if source == "uniswap"} == {"usdc"}


def test_a_token_without_a_pool_has_only_its_oracle_price():
    assert {source for token, source in prices_of(make_reads()) if token == "wbtc"} == {"oracle"}


@pytest.mark.parametrize("observed", [5, 18])
def test_decimals_that_changed_stop_the_reading(observed):
    reads = make_reads()
    reads.set(Question(CATALOG.token("usdc").address, abi.DECIMALS), observed)

    with pytest.raises(StaleOrDisputed, match=f"token usdc has {observed} decimals on chain, expected 6"):
        reader(reads).snapshot()


def test_an_aave_reserve_shows_its_rate_debt_cash_and_curve():
    rate = reader(make_reads()).snapshot().rate("aave-usdc")

    assert rate.supply_apr == pytest.approx(0.03, abs=1e-15)
    assert (rate.supplied, rate.borrowed, rate.withdrawable) == (1000 * 10**6, 700 * 10**6, 300 * 10**6)
    assert rate.utilization == 0.7
    assert (rate.curve.slope_1, rate.curve.slope_2) == (0.04, 0.75)
    assert (rate.curve.base, rate.curve.optimal_utilization, rate.curve.reserve_factor) == (0.0, 0.8, 0.1)
    assert not rate.is_paused


def test_nothing_can_be_withdrawn_from_a_paused_reserve():
    reads = make_reads()
    set_reserve(reads, "usdc", is_paused=True)

    rate = reader(reads).snapshot().rate("aave-usdc")

    assert (rate.is_paused, rate.withdrawable) == (True, 0)


def test_a_frozen_reserve_can_still_be_left():
    reads = make_reads()
    set_reserve(reads, "usdc", is_frozen=True)

    rate = reader(reads).snapshot().rate("aave-usdc")

    assert (rate.is_paused, rate.withdrawable) == (True, 300 * 10**6)


def test_a_reserve_that_does_not_answer_is_left_out_and_the_rest_stays():
    reads = make_reads()
    reads.break_(reserve_question(abi.AAVE_RESERVE_DATA))

    strategies = [rate.strategy for rate in reader(reads).snapshot().rates]

    assert strategies == [strategy.id for strategy in CATALOG.strategies if strategy.id != "aave-usdc"]


def test_a_reserve_with_another_rate_model_has_no_curve():
    reads = make_reads()
    reads.break_(Question(RATE_STRATEGY, abi.AAVE_SLOPE_2))

    assert reader(reads).snapshot().rate("aave-usdc").curve is None


def test_a_vault_shows_what_a_share_redeems_for_and_its_own_cash():
    rate = reader(make_reads()).snapshot().rate(VAULT.id)

    assert rate.share_price == Decimal("1.5")
    assert (rate.supplied, rate.borrowed, rate.withdrawable) == (900 * 10**18, None, 400 * 10**18)


@pytest.mark.parametrize(("published", "withdrawable"), [(100 * 10**18, 100 * 10**18), (950 * 10**18, 900 * 10**18)])
def test_a_vaults_published_liquidity_counts_up_to_its_assets(published, withdrawable):
    reads = make_reads()
    reads.set(vault_question(abi.VAULT_AVAILABLE_LIQUIDITY), published)

    assert reader(reads).snapshot().rate(VAULT.id).withdrawable == withdrawable


def test_a_vaults_rate_is_the_growth_of_its_share_price_over_the_next_hour():
    reads = make_reads()
    set_vault(reads, price="1", price_later="1.00001")

    assert vault_apr(reads) == pytest.approx(0.0876)  # 0.00001 an hour, 8,760 hours a year


def test_a_vault_that_books_now_and_then_is_measured_over_a_day():
    reads = make_reads()
    before = make_rate(VAULT.id).model_copy(
        update={"share_price": Decimal("1.4997"), "observed_at": NOW - timedelta(days=1)}
    )

    assert vault_apr(reads, previous=lambda _: before) == pytest.approx(365 * 0.0003 / 1.4997)


def test_a_booking_less_than_a_day_old_is_no_rate():
    reads = make_reads()
    before = make_rate(VAULT.id).model_copy(
        update={"share_price": Decimal("1.4997"), "observed_at": NOW - timedelta(days=1) + timedelta(seconds=1)}
    )

    assert vault_apr(reads, previous=lambda _: before) == 0.0


def test_a_slashed_vault_loses_at_most_everything_a_year():
    reads = make_reads()
    before = make_rate(VAULT.id).model_copy(update={"share_price": Decimal(2), "observed_at": NOW - timedelta(days=1)})

    assert vault_apr(reads, previous=lambda _: before) == -1.0


def test_a_vault_whose_shares_redeem_for_nothing_is_left_out():
    reads = make_reads()
    set_vault(reads, price="0")

    assert reader(reads).snapshot().rate(VAULT.id) is None


def test_holdings_are_balances_and_what_vault_shares_redeem_for():
    portfolio = reader(make_reads()).portfolio()

    assert portfolio.cash_of("usdc") == 7 * 10**6
    assert portfolio.position_of("aave-usdx") == 5 * 10**18
    assert portfolio.position_of(VAULT.id) == 45 * 10**17
    assert (portfolio.native_wei, portfolio.block_number) == (10**18, 100)


def test_vault_shares_are_valued_rounded_down():
    reads = make_reads()
    set_vault(reads, price="0.999999999999999999")
    reads.set(balance(VAULT.receipt), 10)

    assert reader(reads).portfolio().position_of(VAULT.id) == 9


def test_a_held_vault_that_cannot_be_redeemed_is_not_worth_a_guess():
    reads = make_reads()
    reads.break_(redemption_question(VAULT))

    with pytest.raises(StaleOrDisputed, match=f"redemption value of strategy {VAULT.id}"):
        reader(reads).portfolio()


def test_a_broken_vault_that_we_do_not_hold_is_no_obstacle():
    reads = make_reads()
    reads.break_(redemption_question(VAULT))
    reads.set(balance(VAULT.receipt), 0)

    assert reader(reads).portfolio().position_of(VAULT.id) == 0


def test_an_unreadable_balance_is_not_zero():
    reads = make_reads()
    reads.break_(balance(CATALOG.token("dai").address))

    with pytest.raises(StaleOrDisputed, match="balance of token dai"):
        reader(reads).portfolio()


def test_every_strategy_appears_in_the_portfolio_even_when_empty():
    positions = [position.strategy for position in reader(make_reads()).portfolio().positions]

    assert positions == [strategy.id for strategy in CATALOG.strategies]
    assert {strategy.kind for strategy in CATALOG.strategies} == set(StrategyKind)


def quote_question(amount_in: int) -> Question:
    order = (CATALOG.token("usdc").address, CATALOG.token("dai").address, amount_in, 100, 0)
    return Question(CONTRACTS.quoter, abi.QUOTE_EXACT_INPUT_SINGLE, (order,))


def test_a_quote_is_what_the_quoter_pays():
    reads = make_reads()
    reads.set(quote_question(10**6), 999 * 10**15, 0, 0, 0)

    quote = reader(reads).quote(venue="usdc-dai-100", token_in="usdc", token_out="dai", amount_in=10**6)

    assert (quote.amount_out, quote.block_number) == (999 * 10**15, 100)


def test_a_swap_that_pays_nothing_has_no_quote():
    reads = make_reads()
    reads.set(quote_question(1), 0, 0, 0, 0)

    with pytest.raises(StaleOrDisputed, match="pays no dai for 1 base units of usdc"):
        reader(reads).quote(venue="usdc-dai-100", token_in="usdc", token_out="dai", amount_in=1)


@pytest.mark.parametrize(("venue", "token_out"), [("usdc-dai-1", "dai"), ("usdc-dai-100", "weth")])
def test_a_swap_outside_the_catalog_is_unknown(venue, token_out):
    with pytest.raises(UnknownSubject):
        reader(make_reads()).quote(venue=venue, token_in="usdc", token_out=token_out, amount_in=10**6)


def test_a_sound_snapshot_passes_unchanged():
    snapshot = make_snapshot(CATALOG)

    sifted = sift(snapshot)

    assert sifted == (snapshot, ())


@pytest.mark.parametrize(("price", "kept"), [("10000000", True), ("10000000.01", False), ("0.0000000001", False)])
def test_absurd_prices_are_rejected_with_their_reason(price, kept):
    sound = make_price("usdc", "1")
    snapshot = make_snapshot(CATALOG, prices=(sound, make_price("wbtc", price)))

    sifted = sift(snapshot)

    assert bool(sifted.snapshot.prices_of("wbtc")) is kept
    assert [rejection.subject for rejection in sifted.rejections] == ([] if kept else ["wbtc"])


@pytest.mark.parametrize(("apr", "kept"), [(10.0, True), (10.01, False), (-1.0, True), (-1.01, False)])
def test_absurd_rates_are_rejected_with_their_reason(apr, kept):
    snapshot = make_snapshot(CATALOG, rates=(make_rate("aave-usdc"), make_rate("aave-dai", apr=apr)))

    sifted = sift(snapshot)

    assert (sifted.snapshot.rate("aave-dai") is not None) is kept
    assert len(sifted.rejections) == (0 if kept else 1)


def test_readings_from_the_future_are_rejected():
    late = make_rate("aave-dai").model_copy(update={"observed_at": NOW + timedelta(seconds=1)})
    snapshot = make_snapshot(
        CATALOG,
        prices=(make_price("usdc", "1"), make_price("dai", "1", age_seconds=-1)),
        rates=(make_rate("aave-usdc"), late),
    )

    sifted = sift(snapshot)

    assert {rejection.subject for rejection in sifted.rejections} == {"dai", "aave-dai"}


def test_a_rate_of_another_block_is_rejected():
    stray = make_rate("aave-dai").model_copy(update={"block_number": 99})

    sifted = sift(make_snapshot(CATALOG, rates=(make_rate("aave-usdc"), stray)))

    assert [rate.strategy for rate in sifted.snapshot.rates] == ["aave-usdc"]


@pytest.mark.parametrize("empty", ["prices", "rates"])
def test_a_snapshot_without_usable_readings_is_none(empty):
    with pytest.raises(StaleOrDisputed, match="usable"):
        sift(make_snapshot(CATALOG, **{empty: ()}))


def test_a_block_far_ahead_of_our_clock_is_not_believed():
    sift(make_snapshot(CATALOG, block_time=NOW + timedelta(seconds=900)))

    with pytest.raises(StaleOrDisputed, match="901 s ahead of our clock"):
        sift(make_snapshot(CATALOG, block_time=NOW + timedelta(seconds=901)))
