"""How subjects move together: sample, shrunk and stressed correlation of daily returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from tools.history import FloatArray
from tools.risk.return_sample import MIN_SPREAD_DAYS, TIE, complete_rows, name_columns

STRESSED_SHARE: Final = 0.2
"""Share of days that count as stress: those on which the average subject lost most."""
MIN_STRESSED_DAYS: Final = 20


@dataclass(frozen=True, slots=True, eq=False)
class Correlation:
    """(n, n) matrices over the rows where every column is known; a constant column correlates with nothing."""

    sample: FloatArray
    shrunk: FloatArray
    shrinkage: float
    sample_size: int


@dataclass(frozen=True, slots=True, eq=False)
class StressedCorrelation:
    """(n, n) matrix that is never below the sample's, and the number of days it was seen on."""

    values: FloatArray
    stressed_days: int


def correlation(values: FloatArray, columns: Sequence[str] | None = None) -> Correlation | None:
    """Sample and Ledoit-Wolf (2004) shrunk correlation of (n_days, n_subjects); None below 10 complete rows.

    Columns are standardized first: shrinking covariances towards one variance would drown stable coins in ether.
    """
    from sklearn.covariance import ledoit_wolf  # costs 1.6 s to import

    complete = complete_rows(values, name_columns(values) if columns is None else columns)
    if complete.shape[0] < MIN_SPREAD_DAYS or not complete.shape[1]:
        return None
    scaled = _standardized(complete)
    covariance, shrinkage = ledoit_wolf(scaled, assume_centered=True)
    diagonal = np.sqrt(np.diag(covariance))
    shrunk = np.asarray(covariance / np.outer(diagonal, diagonal)) if diagonal.all() else np.eye(diagonal.size)
    return Correlation(
        sample=_product(scaled), shrunk=shrunk, shrinkage=float(shrinkage), sample_size=complete.shape[0]
    )


def stressed_correlation(values: FloatArray, columns: Sequence[str] | None = None) -> StressedCorrelation | None:
    """What diversification is left on bad days: the larger of the sample's and the bad days' correlation.

    Bad days are the worst fifth by the mean of standardized returns, so that no large column decides alone; columns
    keep the mean and deviation of all days. The maximum per pair may lose definiteness: eigenvalues below zero are
    cut (Higham 2002, one projection) and the diagonal restored. (n_days, n_subjects) in; None below 20 bad days.
    """
    complete = complete_rows(values, name_columns(values) if columns is None else columns)
    if round(complete.shape[0] * STRESSED_SHARE) < MIN_STRESSED_DAYS or not complete.shape[1]:
        return None
    scaled = _standardized(complete)
    market = scaled.mean(axis=1)
    days = np.argsort(market, kind="stable")[: round(complete.shape[0] * STRESSED_SHARE)]
    worst = _unit_diagonal(scaled[days].T @ scaled[days])
    return StressedCorrelation(values=_definite(np.maximum(_product(scaled), worst)), stressed_days=days.size)


def _standardized(complete: FloatArray) -> FloatArray:
    """Mean 0 and deviation 1 per column; zero throughout where a column is constant up to rounding."""
    centred = complete - complete.mean(axis=0)
    deviations = centred.std(axis=0)
    return np.asarray(np.divide(centred, deviations, out=np.zeros_like(centred), where=deviations > TIE**2))


def _product(scaled: FloatArray) -> FloatArray:
    sample = np.asarray(scaled.T @ scaled / scaled.shape[0])
    np.fill_diagonal(sample, 1.0)
    return sample


def _unit_diagonal(covariance: FloatArray) -> FloatArray:
    deviations = np.sqrt(np.diag(covariance))
    both = np.outer(deviations, deviations)
    matrix = np.asarray(np.divide(covariance, both, out=np.zeros_like(covariance), where=both > 0))
    np.fill_diagonal(matrix, 1.0)
    return matrix


def _definite(matrix: FloatArray) -> FloatArray:
    eigenvalues, vectors = np.linalg.eigh(matrix)
    return _unit_diagonal((vectors * np.maximum(eigenvalues, 0.0)) @ vectors.T)
