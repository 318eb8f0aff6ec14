"""The risk of one book and of ten thousand against skfolio.measures, and computed jumps against simulated ones.

`python -m bench.risk` measures this part alone. CPU time, by turns, medians; both sides begin with returns and weights.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from importlib import import_module
from typing import Final, NamedTuple

import numpy as np

from bench.figures import Figure, table
from domain.errors import InvariantBroken
from tools.history import FloatArray
from tools.risk import jump_mixture
from tools.risk.jump_mixture import TailMarket, jump_tail
from tools.risk.risk_batch import Path, batch_risk, best_path, book_risk
from tools.risk.tail_definition import Tail, tail_of

DAYS: Final = 730
ASSETS: Final = 50
BOOKS: Final = 10_000
LEVEL: Final = 0.95
JUMP_LEVEL: Final = 0.99
ROUNDS: Final = 7
CALLS: Final = 50
"""Calls of one book in a turn, each with other weights."""
BATCH_ROUNDS: Final = 5
SIMULATIONS: Final = 16
SCENARIOS: Final = 100_000
FREEDOM: Final = 5.0
FINE_GRID: Final = 16_385
SEED: Final = 4
SAME: Final = 1e-12
MIN_SPEEDUP: Final = 7.0
MIN_TAIL_SPEEDUP: Final = 100.0

Work = Callable[[], object]


class Simulated(NamedTuple):
    """Root mean square errors of VaR and CVaR, relative, and how far the mean is off in its own standard errors."""

    errors: Tail
    offsets: Tail


def risk_figures() -> list[Figure]:
    source = np.random.default_rng(SEED)
    returns = source.standard_t(FREEDOM, (DAYS, ASSETS)) * 0.01
    weights = source.dirichlet(np.ones(ASSETS), BOOKS)
    require_equal(returns, weights[:CALLS])
    return [*_book_figures(returns, weights), *_batch_figures(returns, weights), *_tail_figures()]


def require_equal(returns: FloatArray, weights: FloatArray) -> None:
    """Raises InvariantBroken unless both paths give the peer's values: a faster number has to be the same number."""
    expected = np.abs(np.array(measure_with_peer(returns, weights)))
    for path in {Path.PLAIN, best_path()}:
        found = batch_risk(returns, weights, level=LEVEL, path=path)
        if found is None:
            raise InvariantBroken(f"{DAYS} days are too few for level {LEVEL}")
        gap = float(np.abs(np.array([found.var, found.cvar, found.max_drawdown, found.deviation]) - expected).max())
        if gap > SAME:
            raise InvariantBroken(f"{path} differs from skfolio by {gap}, limit {SAME}")


def measure_with_peer(returns: FloatArray, weights: FloatArray) -> tuple[FloatArray, ...]:
    """The same four from skfolio.measures, of one book or of many."""
    measures = import_module("skfolio.measures")  # heavy, and without types

    paths = returns @ weights.T
    drawdowns = measures.get_drawdowns(paths, compounded=True)
    return (
        measures.value_at_risk(paths, beta=LEVEL),
        measures.cvar(paths, beta=LEVEL),
        measures.max_drawdown(drawdowns),
        measures.standard_deviation(paths),
    )


def _book_figures(returns: FloatArray, weights: FloatArray) -> list[Figure]:
    def each(measure: Callable[[FloatArray], object]) -> Work:
        return lambda: [measure(row) for row in weights[:CALLS]]

    peer, plain, fast = _by_turns(
        each(lambda row: measure_with_peer(returns, row)),
        each(lambda row: book_risk(returns, row, level=LEVEL)),
        each(lambda row: book_risk(returns, row, level=LEVEL, path=best_path())),
        rounds=ROUNDS,
    )
    note = f"one of {ASSETS} assets over {DAYS} days, four measures; {best_path()}, {fast / CALLS * 1e6:.1f} us"
    return [
        Figure("risk_report_50_speedup_vs_skfolio", peer / fast, "x", MIN_SPEEDUP, note),
        Figure("risk_report_50_plain_speedup_vs_skfolio", peer / plain, "x", 2.0, f"{plain / CALLS * 1e6:.1f} us"),
    ]


