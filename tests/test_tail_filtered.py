"""Filtered tails: they follow volatility, remember jumps, look at nothing but the past, and choose by rule."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from domain.errors import InvariantBroken, StaleOrDisputed
from tools.risk.filtered_tail import (
    PEGGED,
    VOLATILE,
    VolatilityFilter,
    ewma_deviations,
    filtered_tail,
    next_scenarios,
    walk_forward_tails,
)
from tools.risk.tail_choice import FILTERED_FROM_DAYS, chosen_tail, was_pegged
from tools.risk.tail_definition import weighted_tail

BOTH = [VOLATILE, PEGGED]
LEVELS = (0.95, 0.99)


def noise(count: int, deviation: float = 0.02, seed: int = 9) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(count) * deviation


def var_of(returns: np.ndarray, volatility: VolatilityFilter = VOLATILE, horizon_days: int = 1) -> float:
    found = filtered_tail(returns, level=0.99, volatility=volatility, horizon_days=horizon_days)
    assert found is not None
    return found.var.value


def test_ewma_follows_its_recursion() -> None:
    returns = noise(40)
    variance = np.mean(returns[:30] ** 2)
    for value in returns:
        variance = 0.94 * variance + 0.06 * value**2

    assert ewma_deviations(returns, 0.94)[-1] == pytest.approx(np.sqrt(variance))


def test_var_of_normal_days_is_their_quantile_at_the_volatility_of_now() -> None:
    now = ewma_deviations(noise(3000), VOLATILE.decay)[-1]

    assert var_of(noise(3000)) == pytest.approx(now * stats.norm.ppf(0.99), rel=0.1)


def test_var_rises_with_the_volatility_of_the_last_days() -> None:
    calm, wild = noise(500, 0.01), noise(60, 0.05)

    assert var_of(np.concatenate((calm, wild))) > 3 * var_of(np.concatenate((wild, calm)))


def test_horizon_compounds_residuals_at_the_same_volatility() -> None:
    scenarios = next_scenarios(noise(3000), VOLATILE, horizon_days=9)

    assert weighted_tail(*scenarios, 0.99).var == pytest.approx(3 * var_of(noise(3000)), rel=0.2)


def test_residual_a_year_old_counts_half() -> None:
    probabilities = next_scenarios(noise(600), VOLATILE).probabilities

    assert probabilities.sum() == pytest.approx(1.0)
    assert probabilities[-366] == pytest.approx(probabilities[-1] / 2)


def test_fall_off_the_peg_is_remembered_at_its_size_after_years_of_calm() -> None:
    quiet = noise(1500, 0.0002)
    quiet[100] = -0.04
    losses, probabilities = next_scenarios(quiet, PEGGED)

    assert losses.max() == pytest.approx(0.04)
    assert probabilities[losses.argmax()] == pytest.approx(1.5 / 1471)
    assert next_scenarios(quiet, VOLATILE).losses.max() < 0.002


def test_jump_may_fall_on_any_day_of_the_horizon() -> None:
    quiet = noise(1500, 0.0002)
    quiet[100] = -0.04

    losses, probabilities = next_scenarios(quiet, PEGGED, horizon_days=10)

    assert probabilities.sum() == pytest.approx(1.0)
    assert probabilities[losses.argmax()] == pytest.approx(1 - (1 - 1.5 / 1471) ** 10)


@pytest.mark.parametrize("volatility", BOTH)
def test_future_changes_no_forecast_before_it(volatility: VolatilityFilter) -> None:
    returns = noise(400)
    perturbed = returns.copy()
    perturbed[350:] *= -7

    before, after = (
        walk_forward_tails(series, levels=LEVELS, volatility=volatility, first=300) for series in (returns, perturbed)
    )

    assert np.array_equal(before[:51], after[:51])
    assert not np.array_equal(before[51:], after[51:])


@pytest.mark.parametrize("volatility", BOTH)
def test_walk_forward_is_what_the_report_says_day_by_day(volatility: VolatilityFilter) -> None:
    returns = np.random.default_rng(2).standard_t(3, 900) * 0.01

    walked = walk_forward_tails(returns, levels=LEVELS, volatility=volatility, first=898)
    said = [filtered_tail(returns[:899], level=level, volatility=volatility) for level in LEVELS]

    assert walked[1].tolist() == [[tail.var.value, tail.cvar.value] for tail in said if tail is not None]


@pytest.mark.parametrize("volatility", BOTH)
def test_interval_holds_its_value_and_repeats_for_its_seed(volatility: VolatilityFilter) -> None:
    first, second, other = (
        filtered_tail(noise(400), level=0.95, volatility=volatility, seed=seed) for seed in (1, 1, 2)
    )

    assert first is not None
    assert first.var.lower < first.var.value < first.var.upper
    assert first.var.sample_size == 355  # of 370 residuals, the older of which count less
    assert first == second
    assert first != other


def test_feed_that_stood_still_does_not_turn_its_first_move_into_ruin() -> None:
    frozen = np.concatenate((noise(200, 0.01), np.zeros(900), noise(30, 0.01)))

    assert var_of(frozen) < 0.5


def test_series_that_never_moved_has_no_tail_and_one_that_is_short_has_none_known() -> None:
    assert var_of(np.zeros(200)) == 0.0
    assert filtered_tail(noise(130), level=0.99, volatility=VOLATILE) is None  # 100 residuals weigh as 99.7
    assert filtered_tail(noise(131), level=0.99, volatility=VOLATILE) is not None


@pytest.mark.parametrize("days", [49, 279, 400])
def test_few_spans_that_do_not_overlap_leave_a_long_horizon_unknown(days: int) -> None:
    assert chosen_tail(noise(days), is_pegged=False, level=0.95, horizon_days=30) is None


@pytest.mark.parametrize("volatility", BOTH)
def test_years_of_days_say_something_about_a_month(volatility: VolatilityFilter) -> None:
    found = filtered_tail(noise(900), level=0.95, volatility=volatility, horizon_days=30)

    assert found is not None
    assert found.var.sample_size >= 20


@pytest.mark.parametrize(("value", "rule"), [(np.inf, "must be finite"), (-1.5, "must be at least -1")])
def test_impossible_return_is_named_with_its_row(value: float, rule: str) -> None:
    returns = noise(400)
    returns[33] = value

    with pytest.raises(StaleOrDisputed, match=f"row 33 of portfolio is {value}, {rule}"):
        filtered_tail(returns, level=0.95, volatility=VOLATILE)


@pytest.mark.parametrize(("level", "horizon_days"), [(0.5, 1), (1.0, 1), (0.95, 0), (0.95, 31)])
def test_question_without_a_meaning_is_our_own_mistake(level: float, horizon_days: int) -> None:
    with pytest.raises(InvariantBroken, match="must lie between"):
        filtered_tail(noise(400), level=level, volatility=VOLATILE, horizon_days=horizon_days)


@pytest.mark.parametrize(
    ("days", "is_pegged", "method"),
    [
        (FILTERED_FROM_DAYS - 1, True, "historical"),
        (FILTERED_FROM_DAYS, True, "ewma-historical-jumps"),
        (FILTERED_FROM_DAYS, False, "ewma-historical"),
    ],
)
def test_estimator_follows_from_what_is_held_and_how_long_it_was_seen(days: int, is_pegged: bool, method: str) -> None:
    found = chosen_tail(np.append(noise(days), np.nan), is_pegged=is_pegged, level=0.99)

    assert found is not None
    assert found.var.method == method


def test_price_near_one_dollar_on_most_days_was_pegged() -> None:
    collapsed = np.concatenate((np.ones(300), np.full(200, 0.02)))

    assert was_pegged(collapsed)
    assert not was_pegged(np.full(300, 1.03))
    assert not was_pegged(np.full(3, np.nan))
