"""Protocol: whatever is entered has a sufficient score and no open incident."""

from __future__ import annotations

from collections.abc import Iterator

from domain.verdict import Evidence, Finding
from guards.finding import Ruler, measured
from guards.measures import entered_strategies

RULER = Ruler("protocol")


def check_protocol(evidence: Evidence) -> tuple[Finding, ...]:
    """Only of protocols entered: staying in a bad one is not made better by refusing to move."""
    entered = {evidence.catalog.strategy(strategy).protocol for strategy in entered_strategies(evidence)}
    return tuple(row for protocol in sorted(entered) for row in _check_one(protocol, evidence))


def _check_one(protocol: str, evidence: Evidence) -> Iterator[Finding]:
    score = next((score for score in evidence.scores if score.protocol == protocol), None)
    points = measured(score.score) if score else None
    limit = evidence.policy.protocol.min_score_points
    yield RULER.at_least("protocol_score", protocol, observed=points, limit=limit, unit="points")
    incident = "unknown" if score is None else "open" if score.has_open_incident else "none"
    yield RULER.fact("open_incident", protocol, passed=incident == "none", limit="none", observed=incident)
