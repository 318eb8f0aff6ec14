"""From daily prices as a table brings them to daily returns; what cannot be a price series is refused by name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np

from domain.errors import StaleOrDisputed
from tools.history import FloatArray
from tools.risk.return_sample import refuse

ONE_DAY = timedelta(days=1)


def price_returns(days: Sequence[datetime], prices_usd: FloatArray, columns: Sequence[str]) -> FloatArray:
    """Simple daily returns of prices (n, k) on n rising days, shape (n - 1, k).

    NaN where either price is unknown, and across a missing day: a change over two days is no daily return. No rows
    from fewer than two days. Unsorted, repeated or missing (NaT) days, days of different time zones, a price that is
    infinite, zero or negative, and a table of another shape raise StaleOrDisputed.
    """
    if prices_usd.shape != (len(days), len(columns)):
        raise StaleOrDisputed(
            f"prices have the shape {prices_usd.shape} for {len(days)} days of {len(columns)} columns"
        )
    _require_rising(days)
    for number, column in enumerate(columns):
        prices = prices_usd[:, number]
        refuse(
            ~(np.isnan(prices) | (np.isfinite(prices) & (prices > 0))), prices, column=column, rule="must be above 0"
        )
    if len(days) <= 1:
        return np.empty((0, len(columns)))
    returns = prices_usd[1:] / prices_usd[:-1] - 1.0
    apart = np.array([after - before != ONE_DAY for before, after in pairwise(days)])
    return np.asarray(np.where(apart[:, None], np.nan, returns))


def _require_rising(days: Sequence[datetime]) -> None:
    for row, day in enumerate(days):
        if math.isnan(day.year):  # pandas' NaT is a datetime without a year
            raise StaleOrDisputed(f"row {row} of days is {day}, must be a date")
    zones = {day.utcoffset() for day in days}
    if len(zones) > 1:
        raise StaleOrDisputed(f"days are of {len(zones)} time zones {sorted(map(str, zones))}, must be of one")
    for row, (before, after) in enumerate(pairwise(days), start=1):
        if after <= before:
            raise StaleOrDisputed(f"row {row} of days is {after}, must be later than {before} before it")
