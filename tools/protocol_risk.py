"""How far a protocol can be trusted today, 0 to 100, from what was observed; every point lost has its reason."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np

from domain.market import Catalog, MarketHistory, MarketSnapshot, RateObservation, StrategyKind
from domain.risk import ProtocolScore
from domain.units import SECONDS_PER_DAY
from tools.history import FloatArray, carry_forward, series_of

FULL_SCORE: Final = 100.0
COMFORTABLE_LIQUIDITY: Final = 0.10
MAX_LIQUIDITY_PENALTY: Final = 30.0
COMFORTABLE_UTILIZATION: Final = 0.90
MAX_UTILIZATION_PENALTY: Final = 25.0
FALL_WINDOW_DAYS: Final = 30
TOLERATED_FALL: Final = 0.001
FALL_PENALTY_PER_PERCENT: Final = 12.0
MAX_FALL_PENALTY: Final = 80.0
AGE_PENALTY_PER_DAY: Final = 20.0
MAX_AGE_PENALTY: Final = 40.0
PAUSED_PENALTY: Final = 60.0
INCIDENT_PENALTY: Final = 80.0
UNREAD_PENALTY: Final = 60.0
UNKNOWN_FALL_PENALTY: Final = 60.0


class _Penalty(NamedTuple):
    points: float
    reason: str


def score_protocols(
    catalog: Catalog, snapshot: MarketSnapshot, history: MarketHistory, *, incidents: frozenset[str]
) -> tuple[ProtocolScore, ...]:
    """One score per protocol of the catalog, the worst of its strategies' penalties of each kind taken off 100.

    `incidents` names protocols with an open incident. The penalties are judgement, not statistics: they are set so
    that one serious finding (a 5 % share price fall, a pause, an incident) falls below 50. What is unknown is no
    better: a vault whose share price was read only once counts like one that was not read.
    """
    protocols = sorted({strategy.protocol for strategy in catalog.strategies})
    return tuple(_score(protocol, catalog, snapshot, history, is_open=protocol in incidents) for protocol in protocols)


def deepest_fall(share_prices: FloatArray, *, days: int) -> float | None:
    """Largest fall of the last `days` readings below their earlier maximum, 0 to 1.

    None, unknown, for fewer than two known readings and for any that is no price: prices are above 0 and finite.
    """
    known = share_prices[-days:]
    known = known[~np.isnan(known)]
    if known.size < 2 or not (np.isfinite(known) & (known > 0.0)).all():  # noqa: PLR2004  a before and an after
        return None
    return float(np.max(1.0 - known / np.maximum.accumulate(known)))


def _score(
    protocol: str, catalog: Catalog, snapshot: MarketSnapshot, history: MarketHistory, *, is_open: bool
) -> ProtocolScore:
    strategies = [strategy for strategy in catalog.strategies if strategy.protocol == protocol]
    rates = {strategy.id: snapshot.rate(strategy.id) for strategy in strategies}
    read = [rate for rate in rates.values() if rate is not None]
    vaults = [strategy.id for strategy in strategies if strategy.kind is StrategyKind.ERC4626]
    penalties = [
        _worst(_liquidity(rate) for rate in read),
        _worst(_utilization(rate) for rate in read),
        _worst(_fall(strategy, rates[strategy], history) for strategy in vaults),
        _worst(_age(rate, snapshot) for rate in read),
        _worst(_Penalty(PAUSED_PENALTY, f"{rate.strategy} is paused") for rate in read if rate.is_paused),
        _worst(_Penalty(UNREAD_PENALTY, f"{name} was not read") for name, rate in rates.items() if rate is None),
        _Penalty(INCIDENT_PENALTY if is_open else 0.0, "open incident"),
    ]
    counted = [penalty for penalty in penalties if penalty.points > 0]
    return ProtocolScore(
        protocol=protocol,
        score=max(FULL_SCORE - sum(penalty.points for penalty in counted), 0.0),
        has_open_incident=is_open,
        reasons=tuple(f"-{penalty.points:.0f}: {penalty.reason}" for penalty in counted) or ("no finding",),
    )


def _worst(penalties: Iterable[_Penalty]) -> _Penalty:
    return max(penalties, key=lambda penalty: penalty.points, default=_Penalty(0.0, ""))


def _liquidity(rate: RateObservation) -> _Penalty:
    share = min(rate.withdrawable / rate.supplied, 1.0) if rate.supplied else 0.0
    missing = max(1.0 - share / COMFORTABLE_LIQUIDITY, 0.0)
    return _Penalty(missing * MAX_LIQUIDITY_PENALTY, f"{share:.1%} of {rate.strategy} could be withdrawn")


def _utilization(rate: RateObservation) -> _Penalty:
    used = min(rate.utilization or 0.0, 1.0)
    excess = max(used - COMFORTABLE_UTILIZATION, 0.0) / (1.0 - COMFORTABLE_UTILIZATION)
    return _Penalty(excess * MAX_UTILIZATION_PENALTY, f"utilization of {rate.strategy} is {used:.1%}")


def _fall(strategy_id: str, rate: RateObservation | None, history: MarketHistory) -> _Penalty:
    past = carry_forward(series_of(history.share_price, strategy_id, len(history.days)))
    current = [float(rate.share_price)] if rate else []
    fall = deepest_fall(np.concatenate([past, current]), days=FALL_WINDOW_DAYS)
    if fall is None:  # without a reading today, that already costs the points of what was not read
        return _Penalty(
            UNKNOWN_FALL_PENALTY if rate else 0.0, f"whether the share price of {strategy_id} fell is unknown"
        )
    points = min(fall * 100.0 * FALL_PENALTY_PER_PERCENT, MAX_FALL_PENALTY) if fall > TOLERATED_FALL else 0.0
    return _Penalty(points, f"share price of {strategy_id} fell {fall:.2%} within {FALL_WINDOW_DAYS} days")


def _age(rate: RateObservation, snapshot: MarketSnapshot) -> _Penalty:
    days = max((snapshot.block_time - rate.observed_at).total_seconds(), 0.0) / SECONDS_PER_DAY
    points = min((days - 1.0) * AGE_PENALTY_PER_DAY, MAX_AGE_PENALTY) if days > 1.0 else 0.0
    return _Penalty(points, f"{rate.strategy} was last observed {days:.1f} days ago")
