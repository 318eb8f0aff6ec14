"""Percentile intervals from the circular block bootstrap (Politis and Romano 1992), the same for the same seed."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from domain.risk import Estimate
from tools.history import FloatArray
from tools.risk.tail_definition import INTERVAL_CONFIDENCE

RESAMPLES: Final = 256
SEED: Final = 20_260_301  # fixed: the same input must give the same interval in every process


def bootstrapped(
    returns: FloatArray,
    statistic: Callable[[FloatArray], FloatArray],
    *,
    method: str,
    value: float | None = None,
    sample_size: int | None = None,
    block: int = 1,
    seed: int = SEED,
) -> Estimate:
    """The statistic of (n,) returns with its interval; `statistic` maps (m, n) paths to (m,) numbers.

    Blocks are about the cube root of n long, and at least `block`. A `value` that was measured otherwise is kept.
    """
    measured = float(statistic(returns[None, :])[0]) if value is None else value
    tail = (1.0 - INTERVAL_CONFIDENCE) / 2.0
    drawn = statistic(returns[resampled_days(returns.size, block, seed)])
    low, high = np.quantile(drawn, [tail, 1.0 - tail])
    return Estimate(
        value=measured,
        lower=min(float(low), measured),
        upper=max(float(high), measured),
        confidence=INTERVAL_CONFIDENCE,
        sample_size=returns.size if sample_size is None else sample_size,
        method=method,
    )


@lru_cache(maxsize=64)
def resampled_days(count: int, block: int, seed: int = SEED, resamples: int = RESAMPLES) -> NDArray[np.int64]:
    """Which day stands where, (resamples, count); kept, because every statistic of a book draws the same."""
    length = min(max(block, round(count ** (1.0 / 3.0))), count)
    starts = np.random.default_rng(seed).integers(0, count, size=(resamples, -(-count // length)))
    days = ((starts[:, :, None] + np.arange(length)) % count).reshape(resamples, -1)[:, :count]
    days.setflags(write=False)
    return days
