"""Why a TOML file is refused, in one sentence: file, line, key, what stands there and what may."""

from __future__ import annotations

import difflib
import types
from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from domain.errors import ConfigurationInvalid
from domain.policy_change import limits_of
from domain.policy_rules import contradictions

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from app.toml_file import TomlFile
    from domain.policy import Policy

MAX_SHOWN: Final = 80
FRACTION_HINT: Final = " (a fraction: 0.35 is 35 %)"
_WORDS: Final = ((bool, "true or false"), (int, "a whole number"), (Decimal, "a number"), (str, "text"))
_CONSTRAINTS: Final = (
    ("ge", "at least"), ("gt", "above"), ("le", "at most"), ("lt", "below"), ("pattern", "that matches"),
)  # fmt: skip
UNIQUE: Final = (
    ("tokens", (("id",), ("address",))),
    ("strategies", (("id",), ("receipt",), ("contract", "token"))),
    ("venues", (("id",), ("pool",))),
)
"""What names an entry of each list of the strategies file; a strategy is also its receipt, and its place and token."""
_UNIONS: Final = (Union, types.UnionType)

Model = TypeVar("Model", bound=BaseModel)


def parse_toml(file: TomlFile, model: type[Model]) -> Model:
    """Raises ConfigurationInvalid about the first problem."""
    try:
        return model.model_validate(file.values)
    except ValidationError as error:
        raise ConfigurationInvalid(_sentence(file, _first_cause(error), model)) from None


def require_consistent(file: TomlFile, policy: Policy) -> None:
    """Raises ConfigurationInvalid about the first limit that another one contradicts."""
    for found in contradictions(policy):
        refusal = refusal_of(found.key, found.value, found.allowed)
        raise ConfigurationInvalid(f"{file.where(found.key.split('.'))}: {refusal}; {found.reason}")


def require_numbers(file: TomlFile, policy: Policy) -> None:
    """Raises ConfigurationInvalid about the first limit written as text: only the word `unlimited` is one."""
    for key, limit in limits_of(policy).items():
        location = key.split(".")
        written = file.values[location[0]] if len(location) == 1 else file.values[location[0]][location[1]]
        if isinstance(limit, Decimal) and isinstance(written, str):
            refusal = refusal_of(key, f'"{written}"', allowed_at(location, type(policy)))
            raise ConfigurationInvalid(f"{file.where(location)}: {refusal}; write it without quotes")


def require_unique(file: TomlFile) -> None:
    """Raises ConfigurationInvalid about an entry listed twice: its limits would count each of them by itself."""
    for group, keys in UNIQUE:
        entries = file.values.get(group)
        for fields in keys:
            _refuse_repeated(file, group, entries if isinstance(entries, list) else [], fields)


def _refuse_repeated(file: TomlFile, group: str, entries: list[object], fields: tuple[str, ...]) -> None:
    seen: dict[str, int] = {}
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict) or not all(field in entry for field in fields):
            continue  # what is missing is refused by its type
        value = " ".join(str(entry[field]).lower() for field in fields)
        first = seen.setdefault(value, index)
        if first != index:
            location = (group, str(index), fields[0])
            raise ConfigurationInvalid(
                f"{file.where(location)}: key {'.'.join(location)!r} is {value!r}, "
                f"as in {file.where((group, str(first), fields[0]))}; allowed: each {' and '.join(fields)} once"
            )


def _first_cause(error: ValidationError) -> ErrorDetails:
    """An unknown key comes first: it is why the right one is missing."""
    problems = error.errors(include_url=False, include_context=False)
    return next((each for each in problems if each["type"] == "extra_forbidden"), problems[0])


def _sentence(file: TomlFile, problem: ErrorDetails, model: type[BaseModel]) -> str:
    # pydantic adds the branch of a union to the location, which is no key of the file
    location = [str(part) for part in problem["loc"] if isinstance(part, int) or part.isidentifier()]
    key, where = ".".join(location), file.where(location)
    if problem["type"] == "extra_forbidden":
        home = _home_of(location, file, model)
        if home is not None:
            return f"{where}: key {key!r} belongs to section [{home}], whose header is missing above it"
        return f"{where}: unknown key {key!r}{_suggestion(location, model)}"
    allowed = allowed_at(location, model)
    if problem["type"] == "missing":
        return f"{where}: key {key!r} is missing; allowed: {allowed}"
    if not location:
        return f"{where}: {problem['msg'].removeprefix('Value error, ')}"
    return f"{where}: {refusal_of(key, problem['input'], allowed)}"


def _home_of(location: list[str], file: TomlFile, model: type[BaseModel]) -> str | None:
    """The section that the file has no header of and that knows the key; its keys stand in the section before it."""
    missing = (name for name in model.model_fields if name not in file.values)
    return next((name for name in missing if location[-1] in _fields_at([name], model)), None)


def refusal_of(key: str, value: object, allowed: str) -> str:
    return f"key {key!r} is {str(value)[:MAX_SHOWN]!r}; allowed: {allowed}"


def _suggestion(location: list[str], model: type[BaseModel]) -> str:
    known = list(_fields_at(location[:-1], model))
    key = location[-1]
    unit_forms = [field for field in known if field.startswith(key + "_")]
    close = unit_forms or difflib.get_close_matches(key, known, n=1)
    if not close:
        return f"; known keys: {', '.join(sorted(known))}"
    allowed = allowed_at([*location[:-1], close[0]], model)
    if unit_forms:
        return f": the unit is missing, write {close[0]!r}; allowed: {allowed}"
    return f": did you mean {close[0]!r}? allowed: {allowed}"


def allowed_at(location: Sequence[str], model: type[BaseModel]) -> str:
    """What the key may hold, in words."""
    field = _fields_at(location[:-1], model).get(location[-1]) if location else None
    if field is None:
        return "what the file that ships has there"
    hint = FRACTION_HINT if location[-1].endswith("_share") else ""
    return _in_words(field.annotation, tuple(field.metadata)) + hint


def _fields_at(location: Sequence[str], model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Of the section at that place; nothing where there is none."""
    found: type[BaseModel] | None = model
    for part in location:
        if part.isdecimal():
            continue
        field = found.model_fields.get(part) if found is not None else None
        annotation = field.annotation if field is not None else None
        annotation = next(iter(get_args(annotation)), annotation)  # an entry of a list of tables
        found = annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None
    return found.model_fields if found is not None else {}


def _in_words(annotation: object, metadata: tuple[object, ...]) -> str:
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        nested = [part for each in more if isinstance(each, FieldInfo) for part in each.metadata]
        return _in_words(inner, (*metadata, *more, *nested))
    if get_origin(annotation) in _UNIONS:
        return ", or ".join(_in_words(branch, ()) for branch in get_args(annotation) if branch is not types.NoneType)
    if get_origin(annotation) is Literal:
        return _choice(get_args(annotation))
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return _choice([member.value for member in annotation])
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "a section"
    words = next((words for kind, words in _WORDS if annotation is kind), "a list")
    return ", ".join([words, *_bounds(metadata)])


def _choice(words: Sequence[object]) -> str:
    return " or ".join(f'"{word}"' if isinstance(word, str) else str(word) for word in words)


def _bounds(metadata: tuple[object, ...]) -> list[str]:
    """The fields of pydantic's constraints, whichever of them a type carries."""
    bounds = [
        f"{words} {getattr(each, name)}"
        for each in metadata
        for name, words in _CONSTRAINTS
        if not isinstance(each, FieldInfo) and getattr(each, name, None) is not None
    ]
    return [" and ".join(bounds)] if bounds else []
