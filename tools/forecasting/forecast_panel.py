"""What the pooled forecast reads: daily readings of many markets side by side, and who of them belongs together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Number
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from domain.errors import StaleOrDisputed
from tools.history import FloatArray

if TYPE_CHECKING:
    import pandas as pd

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

READINGS: Final = ("supply_apr", "utilization", "tvl_usd", "supplied_usd", "borrowed_usd", "stale_days")
"""Every panel has them; a column that nobody observed is unknown on every day."""
TELLING: Final = ("sentiment", "price_volatility", "market_cap_usd", "incidents")
"""Alike for every market of a day or of an asset: trees can recognize a date or a name by them."""
CONTEXT: Final = ("rate_close", "rate_max", *TELLING)
"""May be missing altogether: the model was built to work without."""
KEYS: Final = ("market", "group", "date")
CARRIED_DAYS: Final = 3
"""A reading counts as today's for so long: a market that nobody touches reports nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class RatePanel:
    """Readings of shape (days, markets) on consecutive days, NaN where unknown; rates are fractions of one."""

    days: NDArray[np.datetime64]
    markets: tuple[str, ...]
    groups: tuple[str, ...]
    """Of each market: stable, eth, btc, alt or what the caller calls assets that move alike."""
    readings: Mapping[str, FloatArray] = field(repr=False)

    def __getitem__(self, name: str) -> FloatArray:
        """A reading or a part of the context; all NaN where nobody observed it."""
        found = self.readings.get(name)
        return np.full((self.days.size, len(self.markets)), np.nan) if found is None else found


def panel_of(frame: pd.DataFrame) -> RatePanel:
    """From one row per market and day, in any order, to arrays on consecutive days.

    Columns: market, group, date (time zone allowed, read as UTC), supply_apr (fraction of one) and any of READINGS
    and CONTEXT. Infinite readings are unknown; of two rows for one market and day the later one in the frame counts.
    Empty frames, missing columns, dates that are not dates (as text ISO 8601, never plain numbers), readings that are
    not numbers, and a market in two groups are refused.
    """
    import pandas as pd

    _check(frame)
    rows = frame.assign(date=_dates(frame["date"])).drop_duplicates(["market", "date"], keep="last")
    days = pd.date_range(rows["date"].min(), rows["date"].max(), freq="D")
    group_of = dict(zip(rows["market"].astype(str), rows["group"].astype(str), strict=True))
    markets = tuple(sorted(group_of))
    place = (days.get_indexer(pd.DatetimeIndex(rows["date"])), np.searchsorted(markets, rows["market"].astype(str)))
    readings = {
        name: _spread(rows[name], place, (days.size, len(markets)))
        for name in (*READINGS, *CONTEXT)
        if name in rows.columns
    }
    return RatePanel(
        days=days.to_numpy(dtype="datetime64[D]"),
        markets=markets,
        groups=tuple(group_of[market] for market in markets),
        readings=readings,
    )


def carried(values: FloatArray, *, days: int = CARRIED_DAYS) -> FloatArray:
    """The last known value of at most `days` before, per column, shape as given; looks back only."""
    position = np.arange(values.shape[0])[:, None]
    known_at = np.maximum.accumulate(np.where(np.isnan(values), -1 - days, position), axis=0)
    filled = np.take_along_axis(values, np.maximum(known_at, 0), axis=0)
    return np.where((known_at >= 0) & (position - known_at <= days), filled, np.nan)


def _spread(column: pd.Series[float], place: tuple[IntArray, IntArray], shape: tuple[int, int]) -> FloatArray:
    import pandas as pd

    values = pd.to_numeric(column).to_numpy(dtype=np.float64, na_value=np.nan)
    spread = np.full(shape, np.nan)
    spread[place] = np.where(np.isfinite(values), values, np.nan)
    return spread


def _dates(column: pd.Series[pd.Timestamp]) -> pd.Series[pd.Timestamp]:
    """Midnight of each row's day in UTC; a number is no date, it would be read as nanoseconds since 1970."""
    import pandas as pd

    is_day = pd.api.types.is_datetime64_any_dtype(column)
    days = column if is_day else column.astype(object).where(~_is_number(column), None)
    dates = pd.to_datetime(days, utc=True, format="ISO8601", errors="coerce")
    wrong = np.flatnonzero(dates.isna().to_numpy())
    if wrong.size:
        row = int(wrong[0])
        raise StaleOrDisputed(f"column date, row {row}: must be a date, got {column.iloc[row]}")
    return dates.dt.tz_localize(None).dt.normalize()


def _is_number(column: pd.Series[pd.Timestamp]) -> BoolArray:
    return np.array([isinstance(value, Number) for value in column], dtype=np.bool_)


def _check_numbers(frame: pd.DataFrame) -> None:
    import pandas as pd

    for name in (*READINGS, *CONTEXT):
        if name in frame.columns:
            is_text = pd.to_numeric(frame[name], errors="coerce").isna() & frame[name].notna()
            wrong = np.flatnonzero(is_text.to_numpy())
            if wrong.size:
                row = int(wrong[0])
                raise StaleOrDisputed(f"column {name}, row {row}: must be a number, got {frame[name].iloc[row]}")


def _check(frame: pd.DataFrame) -> None:
    missing = [name for name in (*KEYS, "supply_apr") if name not in frame.columns]
    if missing:
        raise StaleOrDisputed(f"rate readings need the columns {missing}, found {sorted(map(str, frame.columns))}")
    if frame.empty:
        raise StaleOrDisputed("rate readings have no row; at least one market and day is needed")
    for name in KEYS:
        empty = np.flatnonzero(frame[name].isna().to_numpy())
        if empty.size:
            raise StaleOrDisputed(f"column {name} is empty in row {int(empty[0])}; every reading names its {name}")
    _check_numbers(frame)
    groups = frame.groupby("market")["group"].nunique()
    if (groups > 1).any():
        raise StaleOrDisputed(f"market {groups.idxmax()} is in {groups.max()} groups; a market belongs to one group")
