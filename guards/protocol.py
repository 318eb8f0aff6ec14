"""Protocol: whatever is entered has a sufficient score and no open incident."""

from __future__ import annotations

from collections.abc import Iterator

from guards.case import Case
from guards.finding import Row, Ruler, measured
from guards.measures import entered_strategies

RULER = Ruler("protocol")


def check_protocol(case: Case) -> tuple[Row, ...]:
    """Only of protocols entered: staying in a bad one is not made better by refusing to move."""
    entered = {case.evidence.catalog.strategy(strategy).protocol for strategy in entered_strategies(case)}
    return tuple(row for protocol in sorted(entered) for row in _check_one(protocol, case))


def _check_one(protocol: str, case: Case) -> Iterator[Row]:
    scores = [score for score in case.evidence.scores if score.protocol == protocol]
    points = measured(min((score.score for score in scores), default=None))  # of two opinions the worse one
    limit = case.evidence.policy.protocol.min_score_points
    yield RULER.at_least("protocol_score", protocol, observed=points, limit=limit, unit="points")
    incident = "unknown" if not scores else "open" if any(score.has_open_incident for score in scores) else "none"
    yield RULER.fact("open_incident", protocol, passed=incident == "none", limit="none", observed=incident)
