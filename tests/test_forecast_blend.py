"""Who speaks is decided by past errors alone, and persistence keeps the word until somebody has proven better."""

from __future__ import annotations

import numpy as np
import pytest

from tests.builders_forecast import make_panel
from tools.forecasting.forecast_blend import (
    MIN_DAYS,
    UNPROVEN,
    Baseline,
    Blend,
    baseline_rates,
    blended_rates,
    choose_blends,
)
from tools.forecasting.forecast_features import samples_of
from tools.forecasting.forecast_panel import FloatArray

PANEL = make_panel(200, 8)
SAMPLES = samples_of(PANEL)
SCORED = np.ones(len(SAMPLES), dtype=np.bool_)


def chosen(modelled: FloatArray, target: FloatArray) -> Blend:
    return choose_blends(PANEL, SAMPLES, modelled, target, SCORED)["stable"]


def test_a_model_that_knows_the_outcome_speaks_alone() -> None:
    target = SAMPLES.last * 1.5

    blend = chosen(target, target)

    assert blend.weight == 1.0
    assert blend.error == pytest.approx(0.0, abs=1e-12)
    assert blend.name.startswith("pooled-")


def test_a_model_that_overshoots_is_shrunk_half_way() -> None:
    target = SAMPLES.last + 0.01

    blend = chosen(SAMPLES.last + 0.02, target)

    assert (blend.baseline, blend.weight) == (Baseline.PERSISTENCE, 0.5)


def test_a_useless_model_leaves_the_word_to_persistence() -> None:
    blend = chosen(SAMPLES.last * 3, SAMPLES.last)

    assert (blend.name, blend.weight) == ("persistence", 0.0)


def test_the_average_speaks_where_it_was_better() -> None:
    blend = chosen(SAMPLES.last * 3, SAMPLES.average)

    assert (blend.name, blend.weight) == ("ewma", 0.0)
    assert blend.error < blend.persistence_error


def test_one_collapsing_market_does_not_outvote_the_others() -> None:
    target = SAMPLES.last * 1.1
    modelled = np.where(SAMPLES.market == 0, SAMPLES.last + 9.0, target)
    collapsed = np.where(SAMPLES.market == 0, SAMPLES.last + 1.0, target)

    blend = chosen(modelled, collapsed)

    assert blend.weight == 1.0


def test_too_few_days_prove_nothing() -> None:
    early = SAMPLES.day < MIN_DAYS - 1
    target = SAMPLES.last * 1.5

    blends = choose_blends(PANEL, SAMPLES, target, target, early)

    assert blends["stable"] is UNPROVEN


def test_rows_without_an_outcome_or_a_model_prove_nothing() -> None:
    unknown = np.full(len(SAMPLES), np.nan)

    assert chosen(unknown, SAMPLES.last) is UNPROVEN
    assert chosen(SAMPLES.last, unknown) is UNPROVEN


def test_where_the_model_is_silent_the_baseline_speaks() -> None:
    blend = Blend(Baseline.AVERAGE, 1.0, 0.0, 0.0)

    said = blended_rates(SAMPLES, np.full(len(SAMPLES), np.nan), blend)

    assert np.array_equal(said, baseline_rates(SAMPLES, Baseline.AVERAGE))
