"""One score per protocol from its factors: four parts, a composite, its bounds, and where every lost point went.

Beside the observed score that guards judge (tools.protocol_risk), which knows no facts from outside the chain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from domain.risk_facts import GROUP_OF, Factor, FactorGroup, RiskFacts
from tools.protocol_factors import FULL, FactorPoints, ProtocolReadings, score_factors


@dataclass(frozen=True, slots=True)
class PartScore:
    """Weighted mean of the factors, 0 to 100. Unknown factors count as 0 for `lower` and as 100 for `upper`.

    `score` is the mean of the known ones, and None where less than the required share of the weight is known.
    """

    score: float | None
    lower: float
    upper: float
    known_share: float
    """Of the weight of the factors that apply."""


@dataclass(frozen=True, slots=True)
class ProtocolAssessment:
    protocol: str
    composite: PartScore
    parts: Mapping[FactorGroup, PartScore]
    factors: tuple[FactorPoints, ...]
    reasons: tuple[str, ...]
    """Every factor that applies, the most expensive first: what it costs of the 100 points, and why."""


def assess_protocols(readings: Sequence[ProtocolReadings], facts: RiskFacts) -> tuple[ProtocolAssessment, ...]:
    """One assessment per reading, in the order given; empty for none.

    Raises StaleOrDisputed naming protocol and field for a reading that cannot be, as score_factors does.
    """
    return tuple(_assess(reading, facts) for reading in readings)


def _assess(reading: ProtocolReadings, facts: RiskFacts) -> ProtocolAssessment:
    factors = score_factors(reading, facts.protocol(reading.protocol))
    weights = {entry.factor: float(entry.weight) for entry in facts.factors if factors[entry.factor].applies}
    enough = float(facts.min_known_share)
    parts = {
        group: _combine([f for f in factors.values() if GROUP_OF[f.factor] is group], weights, enough)
        for group in FactorGroup
    }
    return ProtocolAssessment(
        protocol=reading.protocol,
        composite=_combine(list(factors.values()), weights, enough),
        parts=parts,
        factors=tuple(factors.values()),
        reasons=_reasons(factors, weights),
    )


def _combine(factors: Sequence[FactorPoints], weights: Mapping[Factor, float], enough: float) -> PartScore:
    total = sum(weights.get(entry.factor, 0.0) for entry in factors)
    known = [(entry.points, weights[entry.factor]) for entry in factors if entry.points is not None]
    weight = sum(share for _, share in known)
    if total <= 0 or weight <= 0:
        return PartScore(None, 0.0, FULL, 0.0)
    points = sum(points * share for points, share in known)
    return PartScore(
        score=points / weight if weight >= enough * total else None,
        lower=points / total,
        upper=(points + FULL * (total - weight)) / total,
        known_share=weight / total,
    )


def _reasons(factors: Mapping[Factor, FactorPoints], weights: Mapping[Factor, float]) -> tuple[str, ...]:
    """Costs are shares of the composite as if everything were known, so that they add up to 100 less its bounds."""
    total = sum(weights.values())
    costs = {
        factor: weights[factor] / total * (FULL - (entry.points or 0.0))
        for factor, entry in factors.items()
        if entry.applies and total > 0
    }
    ordered = sorted(costs, key=lambda factor: (-costs[factor], factor))
    return tuple(_reason(factors[factor], costs[factor]) for factor in ordered)


def _reason(entry: FactorPoints, cost: float) -> str:
    if entry.points is None:
        return f"up to -{cost:.1f} {entry.factor}: {entry.reason}"
    return f"-{cost:.1f} {entry.factor}: {entry.reason}"
