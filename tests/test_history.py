"""Daily total returns: what a dollar in a strategy or a token did each day."""

from __future__ import annotations

import numpy as np
import pytest

from tests.builders import make_catalog
from tests.builders_history import make_history
from tools.history import carry_forward, daily_returns, relative_changes

DAYS = 4


def test_aave_return_is_accrual_of_the_day_before_times_price_change() -> None:
    history = make_history(
        days=DAYS, aprs={"aave-dai": [0.0365, 0.073, 0.5, 0.5]}, prices={"dai": [1.0, 1.0, 0.99, 0.99]}
    )

    returns = daily_returns(history, make_catalog(), strategy_ids=["aave-dai"]).column("aave-dai")

    assert returns == pytest.approx([0.0001, 1.0002 * 0.99 - 1, 0.5 / 365])


def test_vault_return_is_share_price_growth_and_ignores_its_quoted_rate() -> None:
    history = make_history(
        days=DAYS,
        aprs={"vault-limited-dai": [9.0] * DAYS},
        share_prices={"vault-limited-dai": [1.0, 1.01, 0.95, 0.95]},
        prices={"dai": [1.0] * DAYS},
    )

    returns = daily_returns(history, make_catalog(), strategy_ids=["vault-limited-dai"]).column("vault-limited-dai")

    assert returns == pytest.approx([0.01, 0.95 / 1.01 - 1, 0.0])


def test_loss_across_a_gap_falls_on_the_day_that_ends_it() -> None:
    history = make_history(days=DAYS, prices={"usdx": [1.0, None, 0.5, 0.5]})

    returns = daily_returns(history, make_catalog(), tokens=["usdx"]).column("usdx")

    assert returns == pytest.approx([np.nan, -0.5, 0.0], nan_ok=True)


def test_subject_without_any_series_is_unknown_and_not_zero() -> None:
    history = make_history(days=DAYS, prices={"usdx": [None] * DAYS})

    matrix = daily_returns(history, make_catalog(), strategy_ids=["aave-usdx"], tokens=["usdx"])

    assert matrix.values.shape == (DAYS - 1, 2)
    assert np.isnan(matrix.values).all()
    assert matrix.known_days("usdx") == 0


def test_missing_first_rates_leave_the_first_returns_unknown() -> None:
    history = make_history(days=DAYS, aprs={"aave-dai": [None, None, 0.365, 0.365]}, prices={"dai": [1.0] * DAYS})

    returns = daily_returns(history, make_catalog(), strategy_ids=["aave-dai"]).column("aave-dai")

    assert returns == pytest.approx([np.nan, np.nan, 0.001], nan_ok=True)


@pytest.mark.parametrize("days", [0, 1])
def test_history_shorter_than_two_days_has_no_rows(days: int) -> None:
    matrix = daily_returns(make_history(days=days), make_catalog(), strategy_ids=["aave-dai"], tokens=["dai"])

    assert matrix.values.shape == (0, 2)


def test_no_subjects_give_no_columns() -> None:
    matrix = daily_returns(make_history(days=DAYS), make_catalog())

    assert matrix.values.shape == (DAYS - 1, 0)


def test_carry_forward_keeps_leading_unknowns() -> None:
    carried = carry_forward(np.array([np.nan, 1.0, np.nan, 3.0]))

    assert carried == pytest.approx([np.nan, 1.0, 1.0, 3.0], nan_ok=True)


def test_price_of_zero_is_unknown_and_not_a_total_loss() -> None:
    changes = relative_changes(np.array([1.0, 0.0, 0.9]))

    assert changes == pytest.approx([np.nan, -0.1], nan_ok=True)
