"""One score per protocol from its factors: four parts, a composite, its bounds, and where every lost point went.

Beside the observed score that guards judge (tools.protocol_risk), which knows no facts from outside the chain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from domain.risk_facts import GROUP_OF, Factor, FactorGroup, RiskFacts
from tools.protocol_factors import FULL, FactorPoints, ProtocolReadings, score_factors

VITAL: Final = frozenset({Factor.OPERATION, Factor.PEG, Factor.SHARE_PRICE, Factor.WITHDRAWABLE})
"""What is lost here is lost now, however good everything else is."""
VITAL_CAP: Final = 40.0
"""The most that a whole scores with one of them at 0; below every sensible minimum."""


@dataclass(frozen=True, slots=True)
class PartScore:
    """Weighted mean of the factors, 0 to 100, capped by vital ones. Unknown is 0 for `lower` and 100 for `upper`.

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
    """First the caps, then every factor that applies, the dearest first: what it costs of 100 points, and why."""


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
    points, cap = sum(points * share for points, share in known), min(map(_cap, factors))
    return PartScore(
        score=min(points / weight, cap) if weight >= enough * total else None,
        lower=min(points / total, cap),
        upper=min((points + FULL * (total - weight)) / total, cap),
        known_share=weight / total,
    )


def _cap(entry: FactorPoints) -> float:
    """What the whole may score at most: a mean alone would let twelve good factors hide one lost peg."""
    if entry.factor not in VITAL or entry.points is None:
        return FULL
    return VITAL_CAP + (FULL - VITAL_CAP) * entry.points / FULL


def _reasons(factors: Mapping[Factor, FactorPoints], weights: Mapping[Factor, float]) -> tuple[str, ...]:
    """Costs are shares of the composite as if everything were known: they add up to 100 less its bounds before caps."""
    total = sum(weights.values())
    costs = {
        factor: weights[factor] / total * (FULL - (entry.points or 0.0))
        for factor, entry in factors.items()
        if entry.applies and total > 0
    }
    ordered = sorted(costs, key=lambda factor: (-costs[factor], factor))
    capped = sorted((entry for entry in factors.values() if _cap(entry) < FULL), key=_cap)
    caps = (f"at most {_cap(entry):.1f} {entry.factor}: {entry.reason}" for entry in capped)
    return (*caps, *(_reason(factors[factor], costs[factor]) for factor in ordered))


def _reason(entry: FactorPoints, cost: float) -> str:
    if entry.points is None:
        return f"up to -{cost:.1f} {entry.factor}: {entry.reason}"
    return f"-{cost:.1f} {entry.factor}: {entry.reason}"
