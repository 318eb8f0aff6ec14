"""Points of one protocol for each factor, 0 (worst) to 100 (best), each with the reason in words.

The scales are judgement, not statistics: they are here to be read, and their weights are in config.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import numpy as np

from domain.errors import StaleOrDisputed
from domain.risk_facts import AdminPower, Factor, OracleKind, ProtocolFact
from tools.history import FloatArray
from tools.markets.market_signals import BROKEN_DEVIATION, HOLDING_DEVIATION, require_series
from tools.protocol_risk import COMFORTABLE_LIQUIDITY

FULL: Final = 100.0
SEASONED_DAYS: Final = 1_095
DAYS_PER_YEAR: Final = 365.0
FULL_AUDITS: Final = 4
INCIDENT_HALF_LIFE_DAYS: Final = 730
WORST_SHARE_PRICE_FALL: Final = 0.05
TREND_DAYS: Final = 30
MIN_TREND_DAYS: Final = 10
REFERENCE_DAYS: Final = 7
WORST_DEPOSITS_FALL: Final = 0.50
SMALLEST_USD: Final = 1e6
LARGEST_USD: Final = 1e9
ADMIN_POINTS: Final = MappingProxyType(
    {
        AdminPower.NONE: (100.0, "nobody can change it"),
        AdminPower.TIMELOCKED_VOTE: (80.0, "a vote can change it, after a delay"),
        AdminPower.TIMELOCKED_KEYS: (65.0, "several keys can change it, after a delay"),
        AdminPower.SEVERAL_KEYS: (35.0, "several keys can change it at once"),
        AdminPower.ONE_KEY: (0.0, "one key can change it at once"),
    }
)
ORACLE_POINTS: Final = MappingProxyType(
    {
        OracleKind.NOT_NEEDED: (100.0, "it reads no price"),
        OracleKind.FEED_NETWORK: (85.0, "prices come from a network of feeds"),
        OracleKind.AVERAGED_POOL: (50.0, "prices are averages of a pool over time"),
        OracleKind.OPERATOR: (20.0, "one operator writes its prices"),
        OracleKind.SPOT_POOL: (0.0, "prices are a pool's at the moment"),
    }
)


@dataclass(frozen=True, slots=True)
class FactorPoints:
    """`points` is None where nobody knows. What does not apply (a vault's utilization) weighs nothing."""

    factor: Factor
    points: float | None
    reason: str
    applies: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolReadings:
    """One protocol as observed on one day, the worst of its strategies. None is unknown, never fine.

    `not_applicable` names factors that nothing about this protocol could have.
    """

    protocol: str
    day: datetime.date
    is_stopped: bool | None = None
    """Paused, or with an incident that is open."""
    peg_deviation: float | None = None
    share_price_fall: float | None = None
    """Within thirty days, 0 to 1."""
    deposits_usd: FloatArray = field(default_factory=lambda: np.empty(0))
    """One value per day, oldest first, the last one today's; NaN where unknown."""
    withdrawable_share: float | None = None
    utilization: float | None = None
    kink: float = 0.9
    not_applicable: frozenset[Factor] = frozenset()
    rests_on: frozenset[str] = frozenset()
    """Protocols that hold its deposits in turn."""


def score_factors(readings: ProtocolReadings, fact: ProtocolFact | None) -> Mapping[Factor, FactorPoints]:
    """Every factor once. Raises StaleOrDisputed naming protocol and field for a number that cannot be."""
    _check(readings)
    found = (
        _age(readings.day, fact),
        _audits(fact),
        _incidents(readings.day, fact),
        _admin(fact),
        _oracle(fact),
        _operation(readings),
        _peg(readings.peg_deviation),
        _share_price(readings.share_price_fall),
        _deposits_trend(readings.deposits_usd, readings.protocol),
        _withdrawable(readings.withdrawable_share),
        _utilization(readings.utilization, readings.kink),
        _size(readings.deposits_usd),
    )
    return {points.factor: _applied(points, readings.not_applicable) for points in found}


def _applied(points: FactorPoints, not_applicable: frozenset[Factor]) -> FactorPoints:
    if points.factor not in not_applicable:
        return points
    return FactorPoints(points.factor, None, f"{points.factor} does not apply", applies=False)


def _check(readings: ProtocolReadings) -> None:
    shares = {
        "share_price_fall": (readings.share_price_fall, 1.0),
        "withdrawable_share": (readings.withdrawable_share, math.inf),
        "utilization": (readings.utilization, math.inf),
    }
    for name, (value, highest) in shares.items():
        if value is not None and not (0.0 <= value <= highest and math.isfinite(value)):
            rule = f"0 to {highest}" if math.isfinite(highest) else "finite and at least 0"
            raise StaleOrDisputed(f"{name} of {readings.protocol} must be {rule}, got {value}")
    if readings.peg_deviation is not None and not math.isfinite(readings.peg_deviation):
        raise StaleOrDisputed(f"peg_deviation of {readings.protocol} must be finite, got {readings.peg_deviation}")
    if not 0.0 < readings.kink < 1.0:
        raise StaleOrDisputed(f"kink of {readings.protocol} must lie between 0 and 1, got {readings.kink}")


def _falling(value: float, *, full_at: float, none_at: float) -> float:
    """FULL up to `full_at`, 0 from `none_at`, a straight line between."""
    return FULL * min(max((none_at - value) / (none_at - full_at), 0.0), 1.0)


def _age(day: datetime.date, fact: ProtocolFact | None) -> FactorPoints:
    if fact is None or fact.launched is None:
        return FactorPoints(Factor.AGE, None, "nobody stated when it was launched")
    days = (day - fact.launched).days
    if days < 0:
        raise StaleOrDisputed(f"launched of {fact.id} must not lie after {day}, got {fact.launched}")
    reason = f"in use for {days / DAYS_PER_YEAR:.1f} years, full points from {SEASONED_DAYS / DAYS_PER_YEAR:.0f}"
    return FactorPoints(Factor.AGE, FULL * min(days / SEASONED_DAYS, 1.0), reason)


def _audits(fact: ProtocolFact | None) -> FactorPoints:
    if fact is None or fact.audits_count is None:
        return FactorPoints(Factor.AUDITS, None, "nobody counted its audits")
    reason = f"{fact.audits_count} published audits, full points from {FULL_AUDITS}"
    return FactorPoints(Factor.AUDITS, FULL * min(fact.audits_count / FULL_AUDITS, 1.0), reason)


def _incidents(day: datetime.date, fact: ProtocolFact | None) -> FactorPoints:
    """What is left after each loss; half of a loss is forgiven every two years."""
    if fact is None or fact.incidents is None:
        return FactorPoints(Factor.INCIDENTS, None, "nobody looked for past incidents")
    past = [incident for incident in fact.incidents if incident.date <= day]
    weights = [0.5 ** ((day - incident.date).days / INCIDENT_HALF_LIFE_DAYS) * incident.lost_share for incident in past]
    left = math.prod(1.0 - weight for weight in weights)
    worst = max(past, key=lambda incident: incident.lost_share, default=None)
    reason = (
        "no past incident is known" if worst is None else f"lost {worst.lost_share:.0%} of deposits on {worst.date}"
    )
    return FactorPoints(Factor.INCIDENTS, FULL * left, reason)


def _admin(fact: ProtocolFact | None) -> FactorPoints:
    if fact is None or fact.admin is None:
        return FactorPoints(Factor.ADMIN, None, "nobody stated who can change it")
    return FactorPoints(Factor.ADMIN, *ADMIN_POINTS[fact.admin])


def _oracle(fact: ProtocolFact | None) -> FactorPoints:
    if fact is None or fact.oracle is None:
        return FactorPoints(Factor.ORACLE, None, "nobody stated where it reads prices")
    return FactorPoints(Factor.ORACLE, *ORACLE_POINTS[fact.oracle])


def _operation(readings: ProtocolReadings) -> FactorPoints:
    if readings.is_stopped is None:
        return FactorPoints(Factor.OPERATION, None, "it was not read")
    reason = "paused, or an incident is open" if readings.is_stopped else "open for deposits and withdrawals"
    return FactorPoints(Factor.OPERATION, 0.0 if readings.is_stopped else FULL, reason)


def _peg(deviation: float | None) -> FactorPoints:
    if deviation is None:
        return FactorPoints(Factor.PEG, None, "a token with a peg has no price")
    points = _falling(abs(deviation), full_at=HOLDING_DEVIATION, none_at=BROKEN_DEVIATION)
    return FactorPoints(Factor.PEG, points, f"its worst stable token is {deviation:+.2%} off its peg")


def _share_price(fall: float | None) -> FactorPoints:
    if fall is None:
        return FactorPoints(Factor.SHARE_PRICE, None, "its share price was not read on two days")
    points = _falling(fall, full_at=0.0, none_at=WORST_SHARE_PRICE_FALL)
    return FactorPoints(Factor.SHARE_PRICE, points, f"its share price fell {fall:.2%} within {TREND_DAYS} days")


def _deposits_trend(deposits: FloatArray, protocol: str) -> FactorPoints:
    """Today against the median of the first week of the window."""
    window = require_series(deposits, column=f"deposits_usd of {protocol}", lowest=0.0)[-TREND_DAYS:]
    known = window[~np.isnan(window)]
    first = known[:REFERENCE_DAYS]
    if known.size < MIN_TREND_DAYS or np.isnan(window[-1]) or not np.median(first) > 0:
        return FactorPoints(Factor.DEPOSITS_TREND, None, "too few days of its deposits are known")
    change = float(window[-1] / np.median(first)) - 1.0
    points = _falling(-change, full_at=0.0, none_at=WORST_DEPOSITS_FALL)
    return FactorPoints(Factor.DEPOSITS_TREND, points, f"deposits changed by {change:+.0%} within {TREND_DAYS} days")


def _withdrawable(share: float | None) -> FactorPoints:
    if share is None:
        return FactorPoints(Factor.WITHDRAWABLE, None, "what could be withdrawn was not read")
    points = FULL * min(share / COMFORTABLE_LIQUIDITY, 1.0)
    return FactorPoints(Factor.WITHDRAWABLE, points, f"{min(share, 1.0):.1%} of its deposits could be withdrawn now")


def _utilization(utilization: float | None, kink: float) -> FactorPoints:
    if utilization is None:
        return FactorPoints(Factor.UTILIZATION, None, "its utilization was not read")
    points = _falling(utilization, full_at=kink, none_at=1.0)
    return FactorPoints(Factor.UTILIZATION, points, f"{utilization:.1%} is lent out, full points up to {kink:.0%}")


def _size(deposits: FloatArray) -> FactorPoints:
    """Logarithmic: ten times the deposits are worth a third of the points."""
    if not deposits.size or np.isnan(deposits[-1]):
        return FactorPoints(Factor.SIZE, None, "its deposits are not known")
    usd = float(deposits[-1])
    points = FULL * min(max(math.log10(max(usd, SMALLEST_USD) / SMALLEST_USD) / 3.0, 0.0), 1.0)
    return FactorPoints(Factor.SIZE, points, f"{usd:,.0f} USD are deposited, full points from {LARGEST_USD:,.0f}")
