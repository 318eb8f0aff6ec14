"""The walk beats persistence where rates come back, claims nothing where they do not, and never looks ahead."""

from __future__ import annotations

import numpy as np
import pytest

from domain.errors import InvariantBroken
from tests.builders_forecast import make_panel, with_rates
from tools.forecasting.forecast_features import samples_of
from tools.forecasting.forecast_model import JUDGED, rows_in, targets_of, train_pooled
from tools.forecasting.forecast_panel import BoolArray, RatePanel
from tools.forecasting.forecast_today import Trained, forecast_today
from tools.forecasting.forecast_walk import Rehearsal, Walk, walk_forward

HORIZON_DAYS = 7
DAYS = 260
TODAY = DAYS - 1
REFITS = (110, 180, TODAY)


@pytest.fixture(scope="module")
def panel() -> RatePanel:
    return make_panel(DAYS, 8)


@pytest.fixture(scope="module")
def walk(panel: RatePanel) -> Walk:
    return walk_forward(panel, horizon_days=HORIZON_DAYS, refits=REFITS)


def scored(walk: Walk, *, since: int) -> BoolArray:
    rows: BoolArray = (walk.samples.day >= since) & ~np.isnan(walk.target) & walk.judged
    return rows


def test_target_is_the_mean_of_the_days_after(panel: RatePanel) -> None:
    samples = samples_of(panel)

    found = targets_of(panel, samples, horizon_days=HORIZON_DAYS)

    row = int(np.flatnonzero((samples.day == 50) & (samples.market == 2))[0])
    assert found[row] == pytest.approx(panel["supply_apr"][51:58, 2].mean())
    assert np.isnan(found[samples.day > TODAY - HORIZON_DAYS]).all()


def test_target_with_an_unknown_day_is_unknown(panel: RatePanel) -> None:
    rates = panel["supply_apr"].copy()
    rates[55, 2] = np.nan
    gapped = with_rates(panel, rates)

    samples = samples_of(gapped)
    found = targets_of(gapped, samples, horizon_days=HORIZON_DAYS)

    of_market = samples.market == 2
    assert np.isnan(found[of_market & (samples.day >= 48) & (samples.day <= 55)]).all()
    assert np.isfinite(found[of_market & (samples.day == 47)]).all()


def test_rates_that_come_back_are_forecast_better_than_by_persistence(walk: Walk) -> None:
    rows = scored(walk, since=REFITS[1])

    ours = np.abs(walk.rates - walk.target)[rows].mean()
    persistence = np.abs(walk.samples.last - walk.target)[rows].mean()

    assert walk.blends[-1][1]["stable"].weight > 0
    assert ours < 0.9 * persistence


def test_intervals_hold_their_forecast_and_most_outcomes(walk: Walk) -> None:
    rows = scored(walk, since=REFITS[0]) & ~np.isnan(walk.lower)

    held = (walk.target >= walk.lower) & (walk.target <= walk.upper)

    assert np.all((walk.lower <= walk.rates)[rows] & (walk.rates <= walk.upper)[rows])
    assert held[rows].mean() == pytest.approx(0.8, abs=0.1)


def test_before_the_first_refit_nothing_is_said(walk: Walk) -> None:
    assert np.isnan(walk.rates[walk.samples.day < REFITS[0]]).all()


def test_a_random_walk_leaves_the_word_to_persistence() -> None:
    drifting = make_panel(200, 8, pull=0.0, seed=5)

    blend = walk_forward(drifting, horizon_days=HORIZON_DAYS, refits=(110, 199)).blends[-1][1]["stable"]

    assert blend.weight == 0.0 or blend.error < blend.persistence_error


def test_no_future_reading_changes_what_was_said(panel: RatePanel, walk: Walk) -> None:
    cut = REFITS[1] + 20
    rates = panel["supply_apr"].copy()
    rates[cut + 1 :] = np.random.default_rng(9).uniform(0, 5, rates[cut + 1 :].shape)

    changed = walk_forward(with_rates(panel, rates), horizon_days=HORIZON_DAYS, refits=REFITS[:2])

    past = walk.samples.day <= cut
    for name in ("modelled", "rates", "lower", "upper"):
        before, after = getattr(walk, name)[past], getattr(changed, name)[changed.samples.day <= cut]
        assert np.array_equal(before, after, equal_nan=True), name


def test_todays_forecast_is_what_the_walk_says_today(panel: RatePanel, walk: Walk) -> None:
    spoken = forecast_today(walk.trained(), panel)

    today = walk.samples.day == TODAY
    assert np.array_equal(spoken.rates, walk.rates[today])
    assert np.array_equal(spoken.lower, walk.lower[today])
    assert np.array_equal(spoken.upper, walk.upper[today])


def test_a_group_that_nobody_trained_for_gets_persistence_without_an_interval(panel: RatePanel, walk: Walk) -> None:
    foreign = RatePanel(panel.days, panel.markets, ("eth",) * len(panel.markets), panel.readings)

    spoken = forecast_today(Trained(walk.model, {}, {}), foreign)

    assert np.array_equal(spoken.rates, spoken.samples.last)
    assert np.isnan(spoken.lower).all()


def test_nothing_to_learn_from_leaves_persistence_without_an_interval(panel: RatePanel) -> None:
    rehearsal = Rehearsal(panel, horizon_days=HORIZON_DAYS, refits=[20])

    days = list(rehearsal.steps())

    walk = rehearsal.walk(confidence=0.8)
    assert days == [20]
    assert walk.model is None
    assert np.array_equal(walk.rates[walk.samples.day >= 20], walk.samples.last[walk.samples.day >= 20])


def test_tiny_idle_and_untouched_markets_are_not_judged(panel: RatePanel) -> None:
    size = np.full(panel["supply_apr"].shape, 5e6)
    size[:, 0] = 5e5
    stale = np.zeros(size.shape)
    stale[:, 1] = 3.0
    idle = panel["supply_apr"].copy()
    idle[:, 2] = 0.0004
    readings = {"supply_apr": idle, "tvl_usd": size, "stale_days": stale}
    changed = RatePanel(panel.days, panel.markets, panel.groups, readings)

    samples = samples_of(changed)
    judged = rows_in(JUDGED, changed, samples)

    assert sorted(set(samples.market[judged])) == [3, 4, 5, 6, 7]


def test_too_little_to_learn_from_trains_nothing() -> None:
    small = make_panel(40, 3)
    samples = samples_of(small)

    assert train_pooled(samples, targets_of(small, samples, horizon_days=HORIZON_DAYS)) is None


@pytest.mark.parametrize("refits", [(), (20, 20), (30, 20)])
def test_refits_that_do_not_rise_are_refused(panel: RatePanel, refits: tuple[int, ...]) -> None:
    with pytest.raises(InvariantBroken, match="rising days"):
        Rehearsal(panel, horizon_days=HORIZON_DAYS, refits=refits)


def test_a_horizon_of_no_day_is_refused(panel: RatePanel) -> None:
    with pytest.raises(InvariantBroken, match="at least one day ahead"):
        Rehearsal(panel, horizon_days=0, refits=[110])


@pytest.mark.parametrize("refits", [(-5, 110), (5000,), (110, DAYS)])
def test_refits_outside_of_the_panel_are_refused(panel: RatePanel, refits: tuple[int, ...]) -> None:
    with pytest.raises(InvariantBroken, match=f"refits are days 0 to {TODAY} of the panel"):
        walk_forward(panel, horizon_days=HORIZON_DAYS, refits=refits)
