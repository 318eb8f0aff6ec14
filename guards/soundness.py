"""Soundness: nothing is judged as it was handed over, only as it parses again from its own text."""

from __future__ import annotations

from typing import Final

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from domain.errors import InvariantBroken
from domain.verdict import Evidence
from guards.finding import Row, Ruler

RULER = Ruler("soundness")
SOUND: Final = RULER.fact("evidence_invalid", "evidence", passed=True, limit="reads back equal", observed="equal")
CONTEXT: Final = 24


def read_again(evidence: Evidence) -> Evidence:
    """A value that owes nothing to the object: no cached lookup, subclass or unvalidated field survives the text.

    Raises InvariantBroken naming what cannot be written, the first field that does not parse, or the first text that
    reads back differently.
    """
    text = _written(evidence)
    again = _parsed(text)
    if (back := _written(again)) != text:
        raise InvariantBroken(f"text reads back differently: {_first_difference(text, back)}")
    return again


def _written(evidence: Evidence) -> bytes:
    """By the serializer of Evidence itself: a subclass does not get to say how it is written."""
    try:
        return Evidence.__pydantic_serializer__.to_json(evidence, warnings="error")
    except PydanticSerializationError as error:
        raise InvariantBroken(" ".join(str(error).split())) from error


def _parsed(text: bytes) -> Evidence:
    try:
        return Evidence.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in ("evidence", *first["loc"]))
        raise InvariantBroken(f"{field}: {first['msg']}") from error


def _first_difference(text: bytes, back: bytes) -> str:
    """There is one: no object's text is the beginning of another's."""
    differing = next(i for i, (a, b) in enumerate(zip(text, back, strict=False)) if a != b)
    start = max(differing - CONTEXT, 0)
    before, after = (part[start : start + 2 * CONTEXT].decode(errors="replace") for part in (text, back))
    return f"{before} became {after}"


def unreadable(fault: str) -> Row:
    return RULER.fact("evidence_invalid", "evidence", passed=False, limit="reads back equal", observed=fault)
