"""Strict ABI reading against the encoder that builders use: the same values, and no second spelling of any of them."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.units import UINT256_MAX
from guards.words import BITS, read_words

VALUES = {
    **{kind: st.integers(min_value=0, max_value=2**bits - 1) for kind, bits in BITS.items() if kind != "address"},
    "address": st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex()),
    "bytes": st.binary(max_size=70),
}
typed_values = st.lists(st.sampled_from(sorted(VALUES)).flatmap(lambda kind: st.tuples(st.just(kind), VALUES[kind])))


def split(pairs):
    return tuple(kind for kind, _ in pairs), tuple(value for _, value in pairs)


@given(typed_values)
@settings(deadline=None)
def test_what_is_encoded_is_read_back(pairs):
    kinds, values = split(pairs)

    assert read_words(kinds, encode(kinds, values)) == values


@given(typed_values, st.data())
@settings(max_examples=300, deadline=None)
def test_bytes_that_are_read_are_the_only_ones_that_say_so(pairs, data):
    kinds, values = split(pairs)
    payload = bytearray(encode(kinds, values))
    for _ in range(data.draw(st.integers(min_value=1, max_value=3))):
        position = data.draw(st.integers(min_value=0, max_value=len(payload)))
        payload[position : position + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))

    read = read_words(kinds, bytes(payload))

    assert read is None or encode(kinds, read) == bytes(payload)


@given(st.lists(st.sampled_from(sorted(VALUES)), max_size=5), st.binary(max_size=400))
@settings(deadline=None)
def test_any_blob_is_read_or_not_but_never_raises(kinds, blob):
    read = read_words(kinds, blob)

    assert read is None or encode(kinds, read) == blob


def word(number):
    return number.to_bytes(32, "big")


@pytest.mark.parametrize("kind", sorted(BITS))
def test_one_bit_too_many_is_not_read(kind):
    largest = 2 ** BITS[kind] - 1

    assert read_words([kind], word(largest)) is not None
    assert largest == UINT256_MAX or read_words([kind], word(largest + 1)) is None


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        word(0),
        word(32),
        word(64) + word(0),
        word(32) + word(1),
        word(32) + word(33) + bytes(32),
        word(32) + word(1) + b"a" + bytes(30) + b"\x01",
        word(32) + word(1) + b"a" + bytes(31) + bytes(32),
        word(32) + word(UINT256_MAX) + bytes(32),
        word(UINT256_MAX) + word(0),
    ],
)
def test_an_offset_length_or_padding_that_is_not_the_only_one_is_not_read(payload):
    assert read_words(["bytes"], payload) is None


def test_two_byte_strings_cannot_share_their_bytes():
    once = word(64) + word(64) + word(1) + b"a" + bytes(31)

    assert read_words(["bytes", "bytes"], once) is None
