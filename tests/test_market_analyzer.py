"""The market analyzer on the sample market: what is known is explained, what is not says why."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest

from domain.errors import StaleOrDisputed
from domain.market import MarketHistory, MarketSnapshot
from tests.builders import NOW, make_catalog, make_price, make_rate, make_snapshot
from tests.builders_history import make_history
from tools.markets.market_analyzer import MarketState, analyze_markets
from tools.markets.market_signals import Access, Direction, PegState

DAYS = 120


def state_of(
    strategy: str, snapshot: MarketSnapshot | None = None, history: MarketHistory | None = None
) -> MarketState:
    states = analyze_markets(snapshot or make_snapshot(), history or make_history(days=DAYS), make_catalog())
    return next(state for state in states if state.strategy == strategy)


def snapshot_with(strategy: str, **changes: object) -> MarketSnapshot:
    rates = {rate.strategy: rate for rate in make_snapshot().rates}
    return make_snapshot(rates=tuple({**rates, strategy: rates[strategy].model_copy(update=changes)}.values()))


def prices_with(token: str, price: str) -> MarketSnapshot:
    known = tuple(entry for entry in make_snapshot().prices if entry.token != token)
    return make_snapshot(prices=(*known, make_price(token, price)))


def test_every_strategy_is_analyzed_in_catalog_order() -> None:
    states = analyze_markets(make_snapshot(), make_history(), make_catalog())

    assert [state.strategy for state in states] == [strategy.id for strategy in make_catalog().strategies]


def test_calm_market_has_four_reasons_and_nothing_against_it() -> None:
    state = state_of("aave-dai")

    assert [reason.split(" ")[0] for reason in state.reasons] == ["trend", "regime", "pool", "peg"]
    assert (state.warnings, state.unknown) == ((), ())


def test_token_without_a_peg_has_none_to_miss() -> None:
    state = state_of("aave-weth")

    assert state.peg is None
    assert state.unknown == ()


def test_rising_rate_is_a_trend() -> None:
    rising = [0.03 + 0.0005 * day for day in range(DAYS)]
    snapshot = snapshot_with("aave-dai", supply_apr=rising[-1])

    trend = state_of("aave-dai", snapshot, make_history(days=DAYS, aprs={"aave-dai": rising})).trend

    assert trend is not None
    assert (trend.direction, trend.slope_per_day) == (Direction.RISING, pytest.approx(0.0005))


def test_snapshot_replaces_the_day_that_the_history_has_begun() -> None:
    flat = [0.04 + 1e-4 * (day % 2) + 1e-7 * day for day in range(DAYS)]
    history = make_history(days=DAYS, aprs={"aave-dai": flat})

    state = state_of("aave-dai", snapshot_with("aave-dai", supply_apr=0.5), history)

    assert [(anomaly.kind.value, anomaly.first) for anomaly in state.anomalies] == [("spike", DAYS - 1)]


def test_drained_pool_is_closed_and_warned_of() -> None:
    supplied = 10**24
    snapshot = snapshot_with("aave-usdx", supplied=supplied, borrowed=supplied * 995 // 1000, withdrawable=0)

    state = state_of("aave-usdx", snapshot)

    assert state.pressure is not None
    assert state.pressure.access is Access.CLOSED
    assert "pool is closed: 99.5% lent out" in state.warnings


def test_pool_that_fills_up_says_for_how_long_and_until_when() -> None:
    used = [0.5] * (DAYS - 3) + [0.82, 0.86, 0.0]
    snapshot = snapshot_with("aave-dai", supplied=10**24, borrowed=9 * 10**23)

    state = state_of("aave-dai", snapshot, make_history(days=DAYS, utilizations={"aave-dai": used}))

    assert state.pressure is not None
    assert (state.pressure.access, state.pressure.days_above) == (Access.TIGHT, 3)
    assert state.pressure.days_to_full == pytest.approx(0.10 / 0.072)  # the median of the week's 21 pairs
    assert any("for 3 days, full in 1.4 days at this week's pace" in reason for reason in state.reasons)


def test_pool_without_a_curve_is_judged_by_the_usual_kink() -> None:
    found = state_of("aave-dai", snapshot_with("aave-dai", curve=None)).pressure

    assert found is not None
    assert found.kink == 0.90


def test_vault_that_does_not_lend_has_no_pressure_and_says_so() -> None:
    state = state_of("vault-limited-dai", snapshot_with("vault-limited-dai", borrowed=None))

    assert state.pressure is None
    assert state.unknown == ("pressure: it does not say what it lends out",)


def test_lost_peg_is_warned_of() -> None:
    state = state_of("aave-usdx", prices_with("usdx", "0.97"))

    assert state.peg is not None
    assert state.peg.state is PegState.BROKEN
    assert "usdx is -3.00% off its peg" in state.warnings


def test_paused_strategy_is_warned_of() -> None:
    assert "aave-dai is paused" in state_of("aave-dai", snapshot_with("aave-dai", is_paused=True)).warnings


def test_turbulent_rate_is_warned_of() -> None:
    aprs = [0.04 + (0.0001 if day < DAYS - 2 else 0.01) * (-1) ** day + 1e-6 * day for day in range(DAYS)]
    history = make_history(days=DAYS, aprs={"aave-dai": aprs})

    state = state_of("aave-dai", snapshot_with("aave-dai", supply_apr=aprs[-1]), history)

    assert "rate moves more than in 100% of its past" in state.warnings


@pytest.mark.parametrize(("strategy", "kinds"), [("aave-dai", {"implausible"}), ("vault-limited-dai", {"spike"})])
def test_negative_rate_cannot_be_in_a_pool_and_is_a_loss_in_a_vault(strategy: str, kinds: set[str]) -> None:
    state = state_of(strategy, snapshot_with(strategy, supply_apr=-18.0))

    assert {anomaly.kind.value for anomaly in state.anomalies} == kinds


@pytest.mark.parametrize(("day", "count"), [(40, 0), (DAYS - 31, 0), (DAYS - 30, 1)])
def test_anomaly_of_more_than_thirty_days_ago_is_history(day: int, count: int) -> None:
    aprs = [0.04 + 0.001 * float(np.sin(day)) for day in range(DAYS)]
    aprs[day] = 0.5

    state = state_of("aave-dai", history=make_history(days=DAYS, aprs={"aave-dai": aprs}))

    assert len(state.anomalies) == count


def test_nothing_read_is_nothing_known() -> None:
    empty = MarketHistory(days=(), supply_apr=(), share_price=(), price_usd=())

    state = state_of("aave-dai", make_snapshot(rates=(), prices=()), empty)

    assert (state.trend, state.regime, state.pressure, state.peg, state.reasons) == (None, None, None, None, ())
    assert [reason.split(":")[0] for reason in state.unknown] == ["rate", "trend", "regime", "peg"]


def test_one_day_is_too_little_for_a_trend_or_a_regime() -> None:
    state = state_of("aave-dai", history=make_history(days=1))

    assert (state.trend, state.regime) == (None, None)
    assert state.pressure is not None


@pytest.mark.parametrize("order", [[0, 2, 1], [0, 1, 1]], ids=["unsorted", "duplicated"])
def test_days_that_do_not_rise_are_refused_with_their_row(order: list[int]) -> None:
    days = tuple(NOW - timedelta(days=3 - day) for day in order)
    history = MarketHistory.model_construct(days=days, supply_apr=(), share_price=(), price_usd=())

    with pytest.raises(StaleOrDisputed, match="column days, row 2: must be later than row 1"):
        analyze_markets(make_snapshot(), history, make_catalog())


def test_recorded_price_of_zero_is_refused() -> None:
    history = make_history(days=3, prices={"dai": [1.0, 0.0, 1.0]})

    with pytest.raises(StaleOrDisputed, match="column dai, row 1: must be finite and within"):
        analyze_markets(make_snapshot(), history, make_catalog())


def test_reading_twice_is_no_reading() -> None:
    twice = make_snapshot(rates=(make_rate("aave-dai"), make_rate("aave-dai", apr=0.05)))

    assert "rate: not read in this snapshot" in state_of("aave-dai", twice).unknown
    assert Decimal(1) == twice.price_usd("dai")
