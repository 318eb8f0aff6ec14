"""Loops of the batch risk measures, written for a compiler (numba, the optional extra `fast`) and plain to read.

They run uncompiled, too, only slowly. Both must equal tools/risk/risk_batch.py's array forms.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import Final, NamedTuple, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from tools.history import FloatArray

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
Compiler = Callable[[Callable[Parameters, Result]], Callable[Parameters, Result]]
Select = Callable[[FloatArray, int, int], float]
BookKernel = Callable[[FloatArray, FloatArray, int, float], tuple[float, float, float, float]]
BlockKernel = Callable[[FloatArray, FloatArray, NDArray[np.int64], FloatArray, int, float, float], float]

CANDIDATE_DEVIATIONS: Final = 1.45
"""Returns so far below their mean are looked at for the tail: some 7 % of normal ones. Too few, and all are."""
SPARE: Final = 0.98
"""How much nearer to the mean than the nearest quantile of one block the next block looks."""
COUNTED: Final = 96
"""Up to so many values it is faster to count ranks without a branch than to partition."""
RELAXED: Final = {"reassoc", "contract", "nsz", "arcp"}
"""What may be reordered; NaN and infinity keep their meaning."""


class Kernels(NamedTuple):
    """`book`: one path (n_days,). `block`: paths (n_days, m), result (4, m) in the order of the book's answer.

    The block looks for its tails from `reach` deviations below the mean on, and returns the reach that would have
    found them all with little else, for the next block.
    """

    book: BookKernel
    block: BlockKernel


def is_compiler_installed() -> bool:
    return find_spec("numba") is not None


@lru_cache(maxsize=1)
def compiled_kernels() -> Kernels:
    """Compiled on first use, in a second or two; raises ImportError without numba."""
    return build_kernels(import_module("numba").njit(fastmath=RELAXED))


def build_kernels(compiler: Compiler) -> Kernels:  # type: ignore[type-arg]  # one compiler for all signatures
    select = _select_kernel(compiler)
    return Kernels(book=_book_kernel(compiler, select), block=_block_kernel(compiler, select))


def _select_kernel(compiler: Compiler) -> Select:  # type: ignore[type-arg]  # as above
    count_ranks: Select = compiler(_count_ranks)
    partition: Select = compiler(_partition)

    def kth_smallest(values: FloatArray, count: int, index: int) -> float:
        """Of the first `count` values; may move them."""
        return count_ranks(values, count, index) if count <= COUNTED else partition(values, count, index)

    compiled: Select = compiler(kth_smallest)
    return compiled


def _count_ranks(values: FloatArray, count: int, index: int) -> float:
    for place in range(count):
        below = upto = 0
        for other in range(count):
            below += values[other] < values[place]
            upto += values[other] <= values[place]
        if below <= index < upto:
            return float(values[place])
    return np.nan


def _partition(values: FloatArray, count: int, index: int) -> float:
    """Hoare's quickselect."""
    low, high = 0, count - 1
    while low < high:
        pivot = values[(low + high) >> 1]
        left, right = low, high
        while left <= right:
            while values[left] < pivot:
                left += 1
            while values[right] > pivot:
                right -= 1
            if left <= right:
                values[left], values[right] = values[right], values[left]
                left += 1
                right -= 1
        low, high = (low if index <= right else left), (high if index >= left else right)
        if right < index < left:
            break
    return float(values[index])


def _book_kernel(compiler: Compiler, select: Select) -> BookKernel:  # type: ignore[type-arg]  # as above
    def scan(path: FloatArray, candidates: FloatArray, beyond: int, mass: float) -> tuple[float, float, float, float]:
        days = path.size
        total = squares = 0.0
        for day in range(days):
            total += path[day]
        mean = total / days
        for day in range(days):
            squares += (path[day] - mean) ** 2
        deviation = np.sqrt(squares / (days - 1))
        bound = mean - CANDIDATE_DEVIATIONS * deviation
        wealth = peak = lowest = 1.0
        count = 0
        for day in range(days):
            candidates[count] = path[day]
            count += path[day] < bound
            wealth *= 1.0 + path[day]
            peak = wealth if wealth > peak else peak
            lowest = wealth / peak if wealth / peak < lowest else lowest
        if count <= beyond:
            count = days
            candidates[:days] = path
        quantile = select(candidates, count, beyond)
        excess = 0.0
        for place in range(count):
            excess += quantile - candidates[place] if candidates[place] < quantile else 0.0
        return -quantile, -quantile + excess / mass, 1.0 - lowest, deviation

    compiled: BookKernel = compiler(scan)
    return compiled


def _block_kernel(compiler: Compiler, select: Select) -> BlockKernel:  # type: ignore[type-arg]  # as above
    scan_moments, scan_days = compiler(_scan_moments), compiler(_scan_days)

    def scan(
        paths: FloatArray,
        candidates: FloatArray,
        counts: NDArray[np.int64],
        result: FloatArray,
        beyond: int,
        mass: float,
        reach: float,
    ) -> float:
        days, books = paths.shape
        bounds = np.empty(books)
        nearest = np.inf
        scan_moments(paths, result[3], bounds, reach)
        scan_days(paths, bounds, candidates, counts, result[2])
        for book in range(books):
            count = counts[book]
            if count <= beyond:
                count = days
                candidates[book, :days] = paths[:, book]
            quantile = select(candidates[book], count, beyond)
            excess = 0.0
            for place in range(count):
                excess += quantile - candidates[book, place] if candidates[book, place] < quantile else 0.0
            result[0, book] = -quantile
            result[1, book] = -quantile + excess / mass
            if result[3, book] > 0:
                nearest = min(nearest, (bounds[book] - quantile) / result[3, book] + reach)
        return SPARE * nearest if nearest < np.inf else reach

    compiled: BlockKernel = compiler(scan)
    return compiled


def _scan_moments(paths: FloatArray, deviations: FloatArray, bounds: FloatArray, reach: float) -> None:
    """Deviation per book, and the return below which it becomes a candidate for the tail."""
    days, books = paths.shape
    means, squares = np.zeros(books), np.zeros(books)
    for day in range(days):
        for book in range(books):
            means[book] += paths[day, book]
    for book in range(books):
        means[book] /= days
    for day in range(days):
        for book in range(books):
            squares[book] += (paths[day, book] - means[book]) ** 2
    for book in range(books):
        deviations[book] = np.sqrt(squares[book] / (days - 1))
        bounds[book] = means[book] - reach * deviations[book]


def _scan_days(
    paths: FloatArray, bounds: FloatArray, candidates: FloatArray, counts: NDArray[np.int64], drawdowns: FloatArray
) -> None:
    """Deepest drawdown per book, and its candidates; innermost are the books, which a processor takes eight at once."""
    days, books = paths.shape
    depth, lowest = np.ones(books), np.ones(books)
    counts[:books] = 0
    for day in range(days):
        for book in range(books):
            grown = depth[book] * (1.0 + paths[day, book])  # wealth over its peak, which is 1 at a new peak
            depth[book] = grown if grown < 1.0 else 1.0
            lowest[book] = depth[book] if depth[book] < lowest[book] else lowest[book]
        for book in range(books):  # without a branch: one in fourteen cannot be predicted
            candidates[book, counts[book]] = paths[day, book]
            counts[book] += paths[day, book] < bounds[book]
    for book in range(books):
        drawdowns[book] = 1.0 - lowest[book]
