"""Rate forecasts: robust to spikes, gaps and staleness, wide when little is known, blind to the future."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvariantBroken, StaleOrDisputed
from domain.market import DailySeries, Forecast, MarketHistory
from tests.builders_history import make_history
from tools.forecasting.forecast import average_levels, cut_spikes, forecast_aprs

Values = list[float | None]


def forecast(values: Values, *, horizon_days: int = 7) -> Forecast:
    history = make_history(days=len(values))
    changed = MarketHistory(
        days=history.days,
        supply_apr=(DailySeries(subject="aave-dai", values=tuple(values)),),
        share_price=(),
        price_usd=(),
    )
    return forecast_aprs(changed, horizon_days=horizon_days)[0]


def noisy(days: int = 120, *, level: float = 0.04, noise: float = 0.005, seed: int = 1) -> Values:
    return [float(level + noise * x) for x in np.random.default_rng(seed).standard_normal(days)]


def test_average_halves_the_weight_of_the_past_every_three_days() -> None:
    values = np.array([0.04, 0.04, 0.04, 0.04, 0.041, 0.041, 0.041])

    levels = average_levels(values)

    assert levels[3] == pytest.approx(0.04)
    assert levels[6] == pytest.approx((0.04 + 0.041) / 2)


def test_constant_rate_is_forecast_with_a_narrow_but_not_empty_interval() -> None:
    found = forecast([0.04] * 60)

    assert found.expected_apr == pytest.approx(0.04)
    assert found.lower_apr == pytest.approx(0.038)
    assert found.upper_apr == pytest.approx(0.042)
    assert found.sample_days == 60


def test_one_day_spike_hardly_moves_the_forecast_or_its_lower_bound() -> None:
    calm = noisy()
    spiked = [*calm[:-1], 5.0]

    assert forecast(spiked).expected_apr < forecast(calm).expected_apr + 0.02


def test_level_that_stays_is_followed_within_a_week_or_two() -> None:
    found = forecast([0.04] * 60 + [0.10] * 14)

    assert found.expected_apr == pytest.approx(0.10, rel=0.1)


def test_interval_holds_the_next_mean_about_as_often_as_it_says() -> None:
    values = noisy(400)
    hits = 0
    days = range(100, 393, 7)
    for day in days:
        found = forecast(values[: day + 1])
        realized = float(np.mean([x for x in values[day + 1 : day + 8] if x is not None]))
        hits += found.lower_apr <= realized <= found.upper_apr

    assert 0.7 <= hits / len(days) <= 1.0


def test_young_strategy_gets_its_last_rate_with_a_lower_bound_of_nothing() -> None:
    found = forecast([None] * 50 + [0.2] * 9)

    assert (found.expected_apr, found.model, found.sample_days) == (0.2, "persistence", 9)
    assert found.lower_apr <= 0
    assert found.upper_apr > 0.2


def test_stale_series_promises_nothing() -> None:
    found = forecast([*noisy(60), *[None] * 4])

    assert found.lower_apr <= 0
    assert found.model == "persistence"


def test_three_quiet_days_are_not_yet_stale() -> None:
    assert forecast([*noisy(60), *[None] * 3]).model == "ewma-3d"


@pytest.mark.parametrize("rate", [np.inf, -np.inf])
def test_average_of_an_infinite_rate_is_refused(rate: float) -> None:
    with pytest.raises(StaleOrDisputed, match="column aprs, row 1: must be finite"):
        average_levels(np.array([0.05, rate, 0.05, 0.05]))


@pytest.mark.parametrize("horizon_days", [0, -7])
def test_horizon_without_a_day_is_refused(horizon_days: int) -> None:
    with pytest.raises(InvariantBroken, match=f"at least one day ahead, got horizon_days {horizon_days}"):
        forecast([0.04] * 60, horizon_days=horizon_days)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 2.0, np.nan])
def test_confidence_outside_of_its_range_is_refused(confidence: float) -> None:
    with pytest.raises(InvariantBroken, match="between 0 and 1"):
        forecast_aprs(make_history(days=20), horizon_days=7, confidence=confidence)


def test_last_rate_speaks_where_it_erred_less_than_the_average() -> None:
    steps = 0.04 + np.cumsum(np.full(90, 0.0005))

    found = forecast([float(rate) for rate in steps])

    assert (found.model, found.expected_apr) == ("persistence", steps[-1])
    assert found.lower_apr > 0


def test_tie_and_too_short_a_past_leave_the_word_to_the_last_rate() -> None:
    assert forecast([0.04] * 60).model == "persistence"
    assert forecast(noisy(15)).model == "persistence"


def test_gap_keeps_the_level_and_the_next_reading_counts_more() -> None:
    steady = average_levels(np.array([0.04, 0.04, 0.04, 0.0404]))
    gapped = average_levels(np.array([0.04, np.nan, np.nan, 0.0404]))

    assert gapped[2] == pytest.approx(0.04)
    assert steady[3] < gapped[3] == pytest.approx(0.0402)


def test_strategy_without_any_reading_has_no_forecast() -> None:
    history = make_history(days=20, aprs={"aave-dai": [None] * 20})

    strategies = {found.strategy for found in forecast_aprs(history, horizon_days=7)}

    assert "aave-dai" not in strategies
    assert "aave-usdc" in strategies


def test_negative_rate_is_a_lower_bound_of_itself() -> None:
    assert forecast([-0.02] * 5).lower_apr == -0.02


def test_single_day_has_no_past_error_and_a_naive_interval() -> None:
    found = forecast([*[None] * 20, *[0.04] * 10], horizon_days=30)

    assert found.lower_apr <= found.expected_apr <= found.upper_apr


def test_few_errors_widen_the_interval() -> None:
    long, short = forecast(noisy(120, noise=0.01)), forecast(noisy(120, noise=0.01)[-15:])

    assert (short.upper_apr - short.lower_apr) > 0.5 * (long.upper_apr - long.lower_apr)


@given(st.integers(5, 58), st.integers(0, 2**16))
def test_future_readings_do_not_change_past_forecasts(day: int, seed: int) -> None:
    values = np.array(noisy(60), dtype=np.float64)
    perturbed = values.copy()
    perturbed[day + 1 :] = np.random.default_rng(seed).uniform(-1, 10, 59 - day)

    assert average_levels(values)[: day + 1] == pytest.approx(average_levels(perturbed)[: day + 1])
    assert cut_spikes(values)[: day + 1] == pytest.approx(cut_spikes(perturbed)[: day + 1])


@given(st.lists(st.one_of(st.none(), st.floats(-0.5, 100)), min_size=1, max_size=60))
def test_interval_always_holds_its_own_expectation(values: Values) -> None:
    history = MarketHistory(
        days=make_history(days=len(values)).days,
        supply_apr=(DailySeries(subject="aave-dai", values=tuple(values)),),
        share_price=(),
        price_usd=(),
    )

    for found in forecast_aprs(history, horizon_days=7):
        assert found.lower_apr <= found.expected_apr <= found.upper_apr
