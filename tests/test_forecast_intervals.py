"""Margins hold what they promise, follow a changed world, and use nothing that was not known on their day."""

from __future__ import annotations

import numpy as np
import pytest

from domain.errors import InvariantBroken
from tools.forecasting.conformal import MIN_SCORES, walk_margins
from tools.forecasting.forecast_panel import IntArray

PER_DAY = 5


def days(count: int) -> IntArray:
    return np.repeat(np.arange(count), PER_DAY)


def draws(count: int, *, seed: int = 1) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.random.default_rng(seed).standard_normal(count * PER_DAY)


def test_four_of_five_scores_fall_between_the_margins() -> None:
    scores = draws(600)

    margins = walk_margins(days(600), scores, horizon_days=7, confidence=0.8)

    judged = ~np.isnan(margins.lower)
    held = (scores >= margins.lower) & (scores <= margins.upper)
    assert held[judged].mean() == pytest.approx(0.8, abs=0.02)


def test_skewed_errors_get_margins_that_are_not_alike() -> None:
    scores = np.exp(draws(400)) - 1.0

    margins = walk_margins(days(400), scores, horizon_days=7, confidence=0.8)

    lower, upper = np.nanmean(margins.lower), np.nanmean(margins.upper)
    assert lower == pytest.approx(np.exp(-1.2816) - 1, abs=0.05)  # 1.2816: the 90 % quantile of the normal
    assert upper == pytest.approx(np.exp(1.2816) - 1, rel=0.15)


def test_coverage_returns_after_the_world_has_become_wilder() -> None:
    wild = np.where(days(1200) > 600, 3.0, 1.0) * draws(1200)

    margins = walk_margins(days(1200), wild, horizon_days=7, confidence=0.8)

    later = days(1200) > 1000
    held = (wild >= margins.lower) & (wild <= margins.upper)
    assert held[later].mean() == pytest.approx(0.8, abs=0.03)


def test_too_few_scores_give_no_margin() -> None:
    first = MIN_SCORES // PER_DAY

    margins = walk_margins(days(60), draws(60), horizon_days=7, confidence=0.8)

    is_known = ~np.isnan(margins.lower)
    assert is_known[days(60) >= first + 6].all()
    assert not is_known[days(60) < first + 6].any()


def test_outcomes_that_are_still_open_change_no_margin() -> None:
    scores, horizon_days = draws(200), 7
    perturbed = np.where(days(200) > 150 - horizon_days, 100.0, scores)

    before = walk_margins(days(200), scores, horizon_days=horizon_days, confidence=0.8)
    after = walk_margins(days(200), perturbed, horizon_days=horizon_days, confidence=0.8)

    told = days(200) <= 150
    assert np.array_equal(before.lower[told], after.lower[told], equal_nan=True)
    assert np.array_equal(before.upper[told], after.upper[told], equal_nan=True)
    assert after.upper[-1] > before.upper[-1]


def test_unknown_scores_count_for_nobody() -> None:
    scores = draws(300)
    gapped = np.where(np.arange(scores.size) % 2 == 0, np.nan, scores)

    margins = walk_margins(days(300), gapped, horizon_days=7, confidence=0.8)

    assert np.isfinite(margins.lower[-1])


def test_days_that_fall_are_refused() -> None:
    with pytest.raises(InvariantBroken, match="rising days"):
        walk_margins(np.array([2, 1]), np.zeros(2), horizon_days=7, confidence=0.8)


@pytest.mark.parametrize("horizon_days", [0, -3])
def test_scores_known_before_their_day_is_over_are_refused(horizon_days: int) -> None:
    with pytest.raises(InvariantBroken, match=f"at least one day later, got horizon_days {horizon_days}"):
        walk_margins(days(3), draws(3), horizon_days=horizon_days, confidence=0.8)


def test_fewer_scores_than_days_are_refused() -> None:
    with pytest.raises(InvariantBroken, match=r"got \(200,\) days and \(100,\) scores"):
        walk_margins(np.arange(200), np.zeros(100), horizon_days=7, confidence=0.8)


def test_no_rows_give_no_margins() -> None:
    assert walk_margins(np.array([], dtype=np.int64), np.array([]), horizon_days=7, confidence=0.8).lower.size == 0


@pytest.mark.parametrize("confidence", [0.0, 1.0, float("nan")])
def test_a_confidence_outside_of_its_range_is_refused(confidence: float) -> None:
    with pytest.raises(InvariantBroken, match="between 0 and 1"):
        walk_margins(days(3), draws(3), horizon_days=7, confidence=confidence)
