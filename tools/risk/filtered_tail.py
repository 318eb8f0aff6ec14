"""Filtered historical simulation: yesterday's losses in units of their own day's volatility, at today's volatility.

Barone-Adesi, Giannopoulos and Vosper (1999), with the EWMA of RiskMetrics (1996, 5.2). A pegged book also carries the
falls off its peg as jumps of the size they had: they are as large in quiet times, and older than any window.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from domain.risk import Estimate, TailRisk
from tools.history import FloatArray
from tools.risk.bootstrap import RESAMPLES, SEED
from tools.risk.return_sample import TIE, known_growth, least_observations, require_question
from tools.risk.tail_definition import INTERVAL_CONFIDENCE, tail_matrix, weighted_tail

WARMUP_DAYS: Final = 30
"""The first variance is the mean square of these days; they give no residual."""
HALF_LIFE_DAYS: Final = 365.0
"""A residual a year old counts half (Boudoukh, Richardson and Whitelaw 1998): tails, too, belong to their time."""
QUIETEST: Final = 0.01
"""Volatility never falls below this part of the root mean square so far: a feed that stood still is not calm."""


@dataclass(frozen=True, slots=True)
class VolatilityFilter:
    """How fast volatility forgets, how many days residuals are drawn from, and how many deviations make a jump."""

    name: str
    decay: float
    window_days: int = 750
    jump_deviations: float | None = None


VOLATILE: Final = VolatilityFilter(name="ewma-historical", decay=0.94)
"""RiskMetrics' decay for daily returns."""
PEGGED: Final = VolatilityFilter(name="ewma-historical-jumps", decay=0.97, jump_deviations=6.0)
"""RiskMetrics' slower decay: noise around a peg reverts, and a fast filter takes each print for a new regime."""


class Scenarios(NamedTuple):
    """Losses over the horizon, shape (n,), with probabilities that sum to one."""

    losses: FloatArray
    probabilities: FloatArray


def filtered_tail(
    returns: FloatArray, *, level: float, volatility: VolatilityFilter, horizon_days: int = 1, seed: int = SEED
) -> TailRisk | None:
    """VaR and CVaR of the filtered losses at `level` over the horizon, fractions of one; returns daily, shape (n,).

    Beyond one day consecutive residuals compound at today's volatility, which EWMA expects to stay, and at most one
    jump falls into the horizon. The sample size is Kish's effective one of the weighted scenarios, over the horizon;
    intervals are bootstrapped with so many draws from them and hold for the given volatility.
    NaN is dropped; None where that size is below 1 / (1 - level). A series of zeros has tail 0.
    """
    require_question(level, horizon_days)
    known = known_growth(returns)
    if known is None or known.size <= WARMUP_DAYS + horizon_days:
        return None
    scenarios = next_scenarios(known, volatility, horizon_days=horizon_days)
    size = int(1.0 / float(np.sum(scenarios.probabilities**2)) + TIE) // horizon_days
    if size < least_observations(level):
        return None
    values = weighted_tail(*scenarios, level)
    drawn = _redrawn(scenarios, level, size, seed)
    var, cvar = (
        _estimate(value, sample, size=size, method=volatility.name)
        for value, sample in zip(values, drawn.T, strict=True)
    )
    return TailRisk(level=level, horizon_days=horizon_days, var=var, cvar=cvar)


def next_scenarios(returns: FloatArray, volatility: VolatilityFilter, *, horizon_days: int = 1) -> Scenarios:
    """Losses after the last of (n,) known returns; n above 30 + horizon_days."""
    return _scenarios_at(returns, ewma_deviations(returns, volatility.decay), returns.size, volatility, horizon_days)


def walk_forward_tails(
    returns: FloatArray, *, levels: tuple[float, ...], volatility: VolatilityFilter, first: int
) -> FloatArray:
    """(VaR, CVaR) for day `first` and every later one from the days before it alone, shape (n - first, levels, 2)."""
    deviations = ewma_deviations(returns, volatility.decay)
    days = (_scenarios_at(returns, deviations, day, volatility, 1) for day in range(first, returns.size))
    return np.array([[weighted_tail(*scenarios, level) for level in levels] for scenarios in days])


