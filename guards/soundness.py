"""Soundness: the evidence itself parses again; NaN, None or a wrong type anywhere in it denies."""

from __future__ import annotations

from pydantic import BaseModel

from domain.verdict import Evidence, Finding
from guards.finding import Ruler

RULER = Ruler("soundness")


def check_soundness(evidence: Evidence) -> tuple[Finding, ...]:
    """Raises where a value does not parse: the table turns that into a denial."""
    again = Evidence.model_validate(_raw(evidence))
    same = again.model_dump_json(warnings="error") == evidence.model_dump_json(warnings="error")
    observed = "equal" if same else "different"
    return (RULER.fact("evidence_invalid", "evidence", passed=same, limit="reads back equal", observed=observed),)


def _raw(value: object) -> object:
    """Models opened into their fields: pydantic does not look again into an instance, however it was made."""
    if isinstance(value, BaseModel):
        return {name: _raw(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, tuple):
        return tuple(_raw(item) for item in value)
    return value
