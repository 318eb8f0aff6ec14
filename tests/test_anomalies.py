"""Anomalies: each defect of the data card is flagged on its day with its reason, and the future changes no flag."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from domain.errors import StaleOrDisputed
from tools.markets.anomalies import AnomalyKind, find_anomalies, flag_days

rates = arrays(
    np.float64,
    st.integers(1, 80),
    elements=st.sampled_from([0.0, 0.03, 0.031, 0.045, 0.4, 12.0, -0.01, np.nan]) | st.floats(0, 0.2),
)


def calm(days: int = 60) -> np.ndarray:
    return 0.04 + 0.002 * np.sin(np.arange(days) / 3) + 1e-6 * np.arange(days)


def found_in(values: np.ndarray) -> dict[AnomalyKind, tuple[int, int]]:
    return {anomaly.kind: (anomaly.first, anomaly.last) for anomaly in find_anomalies(values, column="apr")}


def test_calm_series_has_none() -> None:
    assert find_anomalies(calm(), column="apr") == ()
    assert find_anomalies(np.array([]), column="apr") == ()


def test_rate_of_355083_percent_is_implausible_and_poisons_nothing_after_it() -> None:
    values = calm()
    values[40] = 3550.83

    assert found_in(values) == {AnomalyKind.IMPLAUSIBLE: (40, 40)}


def test_sudden_rate_is_a_spike() -> None:
    values = calm()
    values[40] = 0.30

    anomaly, *others = find_anomalies(values, column="aave-usdx")

    assert (anomaly.kind, anomaly.first, others) == (AnomalyKind.SPIKE, 40, [])
    assert anomaly.reason == "aave-usdx: 0.3 is far from the 30 days before"


def test_small_move_of_a_quiet_series_is_no_spike() -> None:
    values = np.full(40, 0.04)
    values[20:] = 0.04 + 0.015 + 1e-5 * np.arange(20)

    assert AnomalyKind.SPIKE not in found_in(values)


def test_nine_known_days_are_too_few_to_call_a_spike() -> None:
    values = np.append(calm(9), 0.5)

    assert AnomalyKind.SPIKE not in found_in(values)
    assert found_in(np.append(calm(10), 0.5)) == {AnomalyKind.SPIKE: (10, 10)}


def test_rate_that_stands_still_is_flagged_from_the_fifth_day() -> None:
    values = calm()
    values[30:37] = 0.0411

    assert found_in(values) == {AnomalyKind.REPEATED: (34, 36)}
    assert "exactly 0.0411 for 7 days" in find_anomalies(values, column="apr")[0].reason


def test_days_without_a_reading_are_flagged_from_the_third() -> None:
    values = calm()
    values[30:36] = np.nan

    assert found_in(values) == {AnomalyKind.GAP: (32, 35)}
    assert find_anomalies(values, column="apr")[0].reason == "apr: no reading for 6 days"


def test_value_that_keeps_coming_back_was_filled_in() -> None:
    values = calm()
    values[[10, 20, 30, 40]] = 0.045

    assert found_in(values) == {AnomalyKind.PLACEHOLDER: (40, 40)}


def test_pool_that_nobody_borrows_from_is_no_placeholder() -> None:
    values = calm()
    values[[10, 20, 30, 40, 50]] = 0.0

    assert AnomalyKind.PLACEHOLDER not in found_in(values)


def test_bounds_may_be_one_number() -> None:
    flags = flag_days(np.array([1.0, 1.1]), column="par", lowest=1.0, highest=1.0)

    assert flags[AnomalyKind.IMPLAUSIBLE].tolist() == [False, True]


def test_bounds_of_another_measure_are_its_own() -> None:
    flags = flag_days(np.array([0.98, 1.4, np.nan]), column="usdc", lowest=0.9, highest=1.1)

    assert flags[AnomalyKind.IMPLAUSIBLE].tolist() == [False, True, False]


@settings(max_examples=120, deadline=None)
@given(rates, st.integers(0, 80))
def test_what_comes_later_changes_no_flag(values: np.ndarray, cut: int) -> None:
    known = values[:cut]

    whole, before = flag_days(values, column="apr"), flag_days(known, column="apr")

    for kind in AnomalyKind:
        assert whole[kind][:cut].tolist() == before[kind].tolist()


def test_infinity_and_crossed_bounds_are_refused() -> None:
    with pytest.raises(StaleOrDisputed, match="column apr, row 1: must be finite"):
        find_anomalies(np.array([0.1, np.inf]), column="apr")
    with pytest.raises(StaleOrDisputed, match=r"lowest 2\.0 must not be above highest 1\.0"):
        find_anomalies(np.array([0.1]), column="apr", lowest=2.0, highest=1.0)
