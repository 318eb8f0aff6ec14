"""The state of each strategy's market: trend and regime of its rate, pressure on its pool, its token's peg, anomalies.

Each part says in words what it rests on; a part that cannot be known is None and says why.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from domain.errors import StaleOrDisputed
from domain.market import Catalog, MarketHistory, MarketSnapshot, RateObservation, Strategy, StrategyKind
from tools.history import FloatArray, series_of
from tools.markets.anomalies import LOWEST_APR, Anomaly, find_anomalies
from tools.markets.market_signals import (
    REGIME_DAYS,
    TREND_DAYS,
    Access,
    PegHealth,
    PegState,
    Pressure,
    Regime,
    RegimeReading,
    Trend,
    read_peg,
    read_pressure,
    read_regime,
    read_trend,
)

RECENT_DAYS: Final = 30
CURVELESS_KINK: Final = 0.90
"""Where a pool's rate curve is unknown: the utilization above which protocol scores take points off, too."""


@dataclass(frozen=True, slots=True)
class MarketState:
    """One strategy now. `reasons` explains every part that is known, `unknown` every part that is not."""

    strategy: str
    trend: Trend | None
    regime: RegimeReading | None
    pressure: Pressure | None
    peg: PegHealth | None
    """None also for a token that has no peg to keep."""
    anomalies: tuple[Anomaly, ...]
    """Of its rate, in the last thirty days; rows count from the first day of the history."""
    warnings: tuple[str, ...] = ()
    """The parts that speak against entering now, in words."""
    reasons: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def analyze_markets(snapshot: MarketSnapshot, history: MarketHistory, catalog: Catalog) -> tuple[MarketState, ...]:
    """One state per strategy of the catalog, in its order. Rates are annual and simple, fractions of one.

    The snapshot's own rate and price are the newest day. Missing readings are unknown; nothing raises for them.
    Raises StaleOrDisputed for history days that do not rise, and for a recorded price of 0 or below.
    """
    require_rising_days(history)
    return tuple(_analyze(strategy, snapshot, history, catalog) for strategy in catalog.strategies)


def require_rising_days(history: MarketHistory) -> None:
    """Raises StaleOrDisputed naming the first row that is not later than the one before it."""
    for row, (before, day) in enumerate(zip(history.days, history.days[1:], strict=False), start=1):
        if day <= before:
            raise StaleOrDisputed(f"column days, row {row}: must be later than row {row - 1}, {before}, got {day}")


def _analyze(strategy: Strategy, snapshot: MarketSnapshot, history: MarketHistory, catalog: Catalog) -> MarketState:
    rate, has_peg = snapshot.rate(strategy.id), catalog.token(strategy.token).is_stable
    past = series_of(history.supply_apr, strategy.id, len(history.days))
    aprs = up_to_now(past, rate.supply_apr if rate else None, snapshot, history)
    state = MarketState(
        strategy=strategy.id,
        trend=read_trend(aprs, column=strategy.id),
        regime=read_regime(aprs, column=strategy.id),
        pressure=_pressure(rate, snapshot, history),
        peg=_peg(strategy.token, snapshot, history) if has_peg else None,
        anomalies=_recent_anomalies(aprs, strategy),
    )
    return replace(
        state,
        warnings=_warnings(state, strategy, rate),
        reasons=_reasons(state, strategy),
        unknown=_unknown(state, rate, has_peg=has_peg),
    )


def _recent_anomalies(aprs: FloatArray, strategy: Strategy) -> tuple[Anomaly, ...]:
    """A lending pool's rate is never negative; a vault's is, when its share price falls."""
    lowest = LOWEST_APR if strategy.kind is StrategyKind.AAVE_V3 else -math.inf
    found = find_anomalies(aprs, column=strategy.id, lowest=lowest)
    return tuple(anomaly for anomaly in found if anomaly.last >= aprs.size - RECENT_DAYS)


def up_to_now(past: FloatArray, newest: float | None, snapshot: MarketSnapshot, history: MarketHistory) -> FloatArray:
    """The history with the snapshot's reading as its newest day, also where the history has begun that day already."""
    began = bool(history.days) and history.days[-1].date() == snapshot.block_time.date()
    before = past[:-1] if began else past
    return np.append(before, np.nan if newest is None else newest)


def _pressure(rate: RateObservation | None, snapshot: MarketSnapshot, history: MarketHistory) -> Pressure | None:
    if rate is None or rate.utilization is None:
        return None
    past = series_of(history.utilization, rate.strategy, len(history.days))
    kink = rate.curve.optimal_utilization if rate.curve else CURVELESS_KINK
    return read_pressure(up_to_now(past, rate.utilization, snapshot, history), kink=kink, column=rate.strategy)


def _peg(token: str, snapshot: MarketSnapshot, history: MarketHistory) -> PegHealth | None:
    """Of the lowest source, as holdings are valued."""
    price = snapshot.price_usd(token)
    past = series_of(history.price_usd, token, len(history.days))
    return read_peg(up_to_now(past, None if price is None else float(price), snapshot, history), column=token)


def _warnings(state: MarketState, strategy: Strategy, rate: RateObservation | None) -> tuple[str, ...]:
    found = [f"{strategy.id} is paused"] if rate is not None and rate.is_paused else []
    if state.peg is not None and state.peg.state is not PegState.HOLDING:
        found.append(f"{strategy.token} is {state.peg.deviation:+.2%} off its peg")
    if state.pressure is not None and state.pressure.access is not Access.FREE:
        found.append(f"pool is {state.pressure.access}: {state.pressure.utilization:.1%} lent out")
    if state.regime is not None and state.regime.regime is Regime.TURBULENT:
        found.append(f"rate moves more than in {state.regime.rank:.0%} of its past")
    return (*found, *(anomaly.reason for anomaly in state.anomalies))


def _reasons(state: MarketState, strategy: Strategy) -> tuple[str, ...]:
    found = []
    if (trend := state.trend) is not None:
        found.append(
            f"trend {trend.direction}: {trend.slope_per_day * TREND_DAYS:+.2%} in {TREND_DAYS} days, "
            f"p {trend.p_value:.3f}, {trend.known_days} days known"
        )
    if (regime := state.regime) is not None:
        found.append(
            f"regime {regime.regime}: the last {REGIME_DAYS} days moved more than {regime.rank:.0%} "
            f"of {regime.windows} earlier windows"
        )
    if (pressure := state.pressure) is not None:
        found.append(
            f"pool {pressure.access}: utilization {pressure.utilization:.1%}, above the kink of {pressure.kink:.0%} "
            f"for {pressure.days_above} days, {_outlook(pressure)}"
        )
    if (peg := state.peg) is not None:
        found.append(
            f"peg {peg.state}: {strategy.token} {peg.deviation:+.2%}, lowest {peg.lowest:+.2%}, "
            f"off on {peg.days_off} of {peg.known_days} days"
        )
    return tuple(found)


def _outlook(pressure: Pressure) -> str:
    if pressure.days_to_full is None:
        return "not seen to rise"
    return f"full in {pressure.days_to_full:.1f} days at this week's pace"


def _unknown(state: MarketState, rate: RateObservation | None, *, has_peg: bool) -> tuple[str, ...]:
    found = ["rate: not read in this snapshot"] if rate is None else []
    if state.trend is None:
        found.append("trend: too few days with a rate")
    if state.regime is None:
        found.append("regime: too short a history, a gap in the newest window, or a rate that never moved")
    if state.pressure is None and rate is not None:
        found.append("pressure: it does not say what it lends out")
    if state.peg is None and has_peg:
        found.append("peg: the token has no price in this snapshot")
    return tuple(found)
