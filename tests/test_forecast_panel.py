"""Readings become one panel: in any order, with gaps, never with a number that nobody read."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from domain.errors import StaleOrDisputed
from tests.builders_forecast import make_frame, make_panel, reverting_rates
from tools.forecasting.forecast_panel import carried, panel_of


def frame() -> pd.DataFrame:
    return make_frame(reverting_rates(5, 2))


def test_rows_in_any_order_give_the_same_panel() -> None:
    straight, shuffled = panel_of(frame()), panel_of(frame().sample(frac=1, random_state=1))

    assert straight.markets == shuffled.markets == ("m00", "m01")
    assert np.array_equal(straight["supply_apr"], shuffled["supply_apr"])


def test_time_zones_are_read_as_utc() -> None:
    zoned = frame().assign(date=lambda rows: rows["date"].dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo"))

    assert np.array_equal(panel_of(zoned).days, panel_of(frame()).days)


def test_of_two_rows_for_one_day_the_later_counts() -> None:
    corrected = frame().iloc[[0]].assign(supply_apr=0.5)

    found = panel_of(pd.concat([frame(), corrected]))

    assert found["supply_apr"][0, 0] == 0.5


def test_missing_days_and_infinite_readings_are_unknown() -> None:
    rows = frame().assign(supply_apr=lambda rows: rows["supply_apr"].where(rows.index != 0, np.inf))

    found = panel_of(rows.drop(index=[2]))

    assert np.isnan(found["supply_apr"][0, 0])
    assert np.isnan(found["supply_apr"][1, 0])
    assert found["supply_apr"].shape == (5, 2)


def test_what_nobody_observed_is_unknown_on_every_day() -> None:
    assert np.isnan(make_panel(5, 2)["sentiment"]).all()


def test_readings_are_carried_for_three_days_and_no_longer() -> None:
    values = np.array([[0.1], *[[np.nan]] * 4, [0.2]])

    assert carried(values)[:, 0] == pytest.approx([0.1, 0.1, 0.1, 0.1, np.nan, 0.2], nan_ok=True)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (lambda: frame().drop(columns="supply_apr"), r"need the columns \['supply_apr'\]"),
        (lambda: frame().iloc[:0], "no row"),
        (lambda: frame().assign(date=pd.NaT), "column date is empty in row 0"),
        (lambda: frame().assign(date=range(10)), "column date, row 0: must be a date, got 0"),
        (lambda: frame().assign(date="soon"), "column date, row 0: must be a date, got soon"),
        (lambda: frame().assign(supply_apr=[0.1] * 9 + ["much"]), "column supply_apr, row 9: must be a number"),
        (lambda: frame().assign(sentiment="good"), "column sentiment, row 0: must be a number, got good"),
        (lambda: frame().assign(group=["stable", "eth"] * 5).assign(market="m00"), "market m00 is in 2 groups"),
    ],
)
def test_refuses_readings_that_it_cannot_place(rows: object, message: str) -> None:
    with pytest.raises(StaleOrDisputed, match=message):
        panel_of(rows())  # type: ignore[operator]
