"""Exact numbers: amounts survive JSON, conversions are exact, and what is not a number is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import ROUND_UP, Decimal, DivisionByZero
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from domain.units import (
    INT256_MIN,
    LIMIT_STEP,
    UINT256_MAX,
    Address,
    ExactDecimal,
    Int256,
    Uint256,
    UtcDatetime,
    apr_to_apy,
    apy_to_apr,
    divide,
    divide_down,
    divide_up,
    scale_down_bps,
    scale_up_bps,
    to_base_units,
    to_tokens,
    value_usd,
)

UINT = TypeAdapter(Uint256)
INT = TypeAdapter(Int256)
DECIMAL = TypeAdapter(ExactDecimal)


@given(st.integers(min_value=0, max_value=UINT256_MAX))
def test_any_uint256_survives_json_as_a_decimal_string(amount):
    text = UINT.dump_json(amount)

    assert text == f'"{amount}"'.encode()
    assert UINT.validate_json(text) == amount


@pytest.mark.parametrize("raw", [-1, UINT256_MAX + 1, True, 1.0, "1e3", " 1", "0x1", "", None, "\u0661", "9" * 79])
def test_uint256_refuses_what_is_not_an_unsigned_integer(raw):
    with pytest.raises(ValidationError):
        UINT.validate_python(raw)


@pytest.mark.parametrize("amount", [INT256_MIN, -1, 0, -INT256_MIN - 1])
def test_int256_keeps_its_whole_range(amount):
    assert INT.validate_json(INT.dump_json(amount)) == amount


@pytest.mark.parametrize("raw", [INT256_MIN - 1, -INT256_MIN, False, "+1"])
def test_int256_refuses_what_lies_outside(raw):
    with pytest.raises(ValidationError):
        INT.validate_python(raw)


@pytest.mark.parametrize("raw", [0.1, "NaN", "Infinity", "1e400", Decimal("NaN"), Decimal("Infinity"), True, None])
def test_exact_decimal_refuses_floats_and_what_is_not_finite(raw):
    with pytest.raises(ValidationError):
        DECIMAL.validate_python(raw)


def test_exact_decimal_writes_plain_notation():
    assert DECIMAL.dump_json(Decimal("1E+3")) == b'"1000"'
    assert DECIMAL.validate_python(7) == Decimal(7)


def test_addresses_are_lower_case():
    assert TypeAdapter(Address).validate_python("0x" + "AB" * 20) == "0x" + "ab" * 20


def test_addresses_refuse_text_that_is_not_hex():
    with pytest.raises(ValidationError):
        TypeAdapter(Address).validate_python(7)


@pytest.mark.parametrize("offset", [timezone(timedelta(hours=1)), None])
def test_moments_must_be_aware_and_in_utc(offset):
    with pytest.raises(ValidationError):
        TypeAdapter(UtcDatetime).validate_python(datetime(2026, 3, 1, tzinfo=offset))


def test_moments_in_utc_pass():
    moment = datetime(2026, 3, 1, tzinfo=UTC)

    assert TypeAdapter(UtcDatetime).validate_python(moment) == moment


@given(st.integers(min_value=0, max_value=UINT256_MAX), st.integers(min_value=0, max_value=36))
def test_base_units_round_trip_through_tokens(amount, decimals):
    assert to_base_units(to_tokens(amount, decimals), decimals) == amount


def test_base_units_round_down_unless_told():
    assert to_base_units(Decimal("1.9999999"), 6) == 1_999_999
    assert to_base_units(Decimal("1.9999991"), 6, rounding=ROUND_UP) == 2_000_000


def test_value_is_exact_beyond_the_default_precision():
    assert value_usd(10**30 + 1, decimals=6, price_usd=Decimal("1")) == Decimal("1000000000000000000000000.000001")


@given(st.integers(min_value=0, max_value=UINT256_MAX), st.integers(min_value=0, max_value=10_000))
def test_scaling_by_basis_points_rounds_against_us(amount, bps):
    down, up = scale_down_bps(amount, bps), scale_up_bps(amount, bps)

    assert down * 10_000 <= amount * (10_000 - bps) < (down + 1) * 10_000
    assert (up - 1) * 10_000 < amount * (10_000 + bps) <= up * 10_000


def test_division_by_zero_raises():
    with pytest.raises(DivisionByZero):
        divide(Decimal(1), Decimal(0))


@pytest.mark.parametrize(("numerator", "denominator"), [(1, 3), (2, 3), (-1, 3), (1, 4), (10**80, 7)])
def test_rounded_quotients_enclose_the_quotient_within_one_step(numerator, denominator):
    down, up = (divide(Decimal(numerator), Decimal(denominator)) for divide in (divide_down, divide_up))

    exact = Fraction(numerator, denominator)
    assert Fraction(down) <= exact <= Fraction(up)
    assert Fraction(up) - Fraction(down) in {0, Fraction(LIMIT_STEP)}


def test_apy_of_five_percent_simple_compounded_per_second_is_exp_minus_one():
    # exp(0.05) - 1 = 0.05127109638 (continuous compounding; compounding per second is 4e-11 less)
    assert apr_to_apy(0.05) == pytest.approx(0.05127109634, abs=1e-11)
    assert apy_to_apr(apr_to_apy(0.05)) == pytest.approx(0.05, abs=1e-15)


def test_apy_with_one_period_is_the_apr():
    assert apr_to_apy(0.05, periods_per_year=1) == pytest.approx(0.05)
