"""Every byte of an envelope counts: changed, added or taken away, it is refused or read as what it then says."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import abi
from domain.abi import MULTISEND, SAFE_EXEC_TRANSACTION
from domain.transaction import UnsignedCall
from guards import check
from guards.decode import MAX_CALLS, MAX_DEPTH, decode_batch, decode_calls
from guards.registry import make_registry
from tests.builders import ACCOUNT, CONTRACTS, address, make_catalog
from tests.builders_evidence import DAI, USDC, codes, deposit, make_evidence, make_plan, redeem, supply, swap, withdraw
from tools.transactions.safe import pack_calls, wrap_calls

CATALOG = make_catalog()
MOVES = (
    supply(50_000),
    withdraw("aave-weth", "weth", 10**18),
    swap("usdc", "dai", 1_000 * USDC, 996 * DAI),
    deposit(996 * DAI),
    redeem(DAI),
)
PLAN = make_plan(MOVES)
BYTES = bytes.fromhex(PLAN.envelope.data[2:])
BATCH = decode_batch(PLAN.envelope, catalog=CATALOG)
FUNCTIONS = {function.name: function for function in vars(abi).values() if isinstance(function, abi.AbiFunction)}
FLIPS = (0x01, 0x80, 0xFF)
CALL = PLAN.calls[0]


def read(data):
    return decode_batch(UnsignedCall(target=ACCOUNT, data="0x" + bytes(data).hex()), catalog=CATALOG)


def written(batch):
    """The decoded calls encoded again, by the builders' encoder: what the decode says."""
    return bytes.fromhex(wrap_calls([encoded(call) for call in batch.calls], CATALOG).data[2:])


def encoded(call):
    values = [int(a.value) if a.type.startswith("uint") else a.value for a in call.arguments]
    is_swap = call.function == "exactInputSingle"
    data = FUNCTIONS[call.function].encode(*([tuple(values)] if is_swap else values))
    return UnsignedCall(target=call.target, value_wei=call.value_wei, data=data)


def says_what_it_is(data):
    batch = read(data)
    return not batch.is_complete or (batch != BATCH and written(batch) == bytes(data))


def test_the_decode_says_every_byte():
    assert BATCH.is_complete
    assert written(BATCH) == BYTES


def test_another_amount_is_read_as_another_amount():
    amount = (50_000 * USDC).to_bytes(32, "big")

    batch = read(BYTES.replace(amount, (50_000 * USDC ^ 1).to_bytes(32, "big")))

    assert batch.is_complete
    assert [call.argument("amount") for call in batch.calls[:2]] == [str(50_000 * USDC ^ 1)] * 2


@pytest.mark.parametrize("flip", FLIPS)
def test_a_flipped_byte_anywhere_is_refused_or_read_as_what_it_says(flip):
    lies = []
    for position in range(len(BYTES)):
        mutated = bytearray(BYTES)
        mutated[position] ^= flip
        if not says_what_it_is(mutated):
            lies.append(position)

    assert lies == []


@pytest.mark.parametrize("added", [b"\x00", b"\x01", b"\xff"])
def test_a_byte_added_anywhere_is_refused_or_read_as_what_it_says(added):
    positions = range(len(BYTES) + 1)

    assert [p for p in positions if not says_what_it_is(BYTES[:p] + added + BYTES[p:])] == []


def test_a_byte_taken_away_anywhere_is_refused_or_read_as_what_it_says():
    assert [p for p in range(len(BYTES)) if not says_what_it_is(BYTES[:p] + BYTES[p + 1 :])] == []


SOUND = make_evidence([supply(50_000)])
SOUND_BYTES = bytes.fromhex(SOUND.plan.envelope.data[2:])


