"""Exact numbers: base units, addresses, digests, times, and the only conversions between them."""

from __future__ import annotations

import decimal
import math
import re
from decimal import Decimal
from typing import Annotated, Final, NewType

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
)

UINT256_MAX: Final = 2**256 - 1
INT256_MIN: Final = -(2**255)
BPS_PER_ONE: Final = 10_000
SECONDS_PER_YEAR: Final = 31_536_000  # Aave v3 MathUtils.SECONDS_PER_YEAR
SECONDS_PER_DAY: Final = 86_400
MAX_DECIMALS: Final = 36
EXACT: Final = decimal.Context(
    prec=160,
    Emax=999_999,
    Emin=-999_999,
    traps=[
        decimal.InvalidOperation,
        decimal.DivisionByZero,
        decimal.Overflow,
    ],
)  # Decimal's default of 28 digits would round 10**30 + 1
LIMIT_STEP: Final = Decimal("1e-60")
"""The smallest step between two limits: their text has at most 60 places."""

_UINT_TEXT: Final = re.compile(r"[0-9]{1,78}", re.ASCII)
_INT_TEXT: Final = re.compile(r"-?[0-9]{1,78}", re.ASCII)
_DECIMAL_TEXT: Final = re.compile(r"-?[0-9]{1,90}(\.[0-9]{1,60})?", re.ASCII)


def _parse_uint256(raw: object) -> int:
    value = _parse_integer(raw, _UINT_TEXT)
    if not 0 <= value <= UINT256_MAX:
        raise ValueError(f"must be within 0..2^256-1, got {value}")
    return value


def _parse_int256(raw: object) -> int:
    value = _parse_integer(raw, _INT_TEXT)
    if not INT256_MIN <= value < -INT256_MIN:
        raise ValueError(f"must be within -2^255..2^255-1, got {value}")
    return value


def _parse_integer(raw: object, text_form: re.Pattern[str]) -> int:
    if isinstance(raw, str) and text_form.fullmatch(raw):
        return int(raw)
    if type(raw) is int:  # bool is an int subclass and must not pass
        return raw
    raise ValueError(f"must be an integer or its decimal string, got {type(raw).__name__} {raw!r:.80}")


def _parse_decimal(raw: object) -> Decimal:
    if isinstance(raw, str) and _DECIMAL_TEXT.fullmatch(raw):
        return Decimal(raw)
    if isinstance(raw, Decimal) and raw.is_finite():
        return raw
    if type(raw) is int:
        return Decimal(raw)
    raise ValueError(f"must be a finite decimal number as text or integer, got {type(raw).__name__} {raw!r:.80}")


def decimal_text(value: Decimal) -> str:
    """Plain notation without exponent, so that it survives JSON, SQL and a reader's eye."""
    return Decimal.__format__(value, "f")  # Decimal's own method refuses a bool or float that poses as one


def _lower_hex(raw: object) -> object:
    return raw.lower() if isinstance(raw, str) else raw


type_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")  # NaN never turns into null


class Value(BaseModel):
    """Base of everything that crosses a node, a process, HTTP or disk: frozen, no unknown fields."""

    model_config = type_config


Uint256 = Annotated[int, BeforeValidator(_parse_uint256), PlainSerializer(str, return_type=str)]
Int256 = Annotated[int, BeforeValidator(_parse_int256), PlainSerializer(str, return_type=str)]
ExactDecimal = Annotated[Decimal, BeforeValidator(_parse_decimal), PlainSerializer(decimal_text, return_type=str)]
Usd = ExactDecimal
Spent = Annotated[Usd, Field(ge=0)]
"""What was used up or lost, in USD: no batch gives a budget back."""
Share = Annotated[ExactDecimal, Field(ge=0)]
"""A fraction of one; 0.05 is 5 %."""
Bps = Annotated[int, Field(ge=0, le=BPS_PER_ONE, strict=True)]
Ratio = Annotated[float, Field(allow_inf_nan=False)]
"""A finite float: rates, statistics. Never an amount."""
Decimals = Annotated[int, Field(ge=0, le=MAX_DECIMALS)]

