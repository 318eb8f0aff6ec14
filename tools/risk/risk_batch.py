"""Four measures of many books over the same days in one call: VaR, CVaR, deepest drawdown and deviation.

Plain NumPy, or loops compiled by the optional extra `fast`; the answer says which, and both agree to 1e-12.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

import numpy as np

from domain.errors import StaleOrDisputed
from tools.history import FloatArray
from tools.risk.return_sample import least_observations, name_columns, refuse, require_question
from tools.risk.risk_kernels import CANDIDATE_DEVIATIONS, compiled_kernels, is_compiler_installed
from tools.risk.tail_definition import quantile_index

ROWS_AT_ONCE: Final = 128
"""Books whose paths together stay in the second-level cache."""
BOOKS_AT_ONCE: Final = 5000
DAYS_AT_ONCE: Final = 24


class Path(StrEnum):
    PLAIN = "plain"
    FAST = "fast"


class BookRisk(NamedTuple):
    """Fractions of one over one day; deviation is daily (n - 1), drawdown that of compounded wealth."""

    var: float
    cvar: float
    max_drawdown: float
    deviation: float
    path: Path


@dataclass(frozen=True, slots=True, eq=False)
class BatchRisk:
    """The same for m books, arrays of shape (m,)."""

    var: FloatArray
    cvar: FloatArray
    max_drawdown: FloatArray
    deviation: FloatArray
    path: Path


def best_path() -> Path:
    return Path.FAST if is_compiler_installed() else Path.PLAIN


def book_risk(returns: FloatArray, weights: FloatArray, *, level: float, path: Path = Path.PLAIN) -> BookRisk | None:
    """Of one book with constant `weights` (n,) over daily `returns` (n_days, n), by tools/risk/tail_definition.py.

    None below 1 / (1 - level) days. A NaN or infinity, a book that loses more than it is worth, no assets at
    all, and shapes that do not fit raise StaleOrDisputed. Fast without the extra raises ImportError.
    """
    beyond = _tail_days(returns, weights, level)
    if beyond is None:
        return None
    book = returns @ weights
    mass = (1.0 - level) * book.size
    if path is Path.FAST:
        measured = compiled_kernels().book(book, np.empty(book.size + 1), beyond, mass)
    else:
        measured = _measure(book, beyond, mass)
    var, cvar, drawdown, deviation = measured
    if not (deviation < np.inf and drawdown <= 1.0):
        _explain(returns, weights[None, :], np.array([drawdown]))
    return BookRisk(max(var, 0.0), max(cvar, 0.0), drawdown, deviation, path)


def batch_risk(returns: FloatArray, weights: FloatArray, *, level: float, path: Path = Path.PLAIN) -> BatchRisk | None:
    """Of m books with constant `weights` (m, n) over daily `returns` (n_days, n); otherwise as `book_risk`."""
    if weights.ndim != 2:  # noqa: PLR2004
        raise StaleOrDisputed(f"weights of a batch have {weights.ndim} dimensions, must have 2")
    beyond = _tail_days(returns, weights, level)
    if beyond is None:
        return None
    mass = (1.0 - level) * returns.shape[0]
    result = np.empty((4, weights.shape[0]))
    if path is Path.FAST:
        _run_kernel(returns, weights, result, beyond, mass)
    else:
        _fill_tails(returns, weights, result, beyond, mass)
        _fill_drawdowns(returns, weights, result[2])
        _fill_deviations(returns, weights, result[3])
    if not ((result[3] < np.inf).all() and (result[2] <= 1.0).all()):
        _explain(returns, weights, result[2])
    var, cvar = np.maximum(result[:2], 0.0)
    return BatchRisk(var, cvar, result[2], result[3], path)


def _tail_days(returns: FloatArray, weights: FloatArray, level: float) -> int | None:
    """How many of the worst days lie beyond the quantile; None when there are too few days to say."""
    require_question(level, 1)
    if returns.ndim != 2 or returns.shape[1:] != weights.shape[-1:]:  # noqa: PLR2004
        raise StaleOrDisputed(f"weights have the shape {weights.shape}, returns {returns.shape}")
    if not returns.shape[1]:
        raise StaleOrDisputed(f"returns have the shape {returns.shape}: a book needs at least one column")
    days = returns.shape[0]
    return days - 1 - quantile_index(level, days) if days >= least_observations(level) else None


def _measure(book: FloatArray, beyond: int, mass: float) -> tuple[float, float, float, float]:
    ranked = np.partition(book, beyond)
    quantile = float(ranked[beyond])
    excess = beyond * quantile - float(ranked[:beyond].sum())
    centred = book - book.sum() / book.size
    wealth = np.cumprod(book + 1.0)
    peaks = np.maximum.accumulate(wealth)
    np.maximum(peaks, 1.0, out=peaks)
    wealth /= peaks
    drawdown = 1.0 - min(float(wealth.min()), 1.0)
    return -quantile, -quantile + excess / mass, drawdown, float(np.sqrt(centred @ centred / (book.size - 1)))


def _run_kernel(returns: FloatArray, weights: FloatArray, result: FloatArray, beyond: int, mass: float) -> None:
    block, days = compiled_kernels().block, returns.shape[0]
    candidates = np.empty((ROWS_AT_ONCE, days + 1))
    counts = np.empty(ROWS_AT_ONCE, dtype=np.int64)
    paths = np.empty(ROWS_AT_ONCE * days)
    reach = CANDIDATE_DEVIATIONS
    for start in range(0, weights.shape[0], ROWS_AT_ONCE):
        chosen = weights[start : start + ROWS_AT_ONCE]
        books = chosen.shape[0]
        block_paths = np.matmul(returns, chosen.T, out=paths[: days * books].reshape(days, books))
        reach = block(block_paths, candidates, counts, result[:, start : start + books], beyond, mass, reach)


def _fill_tails(returns: FloatArray, weights: FloatArray, result: FloatArray, beyond: int, mass: float) -> None:
    by_asset = np.ascontiguousarray(returns.T)
    paths = np.empty((ROWS_AT_ONCE, returns.shape[0]))
    quantile, beyond_sum = np.empty((2, weights.shape[0]))
    for start in range(0, weights.shape[0], ROWS_AT_ONCE):
        chosen = weights[start : start + ROWS_AT_ONCE]
        books = np.matmul(chosen, by_asset, out=paths[: chosen.shape[0]])
        books.partition(beyond, axis=1)
        quantile[start : start + ROWS_AT_ONCE] = books[:, beyond]
        beyond_sum[start : start + ROWS_AT_ONCE] = books[:, :beyond].sum(axis=1)
    result[0] = -quantile
    result[1] = -quantile + (beyond * quantile - beyond_sum) / mass


def _fill_drawdowns(returns: FloatArray, weights: FloatArray, drawdowns: FloatArray) -> None:
    """Wealth over its peak grows with each day and is cut at 1, a new peak; days outside, books inside."""
    days, books = returns.shape[0], weights.shape[0]
    growth = np.column_stack((returns, np.ones(days)))
    holdings = np.column_stack((weights, np.ones(books)))
    for start in range(0, books, BOOKS_AT_ONCE):
        chosen = np.ascontiguousarray(holdings[start : start + BOOKS_AT_ONCE].T)
        peak = np.ones(chosen.shape[1])
        depth, lowest = peak.copy(), peak.copy()
        for first in range(0, days, DAYS_AT_ONCE):
            for grown in growth[first : first + DAYS_AT_ONCE] @ chosen:
                np.multiply(depth, grown, out=depth)
                np.minimum(depth, peak, out=depth)
                np.minimum(lowest, depth, out=lowest)
        drawdowns[start : start + BOOKS_AT_ONCE] = 1.0 - lowest


def _fill_deviations(returns: FloatArray, weights: FloatArray, deviations: FloatArray) -> None:
    """From the triangular factor of the centred returns: exact where books hedge, unlike their covariance."""
    factor: FloatArray = np.asarray(np.linalg.qr(returns - returns.mean(axis=0), mode="r"))
    scaled = weights @ factor.T
    deviations[:] = np.sqrt(np.einsum("ij,ij->i", scaled, scaled) / (returns.shape[0] - 1))


def _explain(returns: FloatArray, weights: FloatArray, drawdowns: FloatArray) -> None:
    """Which number made the answer impossible: looked for only afterwards, because reading all of them costs more."""
    names: Sequence[str] = name_columns(returns)
    for number, column in enumerate(names):
        refuse(~np.isfinite(returns[:, number]), returns[:, number], column=column, rule="must be finite")
    for number, row in enumerate(weights):
        refuse(~np.isfinite(row), row, column=f"weights of book {number}", rule="must be finite")
    refuse(
        ~(drawdowns <= 1.0),
        drawdowns,
        column="drawdowns",
        rule="must be at most 1: the book loses more than it is worth",
    )
