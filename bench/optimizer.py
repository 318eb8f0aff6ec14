"""The optimizers against skfolio: the same objective and limits, by turns in this process, CPU of each whole solve.

skfolio deducts costs from the expected return and from every scenario: with a CVaR they enter its utility
1 + risk aversion times, which is what ours is given here.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple, Protocol, TypeVar

import numpy as np

from bench.figures import Figure
from bench.ill_conditioned_runs import ill_conditioned_figure
from domain.plan import Certificate
from tools.history import FloatArray
from tools.solvers.conditioning import covariance_of
from tools.solvers.mean_cvar import MeanCvar
from tools.solvers.mean_variance import MeanVariance
from tools.solvers.trading_limits import long_only

SCENARIOS: Final = 500
ROUNDS: Final = 7
SOLVES: Final = 9
MAX_WEIGHT: Final = 0.25
COST: Final = 0.0005
RISK_AVERSION: Final = 1.0
DRIFT: Final = 0.02
LEVEL: Final = 0.95
SEED: Final = 20_261_123

Answer = TypeVar("Answer")


class Day(NamedTuple):
    """What changed since the last solve: expected returns and current weights, both (n,)."""

    expected: FloatArray
    current: FloatArray


class Proven(Protocol):
    """What both optimizers answer."""

    @property
    def weights(self) -> FloatArray: ...

    @property
    def certificate(self) -> Certificate: ...


class Race(NamedTuple):
    """Medians: CPU seconds of ours, of ours without a start, of the peer's, and the worst objective gaps."""

    ours: float
    cold: float
    peer: float
    ratio: float
    gap: float
    peer_gap: float


def optimizer_figures() -> list[Figure]:
    cvar, variance = race_mean_cvar(50), race_mean_variance(20)
    method = (
        f"median of {ROUNDS} turns, ours on {SOLVES} days in each; expected returns and weights drift {DRIFT:.0%}; "
        f"certificate included"
    )
    return [
        Figure(
            "mean_cvar_500x50_speedup_vs_skfolio",
            round(cvar.ratio, 1),
            "ratio",
            "skfolio MeanRisk",
            f"highs-dual-warm {cvar.ours * 1e3:.2f} ms, cold {cvar.cold * 1e3:.1f} ms, "
            f"skfolio {cvar.peer * 1e3:.0f} ms; {method}",
        ),
        Figure(
            "mean_cvar_objective_gap",
            cvar.gap,
            "ratio",
            1e-6,
            f"to the certificate's bound on each day and to the peer's weights on the last of each turn, the worst; "
            f"the peer's: {cvar.peer_gap:.1e}",
        ),
        Figure(
            "mean_variance_20_speedup_vs_skfolio",
            round(variance.ratio, 1),
            "ratio",
            "skfolio MeanRisk",
            f"piqp-dense {variance.ours * 1e3:.3f} ms, covariance included {variance.cold * 1e3:.2f} ms, "
            f"skfolio {variance.peer * 1e3:.1f} ms; gap {variance.gap:.0e}; {method}",
        ),
        ill_conditioned_figure(),
    ]


def race_mean_cvar(size: int) -> Race:
    scenarios = sample_returns(size)
    limits = long_only(np.full(size, MAX_WEIGHT), np.full(size, COST * (1.0 + RISK_AVERSION)))
    kept = MeanCvar(scenarios, limits, risk_aversion=RISK_AVERSION, level=LEVEL)
    start = kept.solve(*first_day(scenarios)).start

    def utility(weights: FloatArray, day: Day) -> float:
        losses = np.sort(-(scenarios @ weights))[::-1]
        tail = losses[: round(SCENARIOS * (1.0 - LEVEL))].mean()
        moved = float(np.abs(weights - day.current).sum())
        return float(day.expected @ weights - COST * (1.0 + RISK_AVERSION) * moved - RISK_AVERSION * tail)

    return race(
        scenarios,
        kept=lambda day: kept.solve(*day, start),
        cold=lambda day: MeanCvar(scenarios, limits, risk_aversion=RISK_AVERSION, level=LEVEL).solve(*day),
        peer=lambda day: skfolio_weights(scenarios, day, "CVAR"),
        utility=utility,
    )


