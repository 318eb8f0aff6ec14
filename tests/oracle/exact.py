"""The oracle's numbers: exact rationals, money in one tiny unit, ages in microseconds; None is unknown."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Final

Rational = int | Fraction
Measure = tuple[Rational, Rational] | None
"""Numerator and positive denominator of what was observed, never reduced; None where it is unknown."""

MONEY_DIGITS: Final = 96
"""One dollar is 10^96 units: 60 digits of price and 36 of token stay whole numbers."""
DOLLAR: Final = 10**MONEY_DIGITS
BPS: Final = 10_000
MICROSECONDS: Final = 1_000_000
FUTURE_SECONDS: Final = 15
"""Clocks differ; a moment further ahead than this is no moment we know."""


@lru_cache(maxsize=65_536)
def pair_of(number: Decimal | int) -> tuple[int, int]:
    return number.as_integer_ratio()


@lru_cache(maxsize=65_536)
def pair_of_statistic(number: float) -> tuple[int, int]:
    """The decimal that the float's shortest text names."""
    return Fraction(repr(number)).as_integer_ratio()


@lru_cache(maxsize=65_536)
def money(amount_usd: Decimal) -> Rational:
    return whole(Fraction(amount_usd) * DOLLAR)


@lru_cache(maxsize=65_536)
def unit_price(price_usd: Decimal, decimals: int) -> Rational:
    """Money per base unit of a token."""
    return whole(Fraction(price_usd) * Fraction(DOLLAR, 10**decimals))


def whole(number: Fraction) -> Rational:
    """Integers are several times faster than fractions of denominator one."""
    return number.numerator if number.denominator == 1 else number


def microseconds(span: timedelta) -> int:
    return (span.days * 86_400 + span.seconds) * MICROSECONDS + span.microseconds


def age(now: datetime, moment: datetime) -> int | None:
    """Microseconds since a moment, 0 when it is just ahead, unknown when it is further ahead."""
    passed = microseconds(now - moment)
    return None if passed < -FUTURE_SECONDS * MICROSECONDS else max(0, passed)


def raised(amount: int, bps: int) -> int:
    """An amount and its tolerance, rounded up."""
    return -(-amount * (BPS + bps) // BPS)