Address = Annotated[str, Field(pattern=r"^0x[0-9a-f]{40}$"), BeforeValidator(_lower_hex)]
"""Lower case; the EIP-55 checksum form exists only at the web3 edge and on screen."""
HexData = Annotated[str, Field(pattern=r"^0x([0-9a-f]{2})*$", max_length=262_146), BeforeValidator(_lower_hex)]
Selector = Annotated[str, Field(pattern=r"^0x[0-9a-f]{8}$"), BeforeValidator(_lower_hex)]
Hash32 = Annotated[str, Field(pattern=r"^0x[0-9a-f]{64}$"), BeforeValidator(_lower_hex)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""sha256 in hex, without 0x."""
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,47}$")]
RunId = NewType("RunId", str)


def _to_utc(moment: AwareDatetime) -> AwareDatetime:
    if moment.utcoffset():
        raise ValueError(f"must be in UTC, got offset {moment.utcoffset()}")
    return moment


UtcDatetime = Annotated[AwareDatetime, AfterValidator(_to_utc)]


def to_tokens(base_units: int, decimals: int) -> Decimal:
    """Exact token count of an amount in base units."""
    return Decimal(base_units).scaleb(-decimals, EXACT)


def to_base_units(tokens: Decimal, decimals: int, *, rounding: str = decimal.ROUND_DOWN) -> int:
    """Base units of a token count; rounds down unless told, so that we never ask for more than we have."""
    scaled = tokens.scaleb(decimals, context=EXACT)
    return int(scaled.to_integral_value(rounding=rounding, context=EXACT))


def value_usd(base_units: int, *, decimals: int, price_usd: Decimal) -> Decimal:
    """Exact USD value of an amount."""
    return EXACT.multiply(to_tokens(base_units, decimals), price_usd)


def divide(numerator: Decimal, denominator: Decimal) -> Decimal:
    """Exact-context quotient, quantized to 30 places. Raises decimal.DivisionByZero on 0."""
    return EXACT.divide(numerator, denominator).quantize(Decimal("1e-30"), context=EXACT)


def divide_up(numerator: Decimal, denominator: Decimal) -> Decimal:
    """Smallest multiple of LIMIT_STEP from the quotient upwards: above a limit exactly where the quotient itself is."""
    return _EXACT_UP.divide(numerator, denominator).quantize(LIMIT_STEP, None, _EXACT_UP)


def divide_down(numerator: Decimal, denominator: Decimal) -> Decimal:
    """Largest multiple of LIMIT_STEP up to the quotient: below a limit exactly where the quotient itself is."""
    return _EXACT_DOWN.divide(numerator, denominator).quantize(LIMIT_STEP, None, _EXACT_DOWN)


def _rounding(rounding: str) -> decimal.Context:
    context = EXACT.copy()
    context.rounding = rounding
    return context


_EXACT_UP: Final = _rounding(decimal.ROUND_CEILING)
_EXACT_DOWN: Final = _rounding(decimal.ROUND_FLOOR)


def scale_down_bps(amount: int, bps: int) -> int:
    """Reduce an amount by bps of itself, rounded down: the minimum we accept."""
    return amount * (BPS_PER_ONE - bps) // BPS_PER_ONE


def scale_up_bps(amount: int, bps: int) -> int:
    """Raise an amount by bps of itself, rounded up: the maximum we pay."""
    return -(-amount * (BPS_PER_ONE + bps) // BPS_PER_ONE)


def apr_to_apy(apr: float, *, periods_per_year: int = SECONDS_PER_YEAR) -> float:
    """Annual compounded rate of a simple annual rate; Aave compounds per second."""
    return math.expm1(periods_per_year * math.log1p(apr / periods_per_year))  # the power form loses eight digits


def apy_to_apr(apy: float, *, periods_per_year: int = SECONDS_PER_YEAR) -> float:
    """Inverse of apr_to_apy."""
    return periods_per_year * math.expm1(math.log1p(apy) / periods_per_year)
