"""Tail risk of a book that cannot be left at once: each position stays exposed until it has been withdrawn."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from domain.errors import StaleOrDisputed
from tools.history import FloatArray
from tools.risk.return_sample import complete_rows, least_observations, name_columns, refuse, require_question
from tools.risk.tail_definition import Tail, tail_of

MAX_EXIT_DAYS: Final = 30.0
"""Beyond a month we do not extrapolate from daily losses: the exit counts as unknown."""


@dataclass(frozen=True, slots=True, eq=False)
class LiquidityTail:
    """`exit_days` (n,) is infinite where nothing is released; `tail` is None where an exit takes above 30 days."""

    exit_days: FloatArray
    tail: Tail | None


def exit_days(values_usd: FloatArray, withdrawable_usd: FloatArray, released_usd_per_day: FloatArray) -> FloatArray:
    """Days until each position is out, shape (n,): 1 for what is withdrawable now, then what borrowers release a day.

    Withdrawable is supplied minus borrowed, or what a venue buys within the slippage limit. A position without value
    takes no day; one that is blocked and to which nothing is released takes infinitely many. NaN, infinity and
    negative numbers raise StaleOrDisputed.
    """
    columns = {"values": values_usd, "withdrawable": withdrawable_usd, "released": released_usd_per_day}
    for column, amounts in columns.items():
        if amounts.shape != values_usd.shape or amounts.ndim != 1:
            raise StaleOrDisputed(f"{column} have the shape {amounts.shape}, values {values_usd.shape}")
        refuse(~(np.isfinite(amounts) & (amounts >= 0)), amounts, column=column, rule="must be finite and not negative")
    blocked = np.maximum(values_usd - withdrawable_usd, 0.0)
    waiting = np.divide(
        blocked, released_usd_per_day, out=np.full(blocked.shape, np.inf), where=released_usd_per_day > 0
    )
    days = np.where(blocked > 0, 1.0 + waiting, 1.0)
    return np.asarray(np.where(values_usd > 0, days, 0.0))


def liquidity_tail(weights: FloatArray, values: FloatArray, days: FloatArray, *, level: float) -> LiquidityTail | None:
    """Historical VaR and CVaR of a book with `weights` (n,) that is left evenly over `days` (n,) each.

    A position of which an equal part leaves every day of T is exposed like one held whole over
    (1 + T)(1 + 2T) / (6T) days (Jorion 2007, chapter 13), so that its daily losses in `values` (n_days, n) are
    scaled by the root of that: independent days, conservative where losses revert. Rows with NaN are dropped; None
    below 1 / (1 - level) of them. Shapes that do not fit and infinite returns raise StaleOrDisputed.
    """
    require_question(level, 1)
    if values.ndim != 2 or not weights.shape == days.shape == values.shape[1:]:  # noqa: PLR2004
        raise StaleOrDisputed(
            f"weights, days and returns have the shapes {weights.shape}, {days.shape}, {values.shape}"
        )
    refuse(~np.isfinite(weights), weights, column="weights", rule="must be finite")
    refuse(~(days >= 0), days, column="exit days", rule="must not be negative")
    known = complete_rows(values, name_columns(values))
    if known.shape[0] < least_observations(level):
        return None
    if (days > MAX_EXIT_DAYS).any():
        return LiquidityTail(exit_days=days, tail=None)
    factors = np.array([_exposure(float(count)) for count in days])
    return LiquidityTail(exit_days=days, tail=tail_of(known @ (weights * factors), level))


def _exposure(days: float) -> float:
    """Never below one day's: what leaves today was exposed today."""
    length = max(days, 1.0)
    return math.sqrt((1.0 + length) * (1.0 + 2.0 * length) / (6.0 * length))