def ewma_deviations(returns: FloatArray, decay: float) -> FloatArray:
    """Deviation expected for each day and the day after the last, shape (n + 1,), from the days before it.

    Zero where nothing has moved yet; the first 30 share the mean square of their own days.
    """
    squares = returns**2
    variances = np.empty(returns.size + 1)
    variance = float(squares[:WARMUP_DAYS].mean())
    for day, square in enumerate(squares):
        variances[day] = variance
        variance = decay * variance + (1.0 - decay) * float(square)
    variances[-1] = variance
    days = np.maximum(np.arange(returns.size + 1), 1)
    so_far = np.concatenate(([0.0], np.cumsum(squares))) / days
    return np.sqrt(np.maximum(variances, so_far * QUIETEST**2))


def _scenarios_at(
    returns: FloatArray, deviations: FloatArray, day: int, volatility: VolatilityFilter, horizon_days: int
) -> Scenarios:
    start = max(WARMUP_DAYS, day - volatility.window_days)
    losses = _residual_losses(returns[start:day], deviations[start:day], volatility.jump_deviations)
    scenarios = 1.0 - _compounded(1.0 - losses * deviations[day], horizon_days)
    ages = 0.5 ** (np.arange(scenarios.size)[::-1] / HALF_LIFE_DAYS)
    recent = ages / ages.sum()
    if volatility.jump_deviations is None:
        return Scenarios(scenarios, recent)
    past = returns[WARMUP_DAYS:day]
    jumps = -past[past < -volatility.jump_deviations * deviations[WARMUP_DAYS:day]]
    if not jumps.size:
        return Scenarios(scenarios, recent)
    daily = (jumps.size + 0.5) / (past.size + 1.0)  # the mean of Jeffreys' posterior: never seen is not impossible
    jumping = 1.0 - (1.0 - daily) ** horizon_days
    weights = np.concatenate((recent * (1.0 - jumping), np.full(jumps.size, jumping / jumps.size)))
    return Scenarios(np.concatenate((scenarios, jumps)), weights)


def _residual_losses(returns: FloatArray, deviations: FloatArray, cap: float | None) -> FloatArray:
    """Losses in deviations of their day, capped where jumps carry the rest; before anything moved there are none."""
    moved = deviations > 0
    losses = np.divide(-returns, deviations, out=np.zeros_like(returns), where=moved)
    return losses if cap is None else np.minimum(losses, cap)


def _compounded(growth: FloatArray, horizon_days: int) -> FloatArray:
    bounded = np.maximum(growth, 0.0)  # at a high volatility a residual could lose more than everything
    if horizon_days == 1:
        return bounded
    return np.asarray(np.lib.stride_tricks.sliding_window_view(bounded, horizon_days).prod(axis=1))


def _redrawn(scenarios: Scenarios, level: float, size: int, seed: int) -> FloatArray:
    """(VaR, CVaR) of `size` draws from the scenarios, shape (RESAMPLES, 2)."""
    chances = np.random.default_rng(seed).random((RESAMPLES, size))
    places = np.searchsorted(np.cumsum(scenarios.probabilities)[:-1], chances)
    return np.column_stack(tail_matrix(-scenarios.losses[places], level))


def _estimate(value: float, drawn: FloatArray, *, size: int, method: str) -> Estimate:
    tail = (1.0 - INTERVAL_CONFIDENCE) / 2.0
    low, high = (float(bound) for bound in np.quantile(drawn, [tail, 1.0 - tail]))
    return Estimate(
        value=value,
        lower=min(low, value),
        upper=max(high, value),
        confidence=INTERVAL_CONFIDENCE,
        sample_size=size,
        method=method,
    )
