"""The one definition of VaR and CVaR in this product, for equal and for weighted scenarios.

VaR is the lower quantile of the loss, inf{l : F(l) >= level}; CVaR averages the worst 1 - level of probability, with
the fraction of the atom at VaR that belongs to it (Rockafellar and Uryasev 2002, definition 3 and proposition 8).
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from scipy.special import bdtr

from tools.history import FloatArray
from tools.risk.return_sample import TIE

INTERVAL_CONFIDENCE: Final = 0.9


class Tail(NamedTuple):
    """Losses as fractions of one, never negative: what only gains has no tail."""

    var: float
    cvar: float


def tail_of(returns: FloatArray, level: float) -> Tail:
    """Of one series of shape (n,), n >= 1, without NaN."""
    var, cvar = tail_matrix(returns[None, :], level)
    return Tail(float(var[0]), float(cvar[0]))


def tail_matrix(paths: FloatArray, level: float) -> tuple[FloatArray, FloatArray]:
    """VaR and CVaR per row of (m, n) returns without NaN, both floored at zero."""
    count = paths.shape[1]
    index = quantile_index(level, count)
    losses = np.partition(-paths, index, axis=1)
    quantile = losses[:, index]
    excess = (losses[:, index:] - quantile[:, None]).sum(axis=1)
    cvar = quantile + excess / ((1.0 - level) * count)
    return np.maximum(quantile, 0.0), np.maximum(cvar, 0.0)


def weighted_tail(losses: FloatArray, probabilities: FloatArray, level: float) -> Tail:
    """Of scenarios with probabilities that sum to one, both of shape (n,), n >= 1, without NaN."""
    order = np.argsort(losses, kind="stable")
    ranked = losses[order]
    index = int(np.searchsorted(np.cumsum(probabilities[order]), level - TIE / losses.size))
    quantile = float(ranked[min(index, losses.size - 1)])
    excess = float(probabilities @ np.maximum(losses - quantile, 0.0))
    return Tail(max(quantile, 0.0), max(quantile + excess / (1.0 - level), 0.0))


def quantile_index(level: float, count: int) -> int:
    """Which of `count` rising losses is the quantile, counted from 0."""
    return min(max(math.ceil(level * count - TIE) - 1, 0), count - 1)


def order_statistics(losses: FloatArray, level: float, independent: int) -> tuple[float, float]:
    """Losses of rising order between which the quantile lies with INTERVAL_CONFIDENCE, cut at the worst one seen.

    From the binomial law of the count below it (David and Nagaraja 2003, 7.1), as if `independent` had been seen.
    """
    cumulative = bdtr(np.arange(independent + 1), independent, level)
    tail = (1.0 - INTERVAL_CONFIDENCE) / 2.0
    low = int(np.searchsorted(cumulative, tail))
    high = int(np.searchsorted(cumulative, 1.0 - tail)) + 1
    positions = [min(max(rank, 1), independent) / independent for rank in (low, high)]
    low_loss, high_loss = (float(losses[quantile_index(position, losses.size)]) for position in positions)
    return max(low_loss, 0.0), max(high_loss, 0.0)
