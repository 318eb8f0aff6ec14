"""What solvers are not trusted with: input that is no number, columns that never move, units far from one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from domain.errors import StaleOrDisputed
from tools.history import FloatArray

CONSTANT_DEVIATION: Final = 1e-12
"""Against the column's own size: below it a deviation is rounding, not movement."""
NEGATIVE_EIGENVALUE: Final = 1e-9
MIN_OBSERVATIONS: Final = 2


def require_finite(name: str, values: FloatArray, columns: Sequence[str] = ()) -> None:
    """Raises StaleOrDisputed naming the first row and column that hold NaN or an infinity."""
    known = np.isfinite(values)
    if known.all():
        return
    bad = np.argwhere(~known)
    *row, column = (int(index) for index in bad[0])
    subject = columns[column] if columns else str(column)
    where = f"row {row[0]}, column {subject}" if row else f"entry {subject}"
    raise StaleOrDisputed(f"{name}, {where}: {values[tuple(bad[0])]}, every value must be a finite number")


def require_shape(name: str, values: FloatArray, shape: tuple[int, ...]) -> None:
    """Raises StaleOrDisputed when another shape came."""
    if values.shape != shape:
        raise StaleOrDisputed(f"{name} has shape {values.shape}, {shape} is required")


def covariance_of(returns: FloatArray, columns: Sequence[str] = ()) -> FloatArray:
    """Sample covariance (n - 1) of returns (days, n), shape (n, n), per day; a column that never moves is exactly 0.

    Raises StaleOrDisputed on fewer than two days, NaN or an infinity.
    """
    require_finite("returns", returns, columns)
    if returns.shape[0] < MIN_OBSERVATIONS:
        raise StaleOrDisputed(f"returns have {returns.shape[0]} days, a covariance needs {MIN_OBSERVATIONS}")
    centred = np.where(moves(returns), returns - returns.mean(axis=0), 0.0)
    return np.asarray(centred.T @ centred / (returns.shape[0] - 1))


def moves(returns: FloatArray) -> NDArray[np.bool_]:
    """Columns of (days, n) that deviate from their mean by more than rounding; shape (n,)."""
    size = np.max(np.abs(returns), axis=0, initial=0.0)
    return np.asarray(np.ptp(returns, axis=0) > CONSTANT_DEVIATION * size)


def deviations_of(covariance: FloatArray) -> FloatArray:
    """Standard deviations, shape (n,). Raises StaleOrDisputed on a matrix that is no covariance, saying why."""
    require_shape("covariance", covariance, (covariance.shape[0], covariance.shape[0]))
    require_finite("covariance", covariance)
    variances = np.diag(covariance)
    if np.any(variances < 0):
        column = int(np.argmin(variances))
        raise StaleOrDisputed(f"covariance, column {column}: variance {variances[column]:.3g}, the least is 0")
    deviations = np.sqrt(variances)
    correlation = correlation_of(covariance, deviations)
    if np.max(np.abs(correlation - correlation.T), initial=0.0) > NEGATIVE_EIGENVALUE:
        raise StaleOrDisputed("covariance is not symmetric")
    least = float(np.linalg.eigvalsh(correlation).min(initial=0.0))
    if least < -NEGATIVE_EIGENVALUE * covariance.shape[0]:
        raise StaleOrDisputed(f"covariance has eigenvalue {least:.3g} of its correlation, the least is 0")
    return np.asarray(deviations)


def correlation_of(covariance: FloatArray, deviations: FloatArray) -> FloatArray:
    """Covariance in units of the deviations; a column that never moves correlates with nothing, itself included."""
    units = np.where(deviations > 0, deviations, 1.0)
    return np.asarray(covariance / units[:, None] / units[None, :])