def _batch_figures(returns: FloatArray, weights: FloatArray) -> list[Figure]:
    peer, plain, fast = _by_turns(
        lambda: measure_with_peer(returns, weights),
        lambda: batch_risk(returns, weights, level=LEVEL),
        lambda: batch_risk(returns, weights, level=LEVEL, path=best_path()),
        rounds=BATCH_ROUNDS,
    )
    note = f"{BOOKS:,} books in one call; {best_path()}, {fast * 1e3:.0f} ms"
    return [
        Figure("risk_batch_10k_speedup_vs_skfolio", peer / fast, "x", MIN_SPEEDUP, note),
        Figure("risk_batch_10k_plain_speedup_vs_skfolio", peer / plain, "x", 3.5, f"{plain * 1e3:.0f} ms"),
    ]


def _tail_figures() -> list[Figure]:
    market, weights = jump_case()
    simulated, ours = _by_turns(
        lambda: simulate(market, weights, seed=0),
        lambda: jump_tail(weights, market, level=JUMP_LEVEL),
        rounds=ROUNDS,
    )
    found, exact = jump_tail(weights, market, level=JUMP_LEVEL), fine_tail(market, weights)
    noise = simulated_errors(market, weights, exact)
    own = [abs(value / reference - 1.0) for value, reference in zip(found, exact, strict=True)]
    note = (
        f"{ours * 1e3:.2f} ms; error of VaR and CVaR {own[0]:.2%} and {own[1]:.2%}, of {SCENARIOS:,} scenarios"
        f" {noise.errors.var:.2%} and {noise.errors.cvar:.2%}, whose mean is off the fine grid by"
        f" {noise.offsets.var:+.1f} and {noise.offsets.cvar:+.1f} standard errors"
    )
    return [Figure("tail_risk_speedup_vs_monte_carlo", simulated / ours, "x", MIN_TAIL_SPEEDUP, note)]


def jump_case() -> tuple[TailMarket, FloatArray]:
    """Fifty correlated assets, each with a jump of its own on 0.05 % to 0.3 % of days that takes 5 % to all of it."""
    source = np.random.default_rng(SEED)
    loadings = source.standard_normal((ASSETS, ASSETS)) * 0.01
    market = TailMarket(
        mean=np.full(ASSETS, 2e-4),
        covariance=loadings @ loadings.T / ASSETS + np.eye(ASSETS) * 1e-4,
        freedom=FREEDOM,
        jump_probability=source.uniform(0.0005, 0.003, ASSETS),
        jump_loss=np.diag(source.uniform(0.05, 1.0, ASSETS)),
    )
    return market, source.dirichlet(np.ones(ASSETS))


def simulate(market: TailMarket, weights: FloatArray, *, seed: int) -> Tail:
    """The usual way: every asset in every scenario, then the empirical tail."""
    source = np.random.default_rng(seed)
    factor = np.linalg.cholesky(market.covariance * (FREEDOM - 2.0) / FREEDOM)
    moves = source.standard_normal((SCENARIOS, ASSETS)) @ factor.T
    moves *= np.sqrt(FREEDOM / source.chisquare(FREEDOM, SCENARIOS))[:, None]
    moves += market.mean
    moves -= (source.random((SCENARIOS, ASSETS)) < market.jump_probability) * np.diag(market.jump_loss)
    return tail_of(moves @ weights, JUMP_LEVEL)


def fine_tail(market: TailMarket, weights: FloatArray) -> Tail:
    """The same law on sixty times as many grid points."""
    points = jump_mixture.GRID_POINTS
    try:
        jump_mixture.GRID_POINTS = FINE_GRID  # type: ignore[misc]  # only here, to see what the grid costs
        return jump_tail(weights, market, level=JUMP_LEVEL)
    finally:
        jump_mixture.GRID_POINTS = points  # type: ignore[misc]  # as above


def simulated_errors(market: TailMarket, weights: FloatArray, exact: Tail) -> Simulated:
    ratios = np.array([simulate(market, weights, seed=seed) for seed in range(1, SIMULATIONS + 1)]) / np.array(exact)
    errors = np.sqrt(np.mean((ratios - 1.0) ** 2, axis=0))
    offsets = (ratios.mean(axis=0) - 1.0) / (ratios.std(axis=0, ddof=1) / np.sqrt(SIMULATIONS))
    return Simulated(Tail(*errors.tolist()), Tail(*offsets.tolist()))


def _by_turns(*works: Work, rounds: int) -> list[float]:
    """Median CPU seconds of each, in its stride: what it does first after another one pays for cold memory."""
    seconds: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for number, work in enumerate(works):
            work()
            start = time.process_time()
            work()
            seconds[number].append(time.process_time() - start)
    return [statistics.median(measured) for measured in seconds]


if __name__ == "__main__":
    print(table(risk_figures()))
