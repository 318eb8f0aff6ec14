"""A row compares exactly, passes nothing that is unknown, and becomes plain text."""

from __future__ import annotations

import math
from decimal import ROUND_UP, Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.units import UINT256_MAX
from guards.finding import Ruler, exact, findings_of, measured, text

NAN = Decimal("NaN")
RULER = Ruler("sample")


@pytest.mark.parametrize("limit", [None, NAN, Decimal("Infinity"), "many", ""])
def test_a_limit_that_is_missing_or_no_number_denies(limit):
    assert not RULER.at_most("code", "subject", observed=Decimal(0), limit=limit, unit="usd").passed
    assert not RULER.at_least("code", "subject", observed=Decimal(10**9), limit=limit, unit="usd").passed


@pytest.mark.parametrize("observed", [None, NAN, Decimal("-Infinity"), True, "1"])
@pytest.mark.parametrize("limit", [Decimal(10), "unlimited"])
def test_an_observation_that_is_missing_or_no_number_denies(observed, limit):
    assert not RULER.at_most("code", "subject", observed=observed, limit=limit, unit="usd").passed
    assert not RULER.at_least("code", "subject", observed=observed, limit=limit, unit="usd").passed


def test_only_the_word_unlimited_lifts_a_limit():
    assert RULER.at_most("code", "subject", observed=Decimal(10**9), limit="unlimited", unit="usd").passed
    assert RULER.at_least("code", "subject", observed=Decimal(0), limit="unlimited", unit="usd").passed


@given(st.integers(min_value=-UINT256_MAX, max_value=UINT256_MAX), st.integers(min_value=0, max_value=UINT256_MAX))
def test_comparisons_are_exact_at_any_size(observed, limit):
    assert RULER.at_most("code", "s", observed=observed, limit=limit, unit="wei").passed == (observed <= limit)
    assert RULER.at_least("code", "s", observed=observed, limit=limit, unit="wei").passed == (observed >= limit)


def headroom(row):
    (finding,) = findings_of([row])
    return finding["headroom"]


def test_headroom_is_what_is_left():
    share, limit = Decimal("0.3"), Decimal("0.35")

    assert headroom(RULER.at_most("code", "s", observed=share, limit=limit, unit="x")) == "0.05"
    assert headroom(RULER.at_least("code", "s", observed=7, limit=5, unit="x")) == "2"
    assert headroom(RULER.at_most("code", "s", observed=7, limit="unlimited", unit="x")) is None
    assert headroom(RULER.fact("code", "s", passed=True, limit="1", observed="1")) is None


def test_headroom_is_exact_at_any_size():
    row = RULER.at_most("code", "s", observed=Decimal(1), limit=Decimal(10**60), unit="x")

    assert headroom(row) == "9" * 60


def test_numbers_are_shown_plainly():
    assert [text(value) for value in (None, NAN, 7, "unlimited", Decimal("1E+3"), Decimal("0.10"))] == [
        "unknown",
        "unknown",
        "7",
        "unlimited",
        "1000",
        "0.1",
    ]
    assert (text(10**400), text(10**5000), text("x" * 200)) == ("1.00000000e+400", "1.00000000e+5000", "x" * 120)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("kind", [int, Decimal])
def test_up_to_a_hundred_digits_are_shown_in_full(sign, kind):
    largest = kind(sign * (10**100 - 1))

    with localcontext(prec=200):
        beyond = kind(sign * 10**100)
    assert text(largest) == str(sign * (10**100 - 1))
    assert text(beyond) == ("-" if sign < 0 else "") + "1.00000000e+100"


def test_a_statistic_is_the_decimal_that_its_text_names():
    assert (measured(0.02), measured(None), measured(math.nan)) == (Decimal("0.02"), None, None)
    assert (exact(True), exact(3)) == (None, Decimal(3))


class Chameleon(Decimal):
    """Compares as it likes."""

    def __le__(self, other: object) -> bool:
        return True


def test_a_number_of_another_class_is_no_number():
    assert not RULER.at_most("code", "s", observed=Chameleon(11), limit=10, unit="x").passed
    assert not RULER.at_most("code", "s", observed=11, limit=Chameleon(10), unit="x").passed


def test_text_does_not_depend_on_somebody_else_s_decimal_context():
    with localcontext(rounding=ROUND_UP, prec=3):
        shown = text(Decimal("1234.123456781"))

    assert shown == "1234.12345678"


@given(
    st.decimals(allow_nan=True, allow_infinity=True) | st.integers() | st.text() | st.none(),
    st.decimals(allow_nan=True, allow_infinity=True) | st.integers() | st.none() | st.just("unlimited"),
)
def test_any_row_fits_a_finding(observed, limit):
    (finding,) = findings_of([RULER.at_most("code", "s" * 200, observed=observed, limit=limit, unit="u" * 30)])

    assert len(finding["subject"]) == 120
    assert len(finding["unit"]) == 24
    assert max(len(finding["observed"]), len(finding["limit"])) <= 120