@given(st.integers(min_value=0, max_value=len(SOUND_BYTES) - 1), st.integers(min_value=1, max_value=255))
@settings(max_examples=150, deadline=None)
def test_a_flipped_byte_denies_even_when_everything_else_is_made_to_fit(position, flip):
    mutated = bytearray(SOUND_BYTES)
    mutated[position] ^= flip
    envelope = UnsignedCall(target=ACCOUNT, data="0x" + mutated.hex())
    batch = decode_batch(envelope, catalog=CATALOG)
    calls = tuple(encoded(call) for call in batch.calls) if batch.is_complete else SOUND.plan.calls
    plan = SOUND.plan.model_copy(update={"envelope": envelope, "calls": calls})
    report = SOUND.simulation.model_copy(update={"batch_digest": plan.batch_digest()})
    forged = SOUND.model_copy(update={"plan": plan, "batch": batch, "simulation": report})

    assert codes(check(forged.model_copy(update={"batch": SOUND.batch})).denials) >= {"batch_mismatch"}
    assert not check(forged).is_pass


@pytest.mark.parametrize("depth", range(1, 7))
def test_wrappers_are_unpacked_up_to_four_deep(depth):
    nested = CALL
    for _ in range(depth):
        nested = wrap_calls([nested], CATALOG)

    batch = decode_batch(nested, catalog=CATALOG)

    assert batch.is_complete == (depth <= MAX_DEPTH)
    assert (batch.calls == decode_calls([CALL], catalog=CATALOG)) == (depth <= MAX_DEPTH)


@pytest.mark.parametrize(
    ("inner", "outer", "is_complete"), [(8, 8, True), (9, 8, False), (1, 64, True), (1, 65, False)]
)
def test_all_wrappers_together_hold_at_most_as_many_calls_as_one(inner, outer, is_complete):
    part = wrap_calls([CALL] * inner, CATALOG)

    batch = decode_batch(wrap_calls([part] * outer, CATALOG), catalog=CATALOG)

    assert batch.is_complete == is_complete
    assert len(batch.calls) == (inner * outer if is_complete else 1)


def test_a_plan_of_too_many_calls_reads_as_none():
    assert decode_calls([CALL] * MAX_CALLS, catalog=CATALOG) != ()
    assert decode_calls([CALL] * (MAX_CALLS + 1), catalog=CATALOG) == ()


def in_safe(data):
    return SAFE_EXEC_TRANSACTION.encode(
        CONTRACTS.multisend_call_only, 0, data, 1, 0, 0, 0, address(0), address(0), b"\x00" * 65
    )


TARGETS = sorted(make_registry(CATALOG).contracts | {ACCOUNT, CONTRACTS.multisend_call_only, address(0xBAD)})
SELECTORS = sorted({bytes.fromhex(function.selector_hex[2:]) for function in FUNCTIONS.values()} | {b"", b"\x00\x01"})
blobs = st.builds(lambda selector, rest: selector + rest, st.sampled_from(SELECTORS), st.binary(max_size=400))


@given(st.sampled_from(TARGETS), blobs)
@settings(max_examples=400, deadline=None)
def test_a_random_blob_never_raises_and_explains_itself_or_nothing(target, blob):
    call = UnsignedCall(target=target, data="0x" + blob.hex())
    wrapped = wrap_calls([call], CATALOG)

    for envelope in (call, wrapped, UnsignedCall(target=ACCOUNT, data=in_safe(blob)), raw_multisend(blob)):
        batch = decode_batch(envelope, catalog=CATALOG)
        assert batch.calls
        assert not batch.is_complete or written(batch) == bytes.fromhex(envelope.data[2:])


def raw_multisend(packed):
    """Our own envelope around bytes that are no list of calls."""
    honest = wrap_calls([CALL], CATALOG)
    data = bytes.fromhex(MULTISEND.encode(packed)[2:])
    arguments = list(SAFE_EXEC_TRANSACTION.decode_input(bytes.fromhex(honest.data[2:])))
    return UnsignedCall(target=ACCOUNT, data=SAFE_EXEC_TRANSACTION.encode(*arguments[:2], data, *arguments[3:]))


def test_packed_calls_are_read_from_any_number_of_entries():
    assert decode_batch(raw_multisend(pack_calls(PLAN.calls)), catalog=CATALOG) == BATCH
