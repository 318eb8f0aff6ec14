"""Soundness: the evidence itself parses again; NaN, None or a wrong type anywhere in it denies."""

from __future__ import annotations

from domain.verdict import Evidence, Finding
from guards.finding import Ruler

RULER = Ruler("soundness")


def check_soundness(evidence: Evidence) -> tuple[Finding, ...]:
    """Raises where a value cannot be written or read back: the table turns that into a denial."""
    again = Evidence.model_validate(evidence.model_dump(warnings="error"))
    same = again == evidence
    observed = "equal" if same else "different"
    return (RULER.fact("evidence_invalid", "evidence", passed=same, limit="reads back equal", observed=observed),)
