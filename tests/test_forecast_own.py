"""The treasury's own model: silent until its history is long enough and it has beaten the baselines on it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from domain.market import Forecast, MarketHistory
from tests.builders import make_catalog
from tests.builders_forecast import reverting_rates
from tests.builders_history import make_history
from tools.forecasting.forecast import forecast_aprs
from tools.forecasting.forecast_own import MIN_HISTORY_DAYS, own_panel, pooled_forecasts

CATALOG = make_catalog()
DAYS = 230


def history(days: int = DAYS, *, last: float | None = None) -> MarketHistory:
    """Rates that come back to their level; `last` replaces the first strategy's newest."""
    rates = reverting_rates(days, len(CATALOG.strategies), noise=0.3)
    if last is not None:
        rates[-1, 0] = last
    named = zip(CATALOG.strategies, rates.T, strict=True)
    return make_history(CATALOG, days=days, aprs={strategy.id: list(map(float, own)) for strategy, own in named})


@pytest.fixture(scope="module")
def forecasts() -> dict[str, Forecast]:
    return {found.strategy: found for found in forecast_aprs(history(), horizon_days=7, catalog=CATALOG)}


def test_proven_model_speaks_and_says_by_how_much_it_is_better(forecasts: dict[str, Forecast]) -> None:
    pooled = [found for found in forecasts.values() if found.model.startswith("pooled-")]

    assert pooled
    for found in pooled:
        assert found.error_over_persistence is not None
        assert found.error_over_persistence < 0.98
        assert 0 <= found.lower_apr <= found.expected_apr <= found.upper_apr


def test_baselines_are_computed_whoever_speaks(forecasts: dict[str, Forecast]) -> None:
    rates = history().supply_apr

    for series in rates:
        found = forecasts[series.subject]
        assert found.persistence_apr == series.values[-1]
        assert found.average_apr is not None
        assert math.isfinite(found.average_apr)


def test_short_history_leaves_the_word_to_the_baseline() -> None:
    found = forecast_aprs(history(MIN_HISTORY_DAYS - 1), horizon_days=7, catalog=CATALOG)

    assert {forecast.model for forecast in found} <= {"ewma-3d", "persistence"}


def test_baseline_that_the_walk_chose_speaks_without_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.forecasting.forecast_blend.WEIGHTS", (0.0,))

    found = forecast_aprs(history(), horizon_days=7, catalog=CATALOG)
    pooled = pooled_forecasts(history(), CATALOG, horizon_days=7, confidence=0.8)

    assert pooled
    said = {forecast.strategy: forecast for forecast in found}
    for strategy, own in pooled.items():
        assert own.blend.weight == 0.0
        assert (said[strategy].model, said[strategy].expected_apr) == (str(own.blend.baseline), own.rate)


def test_few_strategies_are_no_pool() -> None:
    alone = history()
    single = alone.model_copy(update={"supply_apr": alone.supply_apr[:1]})

    assert pooled_forecasts(single, CATALOG, horizon_days=7, confidence=0.8) == {}


def test_a_spike_today_is_answered_by_the_spike_proof_average() -> None:
    strategy = CATALOG.strategies[0].id

    found = {f.strategy: f for f in forecast_aprs(history(last=3550.83), horizon_days=7, catalog=CATALOG)}

    assert found[strategy].model == "ewma-3d"
    assert found[strategy].expected_apr < 0.5
    assert found[strategy].persistence_apr == 3550.83


def test_stable_tokens_are_one_group_and_other_tokens_their_own() -> None:
    panel = own_panel(history(20), CATALOG)

    for market, group in zip(panel.markets, panel.groups, strict=True):
        token = CATALOG.token(CATALOG.strategy(market).token)
        assert group == ("stable" if token.is_stable else token.id)


def test_supplies_in_dollars_and_utilization_reach_the_panel() -> None:
    strategy = CATALOG.strategies[0]
    token = CATALOG.token(strategy.token)
    base = 5e6 * 10.0**token.decimals
    told = make_history(
        CATALOG,
        days=2,
        supplied={strategy.id: [base, None]},
        utilizations={strategy.id: [0.8, None]},
        prices={token.id: [2.0, 2.0]},
    )

    panel = own_panel(told, CATALOG)

    market = panel.markets.index(strategy.id)
    assert panel["supplied_usd"][:, market] == pytest.approx([1e7, np.nan], nan_ok=True)
    assert panel["utilization"][:, market] == pytest.approx([0.8, np.nan], nan_ok=True)
    assert np.isnan(np.delete(panel["supplied_usd"], market, axis=1)).all()


def test_panel_without_any_series_is_empty() -> None:
    panel = own_panel(history(20).model_copy(update={"supply_apr": ()}), CATALOG)

    assert panel["supply_apr"].shape == (20, 0)
    assert np.isnan(panel["price_volatility"]).all()
