"""What may enter a risk measure: unknown days drop out, impossible numbers raise, too few days give no answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from domain.errors import InvariantBroken, StaleOrDisputed
from tools.history import FloatArray

MIN_OBSERVATIONS: Final = 2
MIN_SPREAD_DAYS: Final = 10
"""Of a deviation, a drawdown or a correlation: fewer days say next to nothing about how far a series can move."""
TIE: Final = 1e-9  # 0.95 * 100 is 95.00000000000001 in floats and must select the 95th loss
WHOLE_LOSS: Final = -1.0
MAX_HORIZON_DAYS: Final = 30
"""A history of years holds too few longer spans side by side to say anything about their tail."""


def drop_unknown(returns: FloatArray, *, column: str = "portfolio") -> FloatArray | None:
    """The known returns of shape (m,); NaN is unknown and dropped; None below two. Infinity raises StaleOrDisputed."""
    require_one_dimension(returns, column)
    refuse(np.isinf(returns), returns, column=column, rule="must be finite")
    known = returns[~np.isnan(returns)]
    return known if known.size >= MIN_OBSERVATIONS else None


def known_growth(returns: FloatArray, *, column: str = "portfolio") -> FloatArray | None:
    """The same for what is compounded: no day may lose more than everything."""
    known = drop_unknown(returns, column=column)
    refuse(returns < WHOLE_LOSS, returns, column=column, rule="must be at least -1: no holding loses more than itself")
    return known


def complete_rows(values: FloatArray, columns: Sequence[str]) -> FloatArray:
    """Rows of (n, k) where every column is known, shape (m, k); m may be 0. Infinity raises StaleOrDisputed."""
    require_columns(values, columns)
    for number, column in enumerate(columns):
        refuse(np.isinf(values[:, number]), values[:, number], column=column, rule="must be finite")
    return np.asarray(values[~np.isnan(values).any(axis=1)])


def name_columns(values: FloatArray) -> tuple[str, ...]:
    """Names for the columns of a matrix that came without any."""
    return tuple(f"column {number}" for number in range(values.shape[-1]))


def require_columns(values: FloatArray, columns: Sequence[str]) -> None:
    if values.ndim != 2 or values.shape[1] != len(columns):  # noqa: PLR2004
        raise StaleOrDisputed(f"returns have the shape {values.shape}, {len(columns)} columns are named: {columns}")


def require_one_dimension(returns: FloatArray, column: str) -> None:
    if returns.ndim != 1:
        raise StaleOrDisputed(f"returns of {column} have {returns.ndim} dimensions, must have 1")


def refuse(
    wrong: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], values: FloatArray, *, column: str, rule: str
) -> None:
    """Raises StaleOrDisputed for the first wrong row, with its column, its value and the rule."""
    if wrong.any():
        row = int(np.argmax(wrong))
        raise StaleOrDisputed(f"row {row} of {column} is {values[row]}, {rule}")


def require_question(level: float, horizon_days: int) -> None:
    """Raises InvariantBroken: which tail is asked for is our own choice, never an input."""
    if not 0.5 < level < 1 or not 1 <= horizon_days <= MAX_HORIZON_DAYS:  # noqa: PLR2004
        raise InvariantBroken(
            f"level {level} must lie between 0.5 and 1, horizon {horizon_days} from 1 to {MAX_HORIZON_DAYS} days"
        )


def least_observations(level: float) -> int:
    """So many that one loss beyond the quantile is expected: fewer cannot say anything about it."""
    return max(math.ceil(1.0 / (1.0 - level) - TIE), MIN_OBSERVATIONS)
