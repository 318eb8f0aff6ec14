"""Student's t with variance one: quantile, expected shortfall, and the freedom that matches a sample's kurtosis."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from scipy.special import ndtri, stdtrit

from tools.history import FloatArray
from tools.risk.return_sample import TIE
from tools.risk.tail_definition import Tail

MIN_FREEDOM: Final = 2.0
"""At and below it a t has no variance."""


def standard_tail(level: float, freedom: float = math.inf) -> Tail:
    """Quantile and expected shortfall of a t with variance one; a normal where freedom is infinite.

    McNeil, Frey and Embrechts (2015), 2.3.4. Freedom must be above 2.
    """
    if math.isinf(freedom):
        quantile = float(ndtri(level))
        return Tail(quantile, math.exp(-(quantile**2) / 2.0) / math.sqrt(2.0 * math.pi) / (1.0 - level))
    scale = math.sqrt((freedom - MIN_FREEDOM) / freedom)
    quantile = float(stdtrit(freedom, level))
    shortfall = density(quantile, freedom) / (1.0 - level) * (freedom + quantile**2) / (freedom - 1.0)
    return Tail(scale * quantile, scale * shortfall)


def density(x: float, freedom: float) -> float:
    """Of the t with its usual variance, freedom / (freedom - 2)."""
    return float(math.exp(log_norm(freedom)) * (1.0 + x * x / freedom) ** (-(freedom + 1.0) / 2.0))


def log_norm(freedom: float) -> float:
    """Logarithm of the density at 0."""
    return math.lgamma((freedom + 1.0) / 2.0) - math.lgamma(freedom / 2.0) - 0.5 * math.log(freedom * math.pi)


def matched_freedom(returns: FloatArray) -> float:
    """Freedom of the t with the kurtosis of (n,) returns, 3 + 6 / (freedom - 4); infinite where there is no excess."""
    centred = returns - returns.mean()
    variance = float(np.mean(centred**2))
    excess = float(np.mean(centred**4)) / variance**2 - 3.0 if variance > 0 else 0.0
    return 4.0 + 6.0 / excess if excess > TIE else math.inf
