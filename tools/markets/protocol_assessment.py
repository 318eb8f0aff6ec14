"""One score per protocol from its factors: four parts, a composite, its bounds, and where every lost point went.

Beside the observed score that guards judge (tools.protocol_risk), which knows no facts from outside the chain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from domain.errors import StaleOrDisputed
from domain.risk_facts import GROUP_OF, Factor, FactorGroup, RiskFacts
from tools.markets.protocol_factors import FULL, FactorPoints, ProtocolReadings, score_factors

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


NOTHING_KNOWN: Final = PartScore(None, 0.0, FULL, 0.0)


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

    A protocol that rests on others scores at most what the weakest of them does, and has no score where one of them
    has none or was not read. Parts are each protocol's own.
    Raises StaleOrDisputed naming the protocol for one that is read twice, and the field for a reading that cannot be.
    """
    own = {reading.protocol: _assess(reading, facts) for reading in readings}
    if len(own) != len(readings):
        raise StaleOrDisputed(f"each protocol must be read once, got {[reading.protocol for reading in readings]}")
    rests_on = {reading.protocol: reading.rests_on for reading in readings}
    return tuple(_resting(own[reading.protocol], own, _below(reading.protocol, rests_on)) for reading in readings)


def _below(protocol: str, rests_on: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """Everything that it rests on, directly or not; two that rest on each other are found once."""
    found: set[str] = set()
    open_names = [protocol]
    while open_names:
        fresh = rests_on.get(open_names.pop(), frozenset()) - found
        found |= fresh
        open_names += sorted(fresh)
    return frozenset(found - {protocol})


def _resting(
    top: ProtocolAssessment, own: Mapping[str, ProtocolAssessment], below: frozenset[str]
) -> ProtocolAssessment:
    whole = top.composite
    parts = {name: own[name].composite if name in own else NOTHING_KNOWN for name in sorted(below)}
    together = (whole, *parts.values())
    scores = [part.score for part in together if part.score is not None]
    composite = PartScore(
        score=min(scores) if len(scores) == len(together) else None,
        lower=min(part.lower for part in together),
        upper=min(part.upper for part in together),
        known_share=whole.known_share,
    )
    reasons = tuple(_weaker(name, part) for name, part in parts.items() if _is_weaker(part, whole))
    return replace(top, composite=composite, reasons=(*reasons, *top.reasons))


def _is_weaker(part: PartScore, whole: PartScore) -> bool:
    is_lower = part.lower < whole.lower or part.upper < whole.upper
    return part.score is None or is_lower or (whole.score is not None and part.score < whole.score)


def _weaker(name: str, part: PartScore) -> str:
    if part.score is None:
        return f"no score: it rests on {name}, which has none"
    return f"at most {part.score:.1f}: it rests on {name}"


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
        return NOTHING_KNOWN
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
