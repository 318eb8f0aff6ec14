"""The forecast scored on real lending markets: walk-forward, on markets and in periods it was not trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from bench.figures import Figure
from bench.quality_left_out import left_out_tables, new_market_table
from tests.market_data import read_rates, with_context
from tools.forecasting.forecast_panel import BoolArray, RatePanel, panel_of
from tools.forecasting.forecast_walk import Rehearsal, Walk
from tools.history import FloatArray

HORIZON_DAYS: Final = 7
CONFIDENCE: Final = 0.8
SCORED_FROM: Final = np.datetime64("2023-01-01")
WARM_UP_QUARTERS: Final = 6
"""Refits before the first scored day: blends and intervals learn from their errors."""
POINTS: Final = 100.0


class Sources(NamedTuple):
    """The panel of both folders, which markets the history has, and what is scored."""

    panel: RatePanel
    known: BoolArray
    scored: BoolArray
    """Shape (days, markets)."""


def forecast_quality(data: Path, test: Path | None) -> list[Figure]:
    """Without `test` walk-forward inside `data`; with it only its rows count.

    A row teaches once its outcome lies before a refit, whatever folder it is from: so it goes in production. What the
    model says of new markets that teach nothing is a table of its own.
    """
    sources = read_sources(data, test)
    if not sources.scored.any():
        print(f"skipped: {test or data} has no row since {SCORED_FROM} to score")
        return []
    walk = _walk(sources)
    rows = walk.judged & ~np.isnan(walk.target) & sources.scored[walk.samples.day, walk.samples.market]
    if not rows.any():
        print(f"skipped: no row of {test or data} has the deposits, readings and outcome that a score needs")
        return []
    table = _score(walk, rows)
    print("\nforecast of the mean supply rate of the next 7 days, percentage points, walk-forward")
    print(table.to_string(index=False, float_format="{:.4f}".format))
    print("\nby year\n" + _by_year(walk, rows).to_string(index=False, float_format="{:.4f}".format))
    print("\nwho spoke from each refit on\n" + _speakers(walk).to_string())
    if test is None:
        left_out_tables(walk, rows, horizon_days=HORIZON_DAYS)
    else:
        new_market_table(walk, rows, known_markets=sources.known, horizon_days=HORIZON_DAYS)
    return _figures(table.set_index("group"))


def read_sources(data: Path, test: Path | None) -> Sources:
    print("reading", data, *(["and", test] if test else []), flush=True)
    history = with_context(read_rates(data), data)
    tested = history if test is None else with_context(read_rates(test), test)
    panel = panel_of(history if test is None else pd.concat([history, tested], ignore_index=True))
    known = np.isin(panel.markets, history["market"].unique())
    days = pd.to_datetime(tested["date"]).to_numpy().astype("datetime64[D]")
    scored = np.zeros((panel.days.size, len(panel.markets)), dtype=np.bool_)
    scored[np.searchsorted(panel.days, days), np.searchsorted(panel.markets, tested["market"].astype(str))] = True
    return Sources(panel, known, scored & (panel.days >= _start(days))[:, None])


def _start(days: np.ndarray[tuple[int], np.dtype[np.datetime64]]) -> np.datetime64:
    return SCORED_FROM if days.max() > SCORED_FROM else days.min()


def _walk(sources: Sources) -> Walk:
    refits = _refits(sources)
    rehearsal = Rehearsal(sources.panel, horizon_days=HORIZON_DAYS, refits=refits)
    for number, refit in enumerate(rehearsal.steps(), start=1):
        print(f"trained on what was known on {sources.panel.days[refit]} ({number} of {len(refits)})", flush=True)
    return rehearsal.walk(confidence=CONFIDENCE)


def _refits(sources: Sources) -> Sequence[int]:
    """Every quarter's first day, from some quarters before the first scored day on."""
    days = pd.DatetimeIndex(sources.panel.days)
    first = days[int(np.argmax(sources.scored.any(axis=1)))]
    quarters = pd.date_range(first - pd.DateOffset(months=3 * WARM_UP_QUARTERS), days[-1], freq="QS")
    return [int(day) for day in days.get_indexer(quarters) if day >= 0]


def _score(walk: Walk, rows: BoolArray) -> pd.DataFrame:
    groups = np.array(walk.panel.groups)[walk.samples.market]
    chosen = [(str(name), rows & (groups == name)) for name in sorted(set(walk.panel.groups))]
    return pd.DataFrame([{"group": name, **_row(walk, part)} for name, part in [*chosen, ("all", rows)] if part.any()])


def _row(walk: Walk, rows: BoolArray) -> Mapping[str, float]:
    target, said = walk.target[rows], walk.rates[rows]
    persistence = _error(walk.samples.last[rows], target)
    is_held = (target >= walk.lower[rows]) & (target <= walk.upper[rows])
    has_interval = ~np.isnan(walk.lower[rows])
    return {
        "rows": int(rows.sum()),
        "markets": np.unique(walk.samples.market[rows]).size,
        "persistence": persistence,
        "ewma": _error(walk.samples.average[rows], target),
        "weekly mean": _error(walk.samples.weekly[rows], target),
        "model alone": _error(walk.modelled[rows], target),
        "said": _error(said, target),
        "over persistence": _error(said, target) / persistence,
        "coverage": float(is_held[has_interval].mean()) if has_interval.any() else float("nan"),
        "width": float(np.nanmean(walk.upper[rows] - walk.lower[rows])) * POINTS
        if has_interval.any()
        else float("nan"),
    }


def _by_year(walk: Walk, rows: BoolArray) -> pd.DataFrame:
    years = walk.panel.days.astype("datetime64[Y]")[walk.samples.day]
    parts = [(year, rows & (years == year)) for year in np.unique(years[rows])]
    return pd.concat([_score(walk, part).assign(year=str(year)) for year, part in parts], ignore_index=True)


def _speakers(walk: Walk) -> pd.DataFrame:
    said = {
        str(walk.panel.days[day]): {group: f"{blend.name} {blend.weight:g}" for group, blend in blends.items()}
        for day, blends in walk.blends
    }
    return pd.DataFrame(said).T


def _error(forecast: FloatArray, target: FloatArray) -> float:
    """Mean absolute error in percentage points, over rows that have a forecast."""
    return float(np.nanmean(np.abs(forecast - target))) * POINTS if np.isfinite(forecast).any() else float("nan")


def _figures(table: pd.DataFrame) -> list[Figure]:
    """Groups that the scored folder does not have are left out."""
    rows = table.to_dict(orient="index")
    unit, limit = "percentage points", "LightGBM, untuned: 1.098"
    wanted = {
        ("stable", "said"): Figure("forecast_stable_mae", 0.0, unit, 1.098, limit),
        ("stable", "over persistence"): Figure("forecast_stable_mae_over_persistence", 0.0, "ratio", 0.82, "at most"),
        ("eth", "over persistence"): Figure("forecast_eth_mae_over_persistence", 0.0, "ratio", 1.0, "at most"),
        ("all", "coverage"): Figure("forecast_interval_80_coverage", 0.0, "share", "0.78-0.82", "all groups together"),
    }
    return [
        figure._replace(value=float(rows[group][column])) for (group, column), figure in wanted.items() if group in rows
    ]
