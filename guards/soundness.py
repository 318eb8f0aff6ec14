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

    Raises InvariantBroken naming what cannot be written, the first field that does not parse, the first text that
    reads back differently, or a holding that the catalog does not list.
    """
    text = _written(evidence)
    again = _parsed(text)
    if (back := _written(again)) != text:
        raise InvariantBroken(f"text reads back differently: {_first_difference(text, back)}")
    _require_listed(again)
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
        first = error.errors()[0]
        field = ".".join(str(part) for part in ("evidence", *first["loc"]))
        raise InvariantBroken(f"{field}: {first['msg']}") from error


def _require_listed(evidence: Evidence) -> None:
    """Of a line that the catalog does not list nobody can say what it is; raises InvariantBroken naming the first."""
    tokens = {token.id for token in evidence.catalog.tokens}
    strategies = {strategy.id for strategy in evidence.catalog.strategies}
    for name, book in (("before", evidence.before), ("after", evidence.after)):
        unlisted = {balance.token for balance in book.cash} - tokens
        unlisted |= {position.strategy for position in book.positions} - strategies
        if unlisted:
            raise InvariantBroken(f"evidence.{name}: {min(unlisted)} is held and not in the catalog")


def _first_difference(text: bytes, back: bytes) -> str:
    """There is one: no object's text is the beginning of another's."""
    place = next(i for i in range(len(text)) if text[i] != back[i])
    around = (part[:place][-CONTEXT:] + part[place : place + CONTEXT] for part in (text, back))
    before, after = (part.decode(errors="replace") for part in around)
    return f"{before} became {after}"


def unreadable(fault: str) -> Row:
    return RULER.fact("evidence_invalid", "evidence", passed=False, limit="reads back equal", observed=fault)
