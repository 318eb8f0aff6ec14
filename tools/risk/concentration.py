"""How few bets a book is: of value by share, of risk by uncorrelated directions."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from domain.errors import StaleOrDisputed
from tools.history import FloatArray
from tools.risk.return_sample import TIE, refuse
from tools.solvers.conditioning import deviations_of

MAX_ASYMMETRY: Final = 1e-8


class Concentration(NamedTuple):
    """Sum of squared shares, 1 / n to 1, and its inverse: as many equal holdings are as concentrated."""

    herfindahl: float
    effective_holdings: float


def concentration(values: FloatArray) -> Concentration | None:
    """Of holdings worth `values`, shape (n,), any unit; None when all are worth nothing.

    A negative, infinite or unknown value raises StaleOrDisputed. Herfindahl (1950), Hirschman (1964).
    """
    refuse(~(np.isfinite(values) & (values >= 0)), values, column="values", rule="must be finite and not negative")
    total = float(values.sum())
    if total <= 0:
        return None
    herfindahl = float(np.sum((values / total) ** 2))
    return Concentration(herfindahl, 1.0 / herfindahl)


def effective_bets(weights: FloatArray, covariance: FloatArray) -> float | None:
    """Number of equally large uncorrelated bets with the same entropy, 1 to n; None for a book without variance.

    The exponential of the entropy of principal portfolios' shares of variance (Meucci 2009, Managing Diversification).
    `weights` (n,), `covariance` (n, n) symmetric without negative variance in any direction; anything else, or a
    number that is not finite, is StaleOrDisputed.
    """
    _require_covariance(weights, covariance)
    eigenvalues, vectors = np.linalg.eigh(covariance)
    variances = np.maximum(eigenvalues, 0.0) * (vectors.T @ weights) ** 2
    total = float(variances.sum())
    if total <= TIE**2 * float(np.trace(covariance)):
        return None
    shares = variances[variances > 0] / total
    return math.exp(-float(np.sum(shares * np.log(shares))))


def _require_covariance(weights: FloatArray, covariance: FloatArray) -> None:
    if weights.ndim != 1 or covariance.shape != (weights.size, weights.size) or not weights.size:
        raise StaleOrDisputed(f"weights have the shape {weights.shape}, their covariance {covariance.shape}")
    refuse(~np.isfinite(weights), weights, column="weights", rule="must be finite")
    for number, column in enumerate(covariance.T):
        refuse(~np.isfinite(column), column, column=f"covariance {number}", rule="must be finite")
    gap = float(np.abs(covariance - covariance.T).max())
    if gap > MAX_ASYMMETRY * float(np.abs(covariance).max()):
        raise StaleOrDisputed(f"covariance and its transpose differ by {gap}, must be equal")
    deviations_of(covariance)
