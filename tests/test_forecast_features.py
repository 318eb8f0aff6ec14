"""Every row of features is made of its own window: right by hand, deaf to the future, the same live as in training."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders_forecast import make_panel, reverting_rates, with_rates
from tests.market_data import LENDING, need_table, read_rates
from tools.forecasting.forecast_features import SOFTENING, log_rate, rolling_deviation, samples_of, trailing_median
from tools.forecasting.forecast_panel import RatePanel, panel_of

PANEL = make_panel(120, 3)


def single(values: list[float]) -> RatePanel:
    return with_rates(make_panel(len(values), 1), np.array(values, dtype=np.float64)[:, None])


def test_row_knows_its_last_rate_and_the_means_of_its_past() -> None:
    samples = samples_of(single([0.01, 0.02, 0.03, 0.06]))

    assert samples.last[-1] == pytest.approx(0.06)
    assert samples.weekly[-1] == pytest.approx(0.03)
    assert samples.features[-1, 0] == pytest.approx(np.log(0.06 + SOFTENING))
    assert samples.features[-1, 1] == pytest.approx(np.log(0.11 / 3 + SOFTENING) - np.log(0.06 + SOFTENING))


def test_average_is_the_exponential_one_of_span_three() -> None:
    values = [0.01, 0.05, 0.02, 0.08, 0.03]

    expected = pd.Series(values).ewm(span=3).mean().iloc[-1]

    assert samples_of(single(values)).average[-1] == pytest.approx(expected)


def test_spread_is_the_deviation_of_log_rates() -> None:
    values = reverting_rates(40, 1)[:, 0]

    expected = pd.Series(log_rate(values)).rolling(30, min_periods=3).std().to_numpy()

    assert samples_of(single(list(values))).spread == pytest.approx(expected, nan_ok=True)


def test_medians_ignore_what_is_unknown() -> None:
    panel = single([0.01, 0.05, np.nan, 0.02, 0.08])

    found = trailing_median(panel["supply_apr"], samples_of(panel), days=4)

    assert found == pytest.approx([0.01, 0.03, 0.03, 0.02, 0.05])


def test_two_readings_have_no_deviation() -> None:
    assert np.isnan(rolling_deviation(np.array([[0.1], [0.2]]), 30)).all()
    assert rolling_deviation(np.array([[0.1], [0.2], [0.3]]), 30)[-1, 0] == pytest.approx(0.1)


def test_negative_rates_count_as_zero() -> None:
    assert samples_of(single([0.01, -0.5])).last[-1] == 0.0


def test_constant_rate_gives_finite_features_and_no_spread() -> None:
    samples = samples_of(single([0.04] * 40))

    assert not np.isinf(samples.features).any()
    assert samples.spread[-1] == pytest.approx(0.0, abs=1e-12)


def test_empty_day_has_no_rows() -> None:
    assert len(samples_of(single([0.04, np.nan, np.nan, np.nan, np.nan]), only_last_day=True)) == 0


def test_the_last_day_alone_has_the_rows_it_has_among_all_days() -> None:
    today, every = samples_of(PANEL, only_last_day=True), samples_of(PANEL)

    rows = every.at(every.day == PANEL.days.size - 1)

    assert np.array_equal(today.features, rows.features, equal_nan=True)
    assert np.array_equal(today.spread, rows.spread)


@settings(max_examples=15)
@given(day=st.integers(1, 118), seed=st.integers(0, 2**16))
def test_no_future_reading_changes_a_past_row(day: int, seed: int) -> None:
    noise = np.random.default_rng(seed).uniform(0, 10, PANEL["supply_apr"].shape)
    future = (np.arange(PANEL.days.size) > day)[:, None]
    readings = {name: np.where(future, noise, PANEL[name]) for name in ("supply_apr", "utilization", "tvl_usd")}
    changed = RatePanel(PANEL.days, PANEL.markets, PANEL.groups, {**PANEL.readings, **readings})

    before, after = samples_of(PANEL), samples_of(changed)

    past = before.day <= day
    assert np.array_equal(before.features[past], after.features[after.day <= day], equal_nan=True)


def test_real_readings_with_all_their_defects_give_no_infinite_feature() -> None:
    rates = read_rates(need_table(LENDING).parent.parent)
    panel = panel_of(rates[pd.to_datetime(rates["date"]) >= "2023-09-01"])

    samples = samples_of(panel)

    assert len(samples) > 10_000
    assert not np.isinf(samples.features).any()
    assert np.isfinite(samples.last).all()
