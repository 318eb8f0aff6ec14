"""Synthetic daily history for tests of the tools: deterministic, every series replaceable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

import numpy as np

from domain.market import Catalog, DailySeries, MarketHistory
from tests.builders import NOW, PRICES, make_catalog

Values = Sequence[float | None]


def make_history(
    catalog: Catalog | None = None,
    *,
    days: int = 120,
    aprs: Mapping[str, Values] | None = None,
    share_prices: Mapping[str, Values] | None = None,
    prices: Mapping[str, Values] | None = None,
    seed: int = 7,
    supplied: Mapping[str, Values] | None = None,
    utilizations: Mapping[str, Values] | None = None,
) -> MarketHistory:
    """Rates around 3 to 6 %, vaults that accrue 4 % up to a share price of 1, stable tokens within a few bps.

    The other tokens move by 2 % a day.
    """
    catalog = catalog or make_catalog()
    source = np.random.default_rng(seed)
    apr_series: dict[str, Values] = {}
    share_series: dict[str, Values] = {}
    for index, strategy in enumerate(catalog.strategies):
        apr_series[strategy.id] = [float(x) for x in 0.03 + 0.005 * index + 0.002 * source.standard_normal(days)]
        growth = 0.0 if strategy.kind.value == "aave_v3" else 0.04 / 365
        share_series[strategy.id] = [float((1 + growth) ** (day + 1 - days)) for day in range(days)]
    price_series: dict[str, Values] = {}
    for token in catalog.tokens:
        noise = source.standard_normal(days)
        anchor = float(PRICES[token.id])
        path = 1 + 0.0003 * noise if token.is_stable else np.exp(0.02 * (np.cumsum(noise) - np.sum(noise)))
        price_series[token.id] = [float(anchor * x) for x in path]
    return MarketHistory(
        days=tuple(NOW - timedelta(days=days - 1 - day) for day in range(days)),
        supply_apr=_series({**apr_series, **(aprs or {})}),
        share_price=_series({**share_series, **(share_prices or {})}),
        price_usd=_series({**price_series, **(prices or {})}),
        supplied=_series(supplied or {}),
        utilization=_series(utilizations or {}),
    )


def _series(values: Mapping[str, Values]) -> tuple[DailySeries, ...]:
    return tuple(DailySeries(subject=subject, values=tuple(series)) for subject, series in values.items())
