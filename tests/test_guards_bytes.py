"""Limits of reading bytes, in plain numbers: how deep, how many, how wide; and what hides behind a wrapper."""

from __future__ import annotations

import pytest

from domain.abi import APPROVE
from domain.transaction import UnsignedCall
from guards.decode import decode_batch, decode_calls
from guards.words import read_words
from tests.builders import ACCOUNT, CONTRACTS, OPERATOR, address, make_catalog
from tools.transactions.safe import pack_calls, wrap_calls

CATALOG = make_catalog()
APPROVAL = UnsignedCall(target=address(0x101), data=APPROVE.encode(CONTRACTS.aave_pool, 5))


def nested(times):
    call = APPROVAL
    for _ in range(times):
        call = wrap_calls([call], CATALOG)
    return call


@pytest.mark.parametrize(("wrappers", "is_complete"), [(1, True), (4, True), (5, False)])
def test_an_envelope_holds_up_to_four_wrappers(wrappers, is_complete):
    assert decode_batch(nested(wrappers), catalog=CATALOG).is_complete == is_complete


@pytest.mark.parametrize(("wrappers", "function"), [(0, "approve"), (3, "approve"), (4, None)])
def test_calls_of_the_account_itself_are_inside_the_first_wrapper(wrappers, function):
    """What a plan lists is read as deep as the envelope that carries it allows, and no deeper."""
    (call,) = decode_calls([nested(wrappers)], catalog=CATALOG)

    assert call.function == function


@pytest.mark.parametrize(("count", "is_complete"), [(64, True), (65, False)])
def test_an_envelope_holds_up_to_sixty_four_calls(count, is_complete):
    batch = decode_batch(wrap_calls([APPROVAL] * count, CATALOG), catalog=CATALOG)

    assert (batch.is_complete, len(batch.calls)) == (is_complete, count if is_complete else 1)


@pytest.mark.parametrize(("count", "read"), [(64, 64), (65, 0), (66, 0)])
def test_a_plan_lists_up_to_sixty_four_calls(count, read):
    assert len(decode_calls([APPROVAL] * count, catalog=CATALOG)) == read


def test_a_call_of_the_account_to_itself_that_cannot_be_read_does_not_vanish():
    """Or whatever it does would leave beside calls that are all allowed."""
    hidden = UnsignedCall(target=ACCOUNT, data="0xdeadbeef")

    batch = decode_batch(wrap_calls([APPROVAL, hidden], CATALOG), catalog=CATALOG)

    assert [(call.target, call.function) for call in batch.calls] == [(APPROVAL.target, "approve"), (ACCOUNT, None)]
    assert not batch.is_complete


def packed(entries):
    """An envelope around these packed bytes."""
    whole = pack_calls([APPROVAL])
    data = wrap_calls([APPROVAL], CATALOG).data.replace(whole.hex(), entries.hex())
    return decode_batch(UnsignedCall(target=ACCOUNT, data=data), catalog=CATALOG)


WHOLE = pack_calls([APPROVAL])


@pytest.mark.parametrize("position", [21, 52])
def test_every_byte_of_a_value_counts(position):
    entries = WHOLE[:position] + b"\x01" + WHOLE[position + 1 :]

    (call,) = packed(entries).calls

    assert (call.function, call.value_wei) == ("approve", 256 ** (52 - position))


@pytest.mark.parametrize("position", [53, 84])
def test_every_byte_of_a_length_counts(position):
    entries = WHOLE[:position] + bytes([WHOLE[position] + 1]) + WHOLE[position + 1 :]

    assert [call.function for call in packed(entries).calls] == [None]


LARGEST = {
    "address": "0x" + "f" * 40,
    "uint8": 255,
    "uint16": 65_535,
    "uint24": 16_777_215,
    "uint160": 1_461_501_637_330_902_918_203_684_832_716_283_019_655_932_542_975,
    "uint256": 2**256 - 1,
}


@pytest.mark.parametrize("kind", sorted(LARGEST))
def test_the_largest_value_of_each_type_is_read(kind):
    bits = 160 if kind == "address" else int(kind.removeprefix("uint"))

    assert read_words([kind], (2**bits - 1).to_bytes(32, "big")) == (LARGEST[kind],)


def test_an_envelope_signed_for_somebody_else_is_not_ours():
    """The signature names its owner in the first word; ours is the operator's alone."""
    ours = wrap_calls([APPROVAL], CATALOG)
    theirs = ours.model_copy(update={"data": ours.data.replace(OPERATOR[2:], address(0xBAD)[2:])})

    assert decode_batch(ours, catalog=CATALOG).is_complete
    assert not decode_batch(theirs, catalog=CATALOG).is_complete
