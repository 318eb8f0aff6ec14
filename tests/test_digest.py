"""One value has one spelling, whichever writer is asked: digests outlive the library that wrote their bytes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.digest import JSON_SAFE_INTEGER, canonical_json

SAFE = JSON_SAFE_INTEGER - 1
leaves = (
    st.none()
    | st.booleans()
    | st.integers(min_value=-SAFE, max_value=SAFE)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.floats(min_value=-1e-3, max_value=1e-3)
    | st.text(st.characters(codec="utf-8"))
)
values = st.recursive(
    leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner)
)


@given(values)
@settings(max_examples=600, deadline=None)
def test_the_bytes_are_those_of_the_standard_library(value):
    expected = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()

    assert canonical_json(value) == expected


@pytest.mark.parametrize(
    ("number", "spelling"),
    [(0.0001, b"0.0001"), (0.00001, b"1e-05"), (1e16, b"1e+16"), (9_007_199_254_740_993.0, b"9007199254740992.0")],
)
def test_a_float_is_spelled_as_python_spells_it(number, spelling):
    assert canonical_json(number) == spelling


@pytest.mark.parametrize("number", [float("nan"), float("inf"), JSON_SAFE_INTEGER, -JSON_SAFE_INTEGER])
def test_a_number_that_others_would_read_differently_is_refused(number):
    with pytest.raises(ValueError, match=r"not JSON compliant|above 2\^53"):
        canonical_json({"deep": [number]})


def test_half_a_surrogate_pair_is_refused():
    with pytest.raises(UnicodeEncodeError):
        canonical_json(["\ud800"])