def race_mean_variance(size: int) -> Race:
    returns = sample_returns(size)
    limits = long_only(np.full(size, MAX_WEIGHT), np.full(size, COST))
    covariance = covariance_of(returns)
    kept = MeanVariance(covariance, limits, risk_aversion=RISK_AVERSION)
    kept.solve(*first_day(returns))

    def utility(weights: FloatArray, day: Day) -> float:
        moved = float(np.abs(weights - day.current).sum())
        return float(day.expected @ weights - COST * moved - RISK_AVERSION * weights @ covariance @ weights)

    return race(
        returns,
        kept=lambda day: kept.solve(*day),
        cold=lambda day: MeanVariance(covariance_of(returns), limits, risk_aversion=RISK_AVERSION).solve(*day),
        peer=lambda day: skfolio_weights(returns, day, "VARIANCE"),
        utility=utility,
    )


def race(
    returns: FloatArray,
    *,
    kept: Callable[[Day], Proven],
    cold: Callable[[Day], Proven],
    peer: Callable[[Day], FloatArray],
    utility: Callable[[FloatArray, Day], float],
) -> Race:
    """By turns: ours on SOLVES days in a row, then ours built anew and the peer on the last of them."""
    turns = []
    for turn in range(ROUNDS):
        drifted = days(returns, seed=SEED + turn)
        solved = [cpu(partial(kept, day)) for day in drifted]
        ours, day = statistics.median(seconds for seconds, _ in solved), drifted[-1]
        anew, _ = cpu(partial(cold, day))
        theirs, weights = cpu(partial(peer, day))
        reached = [utility(answer.weights, own) for (_, answer), own in zip(solved, drifted, strict=True)]
        bounds = [answer.certificate.bound for _, answer in solved]
        peers = utility(weights, day)
        bounds[-1] = max(bounds[-1], reached[-1], peers)
        worst = max(gap_to(bound, value) for bound, value in zip(bounds, reached, strict=True))
        turns.append(Race(ours, anew, theirs, theirs / ours, worst, gap_to(bounds[-1], peers)))
    medians = [statistics.median(column) for column in zip(*turns, strict=True)]
    return Race(*medians[:4], gap=max(turn.gap for turn in turns), peer_gap=max(turn.peer_gap for turn in turns))


def gap_to(best: float, reached: float) -> float:
    """What is missing, as a fraction of the best; 0 where rounding puts the reached above it."""
    return max(best - reached, 0.0) / abs(best)


def sample_returns(size: int) -> FloatArray:
    """Daily returns (SCENARIOS, size): three fat-tailed factors and own noise, deviations of 0.2 % to 2 %."""
    generator = np.random.default_rng(SEED + size)
    deviations = generator.uniform(2e-3, 2e-2, size)
    common = generator.standard_t(4, (SCENARIOS, 3)) @ generator.normal(0.0, 0.5, (3, size))
    return np.asarray((common + generator.standard_t(4, (SCENARIOS, size))) * deviations + deviations * 0.05)


def first_day(returns: FloatArray) -> Day:
    size = returns.shape[1]
    return Day(returns.mean(axis=0), np.full(size, 1.0 / size))


def days(returns: FloatArray, *, seed: int) -> list[Day]:
    generator = np.random.default_rng(seed)
    first = first_day(returns)
    drifts = 1.0 + DRIFT * generator.standard_normal((SOLVES, 2, returns.shape[1]))
    weights = first.current * drifts[:, 1]
    return [
        Day(first.expected * drift[0], weight / weight.sum()) for drift, weight in zip(drifts, weights, strict=True)
    ]


def skfolio_weights(returns: FloatArray, day: Day, measure: str) -> FloatArray:
    """The peer's documented way: a fit on the returns, with expected returns given by an estimator."""
    from skfolio import RiskMeasure
    from skfolio.optimization import MeanRisk, ObjectiveFunction
    from skfolio.prior import EmpiricalPrior

    model = MeanRisk(
        objective_function=ObjectiveFunction.MAXIMIZE_UTILITY,
        risk_measure=RiskMeasure[measure],
        risk_aversion=RISK_AVERSION,
        cvar_beta=LEVEL,
        max_weights=MAX_WEIGHT,
        transaction_costs=COST,
        previous_weights=day.current,
        prior_estimator=EmpiricalPrior(mu_estimator=_given_mean(day.expected)),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(model.fit(returns).weights_)


def _given_mean(expected: FloatArray) -> object:
    from skfolio.moments import EmpiricalMu

    class GivenMean(EmpiricalMu):  # type: ignore[misc]  # skfolio is not typed
        def fit(self, X: FloatArray, y: object = None, **_: object) -> GivenMean:  # noqa: N803  # the peer's names
            super().fit(X, y)
            self.mu_ = expected
            return self

    return GivenMean()


def cpu(measured: Callable[[], Answer]) -> tuple[float, Answer]:
    start = time.process_time()
    answer = measured()
    return time.process_time() - start, answer
