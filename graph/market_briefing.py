"""What agents are shown of markets, protocol scores and shocks: short JSON facts, rounded for reading."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from graph.briefing import Fact
from tools.markets.market_analyzer import MarketState
from tools.markets.protocol_assessment import ProtocolAssessment
from tools.shocks.reverse_stress import Breaking
from tools.shocks.stress_replay import ShockLoss

SHARE_DIGITS: Final = 4
MAX_REASONS: Final = 3
MAX_LINES: Final = 3


def brief_market(state: MarketState) -> Fact:
    return {
        "trend": state.trend.direction if state.trend else None,
        "regime": state.regime.regime if state.regime else None,
        "pool": state.pressure.access if state.pressure else None,
        "peg": state.peg.state if state.peg else None,
        "warnings": list(state.warnings[:MAX_REASONS]),
    }


def brief_assessment(assessment: ProtocolAssessment) -> Fact:
    composite = assessment.composite
    return {
        "score": None if composite.score is None else round(composite.score, 1),
        "lower": round(composite.lower, 1),
        "upper": round(composite.upper, 1),
        "parts": {
            part: None if found.score is None else round(found.score, 1) for part, found in assessment.parts.items()
        },
        "reasons": list(assessment.reasons[:MAX_REASONS]),
    }


def brief_replay(loss: ShockLoss) -> Fact:
    worst = sorted(loss.lines, key=lambda line: -line.loss)[:MAX_LINES]
    return {
        "episode": loss.name,
        "loss": round(loss.loss, SHARE_DIGITS),
        "gas": round(loss.gas, SHARE_DIGITS),
        "blocked_share": round(loss.blocked_share, SHARE_DIGITS),
        "worst_lines": {line.subject: round(line.loss, SHARE_DIGITS) for line in worst},
        "assumed_count": len(loss.assumptions),
    }


def brief_breaking(found: Mapping[str, Breaking[str]]) -> Fact:
    return {
        name: {
            "smallest_fall": None if breaking.size is None else round(breaking.size, SHARE_DIGITS),
            "trips": sorted(breaking.breaches),
        }
        for name, breaking in found.items()
    }
