"""Values that are no values: what a lax comparison lets pass, planted anywhere into evidence without validation."""

from __future__ import annotations

import math
from decimal import Decimal
from random import Random
from typing import Final

from pydantic import BaseModel

from domain.verdict import Evidence
from tests.oracle.sample import Model, changed

BAD_VALUES: Final[tuple[object, ...]] = (
    None,
    True,
    False,
    "1",
    "",
    "٣",
    "unlimited ",
    1.0,
    -1.0,
    1e308 * 10,
    -math.inf,
    math.nan,
    Decimal(1),
    Decimal("-1"),
    Decimal("NaN"),
    Decimal("Infinity"),
    Decimal("1E+400"),
    Decimal("sNaN"),
    -1,
    2**256,
    10**400,
    b"1",
    [],
    ["usdc"],
    {},
    (None,),
    object(),
    "0x" + "00" * 20 + "\n",
)


class Twin(int):
    """Equal to a number, and not one: `type(x) is int` must say no."""


def plant(rng: Random, evidence: Evidence) -> Evidence:
    """One field somewhere becomes a bad value, or its own value in another type, or vanishes."""
    return _planted(rng, evidence)


def _planted(rng: Random, value: Model) -> Model:
    name = rng.choice(list(type(value).model_fields))
    part = value.__dict__[name]
    if isinstance(part, BaseModel) and rng.random() < 0.95:
        return changed(value, **{name: _planted(rng, part)})
    if isinstance(part, tuple) and part and isinstance(part[0], BaseModel) and rng.random() < 0.9:
        index = rng.randrange(len(part))
        return changed(value, **{name: (*part[:index], _planted(rng, part[index]), *part[index + 1 :])})
    if rng.random() < 0.05:
        copy = changed(value)
        del copy.__dict__[name]
        return copy
    return changed(value, **{name: rng.choice((*twins_of(part), rng.choice(BAD_VALUES), rng.choice(BAD_VALUES)))})


def twins_of(value: object) -> tuple[object, ...]:
    """Values that compare equal to this one, or print the same, and are of another type."""
    match value:
        case bool():
            return (int(value), str(value))
        case int():
            return (Decimal(value), Twin(value), str(value), *((float(value),) if abs(value) < 2**53 else ()))
        case float():
            return (Decimal(value), str(value))
        case Decimal():
            return (str(value), *((float(value),) if float(value) == value else ()))
        case str():
            return (value.encode(), value + "\0", value.upper() + " ")
        case tuple():
            return (list(value),)
    return ()
