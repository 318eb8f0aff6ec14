"""Reads a model's raw tool arguments: strict JSON, a closed schema and only ids that were offered."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import Annotated, Final, NoReturn

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

MAX_ARGUMENTS_CHARACTERS: Final = 4_000
MAX_NESTING: Final = 3
MAX_REASON_CHARACTERS: Final = 1_200
STRICT_SCHEMA_KEYS: Final = frozenset(
    {"type", "properties", "required", "additionalProperties", "items", "enum", "description", "anyOf", "$defs", "$ref"}
)
"""What structured outputs of every common endpoint understand; lengths are checked here, not there."""


class Arguments(BaseModel):
    """Base of every tool's arguments: closed, without conversions, every field required."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _only_printable(text: str) -> str:
    """Bidirectional overrides and control characters could show a reader something else than was written."""
    shown = "".join(character if character.isprintable() else " " for character in text).strip()
    if not shown:
        raise ValueError("must not be empty")
    return shown


Reason = Annotated[str, Field(max_length=MAX_REASON_CHARACTERS), AfterValidator(_only_printable)]


@dataclass(frozen=True, slots=True)
class ToolRefusal:
    """Why a request does not count. Names code, place and what is allowed; never repeats what the model wrote."""

    code: str
    field: str
    allowed: str


Choices = Mapping[str, tuple[str, ...]]
"""Field name -> the ids offered for it, in this run."""


def parse_arguments(raw: str, schema: type[Arguments], choices: Choices) -> Arguments | ToolRefusal:
    document = _parse_json(raw)
    if isinstance(document, ToolRefusal):
        return document
    try:
        arguments = schema.model_validate_json(json.dumps(document))
    except ValidationError as error:
        problem = error.errors(include_input=False, include_context=False, include_url=False)[0]
        known = [str(part) for part in problem["loc"] if str(part) in schema.model_fields]
        return ToolRefusal("wrong_arguments", ".".join(known) or "arguments", "exactly the fields of the tool's schema")
    return _refuse_unoffered(arguments, choices) or arguments


def _parse_json(raw: str) -> object:
    if len(raw) > MAX_ARGUMENTS_CHARACTERS:
        return ToolRefusal("arguments_too_long", "arguments", f"at most {MAX_ARGUMENTS_CHARACTERS} characters")
    if _nesting(raw) > MAX_NESTING:
        return ToolRefusal("arguments_too_deep", "arguments", f"at most {MAX_NESTING} levels")
    try:
        return json.loads(raw, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except ValueError:
        return ToolRefusal("arguments_not_json", "arguments", "one JSON object without duplicate keys or NaN")


def _nesting(raw: str) -> int:
    """Upper bound of the nesting: brackets inside strings count too, which is against the sender."""
    return max(accumulate((character in "[{") - (character in "]}") for character in raw), default=0)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("duplicate key")
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _refuse_unoffered(arguments: Arguments, choices: Choices) -> ToolRefusal | None:
    for field, offered in choices.items():
        value = getattr(arguments, field)
        chosen = value if isinstance(value, tuple) else (value,)
        if not set(chosen) <= set(offered):
            return ToolRefusal("not_offered", field, ", ".join(offered) or "nothing")
        if len(set(chosen)) != len(chosen):
            return ToolRefusal("repeated", field, "each id once")
    return None


def offered_schema(schema: type[Arguments], choices: Choices) -> str:
    """The JSON schema shown to a model: offered ids as enums, reduced to what strict endpoints accept."""
    document = {"required": [], **json.loads(_json_schema(schema))}
    for field, offered in choices.items():
        properties = document["properties"][field]
        target = properties.get("items", properties)
        if offered:
            target["enum"] = list(offered)
    return json.dumps(_reduced(document), separators=(",", ":"))


@cache
def _json_schema(schema: type[Arguments]) -> str:
    """As text, so that nobody changes what the next agent is offered."""
    return json.dumps(schema.model_json_schema())


def _reduced(schema: Mapping[str, object]) -> dict[str, object]:
    """`properties` and `$defs` map names to schemas, so their keys are names and all stay."""
    reduced: dict[str, object] = {}
    for key, value in schema.items():
        if key in {"properties", "$defs"} and isinstance(value, Mapping):
            reduced[key] = {name: _reduced(entry) for name, entry in value.items()}
        elif key in STRICT_SCHEMA_KEYS:
            reduced[key] = _reduced(value) if isinstance(value, Mapping) else value
    return reduced
