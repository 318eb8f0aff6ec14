"""What each holding adds to the risk of a book: components sum to the total, marginals are its derivatives.

Euler's decomposition of a measure that is homogeneous of degree one (Tasche 1999; McNeil, Frey and Embrechts 2015,
8.5). Nothing is floored at zero here: a hedge has a negative component, and only then does the sum hold.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from domain.errors import StaleOrDisputed
from tools.history import DAYS_PER_YEAR, FloatArray
from tools.risk.return_sample import (
    MIN_OBSERVATIONS,
    complete_rows,
    least_observations,
    name_columns,
    refuse,
    require_question,
)
from tools.risk.tail_definition import quantile_index

SAME_LOSS: Final = 1e-15
STANDS_STILL: Final = 1e-12
"""Against the sum of the holdings' own sizes: a book that moves less moves by rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class Contributions:
    """Arrays of shape (n,): `component` sums to `total`; `marginal` is the change of the total per unit of weight."""

    total: float
    component: FloatArray
    marginal: FloatArray


def volatility_contributions(weights: FloatArray, values: FloatArray) -> Contributions | None:
    """Of the annualized deviation (n - 1) of (n_days, n) returns; rows with NaN dropped; None below 2 rows.

    A book that does not move, up to rounding, has no derivative: None.
    """
    known = _known_rows(weights, values, least=MIN_OBSERVATIONS)
    if known is None or not _moves(weights, known):
        return None
    centred = known - known.mean(axis=0)
    scale = DAYS_PER_YEAR / (known.shape[0] - 1)
    covariance_with_book = centred.T @ (centred @ weights) * scale
    variance = float(weights @ covariance_with_book)
    if variance <= 0:
        return None
    return _contributions(weights, covariance_with_book / math.sqrt(variance))


def cvar_contributions(weights: FloatArray, values: FloatArray, *, level: float) -> Contributions | None:
    """Of the historical CVaR: minus the mean return of each column over the worst 1 - level of probability.

    The day at VaR counts with its fraction, as in tail_definition.py; days that tie with it share the fraction.
    Rows of (n_days, n) with NaN are dropped; None below 1 / (1 - level) rows.
    """
    return _tail_contributions(weights, values, level, whole_tail=True)


def var_contributions(weights: FloatArray, values: FloatArray, *, level: float) -> Contributions | None:
    """Of the historical VaR: minus the mean return of each column on the days whose loss is the VaR.

    That is the conditional expectation of Tasche (1999) and rests on one day where no two tie: exact in sum, noisy in
    its parts. Prefer CVaR's. Rows of (n_days, n) with NaN are dropped; None below 1 / (1 - level) rows.
    """
    return _tail_contributions(weights, values, level, whole_tail=False)


def _tail_contributions(
    weights: FloatArray, values: FloatArray, level: float, *, whole_tail: bool
) -> Contributions | None:
    require_question(level, 1)
    known = _known_rows(weights, values, least=least_observations(level))
    if known is None:
        return None
    losses = -known @ weights
    index = quantile_index(level, losses.size)
    quantile = float(np.partition(losses, index)[index])
    at_quantile = np.abs(losses - quantile) <= SAME_LOSS * max(abs(quantile), 1.0)
    share = at_quantile / np.count_nonzero(at_quantile)
    if whole_tail:
        beyond = (losses > quantile) & ~at_quantile
        mass = (1.0 - level) * losses.size
        share = (beyond + share * (mass - np.count_nonzero(beyond))) / mass
    return _contributions(weights, -known.T @ share)


def _contributions(weights: FloatArray, marginal: FloatArray) -> Contributions:
    component = np.asarray(weights * marginal)
    return Contributions(total=float(component.sum()), component=component, marginal=np.asarray(marginal))


def _moves(weights: FloatArray, known: FloatArray) -> bool:
    size = float(np.max(np.abs(known) @ np.abs(weights), initial=0.0))
    return float(np.ptp(known @ weights)) > STANDS_STILL * size


def _known_rows(weights: FloatArray, values: FloatArray, *, least: int) -> FloatArray | None:
    if values.ndim != 2 or weights.shape != values.shape[1:]:  # noqa: PLR2004
        raise StaleOrDisputed(f"weights have the shape {weights.shape}, returns {values.shape}")
    refuse(~np.isfinite(weights), weights, column="weights", rule="must be finite")
    known = complete_rows(values, name_columns(values))
    return known if known.shape[0] >= least else None
