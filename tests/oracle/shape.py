"""Whether evidence is what its types say: exact types, ranges, forms, nothing missing."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Final, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt, MaxLen
from pydantic import AwareDatetime, BaseModel
from pydantic.fields import FieldInfo

from domain.market import Catalog
from domain.units import Int256, Uint256
from domain.verdict import Evidence

Check = Callable[[object], bool]
REMEMBERED: Final = 16_384


class Shapes:
    """Checks values against their classes' annotations; remembers the ones it has seen, which never change."""

    def __init__(self) -> None:
        self._checks: dict[type, dict[str, Check]] = {}
        self._seen: dict[int, object] = {}
        self._seen_before: dict[int, object] = {}

    def is_sound(self, evidence: object) -> bool:
        return self._is_value(evidence, Evidence)

    def _is_value(self, value: object, kind: type[BaseModel]) -> bool:
        if type(value) is not kind:
            return False
        key = id(value)
        if self._seen.get(key) is value:
            return True
        if self._seen_before.get(key) is not value and not (self._has_its_fields(value) and _is_consistent(value)):
            return False
        if len(self._seen) >= REMEMBERED:
            self._seen, self._seen_before = {}, self._seen
        self._seen[key] = value
        return True

    def _has_its_fields(self, value: BaseModel) -> bool:
        held = value.__dict__
        for name, check in (self._checks.get(type(value)) or self._compile(type(value))).items():
            if name not in held or not check(held[name]):
                return False
        return True

    def _compile(self, kind: type[BaseModel]) -> dict[str, Check]:
        hints = get_type_hints(kind, include_extras=True)
        checks = {
            name: _all_of(self._check_of(hints[name]), *_constraints(field))
            for name, field in kind.model_fields.items()
        }
        self._checks[kind] = checks
        return checks

    def _check_of(self, hint: object) -> Check:
        if hint is Uint256:
            return lambda value: type(value) is int and 0 <= value < 2**256
        if hint is Int256:
            return lambda value: type(value) is int and -(2**255) <= value < 2**255
        origin = get_origin(hint)
        if origin is Annotated:
            base, *metadata = get_args(hint)
            extra = [check for item in metadata if isinstance(item, FieldInfo) for check in _constraints(item)]
            return _all_of(self._check_of(base), *extra)
        if origin in {Union, UnionType}:
            checks = [self._check_of(option) for option in get_args(hint)]
            return lambda value: any(check(value) for check in checks)
        if origin is tuple:
            item_check = self._check_of(get_args(hint)[0])
            return lambda value: type(value) is tuple and all(map(item_check, value))
        if origin is Literal:
            return _one_of(get_args(hint))
        return self._check_of_class(hint)

    def _check_of_class(self, kind: object) -> Check:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return lambda value: self._is_value(value, kind)
        if isinstance(kind, type) and (issubclass(kind, Enum) or kind in {bool, int, str, NoneType}):
            return lambda value: type(value) is kind
        return PLAIN[kind]


def _is_writable(value: Decimal) -> bool:
    """In plain notation: at most 90 digits before the point and 60 after it (domain.units.ExactDecimal)."""
    exponent = value.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -60 and value.adjusted() < 90


def _is_utc(value: object) -> bool:
    return type(value) is datetime and value.utcoffset() == timedelta(0)


PLAIN: Final[dict[object, Check]] = {
    float: lambda value: type(value) is float and math.isfinite(value),
    Decimal: lambda value: type(value) is Decimal and value.is_finite() and _is_writable(value),
    AwareDatetime: _is_utc,
}


def _all_of(*checks: Check) -> Check:
    return checks[0] if len(checks) == 1 else lambda value: all(check(value) for check in checks)


def _one_of(options: tuple[object, ...]) -> Check:
    return lambda value: any(type(value) is type(option) and value == option for option in options)


def _constraints(field: FieldInfo) -> list[Check]:
    """Of a field's ranges, lengths and patterns, those that its type does not carry already."""
    return [check for item in field.metadata for check in [_constraint(item)] if check is not None]


def _constraint(item: object) -> Check | None:
    bound: object
    match item:
        case Ge(ge=bound):
            return lambda value: value >= bound  # type: ignore[operator]  # the type is checked before
        case Gt(gt=bound):
            return lambda value: value > bound  # type: ignore[operator]  # as above
        case Le(le=bound):
            return lambda value: value <= bound  # type: ignore[operator]  # as above
        case Lt(lt=bound):
            return lambda value: value < bound  # type: ignore[operator]  # as above
        case MaxLen(max_length=bound):
            return lambda value: len(value) <= bound  # type: ignore[arg-type]  # as above
    pattern = getattr(item, "pattern", None)
    return None if pattern is None else _matches(re.compile(pattern, re.ASCII))


def _matches(pattern: re.Pattern[str]) -> Check:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _is_consistent(value: object) -> bool:
    """A catalog names everything once and nothing that it does not list."""
    if not isinstance(value, Catalog):
        return True
    groups = (value.tokens, value.strategies, value.venues)
    if any(len({entry.id for entry in group}) < len(group) for group in groups):
        return False
    used = {value.reserve_token, value.native_token, *(strategy.token for strategy in value.strategies)}
    used |= {token for venue in value.venues for token in (venue.token_0, venue.token_1)}
    return used <= {token.id for token in value.tokens}
