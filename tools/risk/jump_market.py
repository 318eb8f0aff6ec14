"""The law of a market with jumps, read from its history: days that jumped become sources, the others a Student-t."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from tools.history import FloatArray
from tools.risk.filtered_tail import PEGGED, WARMUP_DAYS, ewma_deviations
from tools.risk.jump_mixture import TailMarket
from tools.risk.return_sample import complete_rows, name_columns
from tools.risk.student_t import matched_freedom

MIN_DAYS: Final = 100
MOST_FREEDOM: Final = 100.0
"""Beyond it a t is a normal for every purpose here."""
JUMP_DEVIATIONS: Final = 6.0


def jump_market(values: FloatArray, columns: Sequence[str] | None = None) -> TailMarket | None:
    """From daily returns (n_days, n): each day on which a column fell more than six of its deviations is one source.

    A source takes from each column what that day took, if it fell, and comes with 1 / n_days a day: falls that came
    together stay together. The other days give mean, covariance (n - 1) and, as the median over columns, the freedom
    that matches their kurtosis. Rows with NaN are dropped; None below 130 of them; infinity raises StaleOrDisputed.
    """
    known = complete_rows(values, name_columns(values) if columns is None else columns)
    if known.shape[0] < WARMUP_DAYS + MIN_DAYS or not known.shape[1]:
        return None
    judged = known[WARMUP_DAYS:]
    jumped = np.column_stack([_jumped(column) for column in known.T]).any(axis=1)
    calm = judged[~jumped]
    freedoms = [min(matched_freedom(column), MOST_FREEDOM) for column in calm.T]
    return TailMarket(
        mean=np.asarray(calm.mean(axis=0)),
        covariance=np.atleast_2d(np.cov(calm, rowvar=False)),
        freedom=float(np.median(freedoms)),
        jump_probability=np.full(int(np.count_nonzero(jumped)), 1.0 / judged.shape[0]),
        jump_loss=np.clip(-judged[jumped], 0.0, 1.0),
    )


def _jumped(column: FloatArray) -> FloatArray:
    deviations = ewma_deviations(column, PEGGED.decay)[WARMUP_DAYS:-1]
    return np.asarray((column[WARMUP_DAYS:] < -JUMP_DEVIATIONS * deviations) & (deviations > 0))
