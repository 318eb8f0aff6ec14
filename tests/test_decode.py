"""Bytes are read back to exactly what they say; what they do not explain is never called complete."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.abi import APPROVE, MULTISEND, SAFE_EXEC_TRANSACTION, TRANSFER, prevalidated_signature
from domain.transaction import Operation, UnsignedCall
from domain.units import UINT256_MAX
from guards.decode import MAX_CALLS, decode_batch, decode_calls
from tests.builders import ACCOUNT, CONTRACTS, OPERATOR, address, make_catalog
from tests.builders_evidence import DAI, deposit, make_plan, redeem, supply, swap, withdraw
from tools.transactions.safe import pack_calls, wrap_calls

CATALOG = make_catalog()
PLAN = make_plan([supply(50_000), swap("usdc", "dai", 10**9, 995 * DAI)])
BYTES = bytes.fromhex(PLAN.envelope.data[2:])
BATCH = decode_batch(PLAN.envelope, catalog=CATALOG)
APPROVAL = UnsignedCall(target=address(0x101), data=APPROVE.encode(CONTRACTS.aave_pool, 5))

amounts = st.integers(min_value=1, max_value=UINT256_MAX)
moves = st.one_of(
    amounts.map(lambda amount: supply(1).model_copy(update={"amount_in": amount})),
    amounts.map(deposit),
    amounts.map(redeem),
    st.builds(lambda a, w: withdraw("aave-usdx", "usdx", a, is_whole=w), amounts, st.booleans()),
    st.builds(lambda a, b: swap("usdc", "dai", a, b), amounts, amounts),
)


def envelope(*, account=ACCOUNT, value=0, inner_value=0, signer=OPERATOR, **changes):
    """Safe.execTransaction with one part changed."""
    terms = {
        "to": CONTRACTS.multisend_call_only,
        "value": inner_value,
        "data": bytes.fromhex(MULTISEND.encode(pack_calls([APPROVAL]))[2:]),
        "operation": 1,
        "safeTxGas": 0,
        "baseGas": 0,
        "gasPrice": 0,
        "gasToken": address(0),
        "refundReceiver": address(0),
        "signatures": prevalidated_signature(signer),
    }
    data = SAFE_EXEC_TRANSACTION.encode(*{**terms, **changes}.values())
    return UnsignedCall(target=account, value_wei=value, data=data)


def multisend(packed):
    return envelope(data=bytes.fromhex(MULTISEND.encode(packed)[2:]))


@given(st.lists(moves, min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_what_is_built_is_read_back_call_by_call(chosen):
    plan = make_plan(chosen)

    batch = decode_batch(plan.envelope, catalog=CATALOG)

    assert batch.is_complete
    assert batch.calls == decode_calls(plan.calls, catalog=CATALOG)
    assert [call.target for call in batch.calls] == [call.target for call in plan.calls]
    minimums = [call.argument("amountOutMinimum") for call in batch.calls if call.function == "exactInputSingle"]
    assert minimums == [str(amount) for amount in plan.minimum_outs]


def test_arguments_are_named_and_typed():
    _, action, _, trade = BATCH.calls

    assert [(a.name, a.type, a.value) for a in action.arguments] == [
        ("asset", "address", address(0x101)),
        ("amount", "uint256", str(50_000 * 10**6)),
        ("onBehalfOf", "address", ACCOUNT),
        ("referralCode", "uint16", "0"),
    ]
    assert trade.argument("fee") == "100"
    assert trade.argument("ghost") is None


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_broken_words_never_raise(data):
    mutated = bytearray(BYTES)
    for _ in range(data.draw(st.integers(min_value=1, max_value=4))):
        start = 4 + 32 * data.draw(st.integers(min_value=0, max_value=len(BYTES) // 32 - 2))
        word = data.draw(st.sampled_from([2**256 - 1, 2**255 - 1, 2**64, 2**63, 2**63 - 1, 2**31, 0, 1]))
        mutated[start : start + 32] = word.to_bytes(32, "big")
    cut = data.draw(st.integers(min_value=0, max_value=len(mutated)))

    batch = decode_batch(UnsignedCall(target=ACCOUNT, data="0x" + mutated[:cut].hex()), catalog=CATALOG)

    assert batch.calls


@pytest.mark.parametrize(
    "broken",
    [
        envelope(account=address(0xBAD)),
        envelope(value=1),
        envelope(signer=address(0xBAD)),
        envelope(safeTxGas=1),
        envelope(baseGas=1),
        envelope(gasPrice=1),
        envelope(gasToken=address(0x101)),
        envelope(refundReceiver=address(0xBAD)),
        envelope(operation=2),
        envelope(to=address(0xBAD)),
        envelope(signatures=prevalidated_signature(OPERATOR) + b"\x00"),
        UnsignedCall(target=ACCOUNT, data="0x"),
        UnsignedCall(target=ACCOUNT, data=PLAN.envelope.data, operation=Operation.DELEGATECALL),
        multisend(b""),
        multisend(b"\x00" * 84),
        multisend(b"\x02" + pack_calls([APPROVAL])[1:]),
        multisend(pack_calls([APPROVAL]) + b"\x00"),
        multisend(pack_calls([APPROVAL] * (MAX_CALLS + 1))),
    ],
)
def test_an_envelope_with_anything_unusual_is_not_complete(broken):
    batch = decode_batch(broken, catalog=CATALOG)

    assert not batch.is_complete
    assert [call.function for call in batch.calls] == [None]


def test_value_passed_along_a_delegatecall_is_not_explained():
    (call,) = decode_batch(envelope(inner_value=1), catalog=CATALOG).calls

    assert (call.function, call.value_wei, call.operation) == (None, 1, Operation.DELEGATECALL)


def test_an_inner_delegatecall_is_shown_but_not_read():
    packed = b"\x01" + pack_calls([APPROVAL])[1:]

    (call,) = decode_batch(multisend(packed), catalog=CATALOG).calls

    assert (call.operation, call.function, call.selector) == (Operation.DELEGATECALL, None, "0x095ea7b3")


def test_a_call_without_multisend_is_the_same_call():
    direct = envelope(to=APPROVAL.target, data=bytes.fromhex(APPROVAL.data[2:]), operation=0)

    assert decode_batch(direct, catalog=CATALOG) == decode_batch(envelope(), catalog=CATALOG)


def test_a_transaction_of_the_account_with_itself_is_unpacked_too():
    nested = wrap_calls([wrap_calls([APPROVAL], CATALOG)], CATALOG)

    assert decode_batch(nested, catalog=CATALOG) == decode_batch(envelope(), catalog=CATALOG)


def test_multisend_as_a_plain_call_is_not_ours_to_read():
    # Called instead of delegated to, MultiSend itself would be the sender of the inner calls.
    data = bytes.fromhex(MULTISEND.encode(pack_calls([APPROVAL]))[2:])

    assert not decode_batch(envelope(operation=0, data=data), catalog=CATALOG).is_complete


def test_a_transfer_is_read_so_that_it_can_be_refused_by_name():
    transfer = UnsignedCall(target=address(0x101), data=TRANSFER.encode(address(0xBAD), 5))

    (call,) = decode_calls([transfer], catalog=CATALOG)

    assert (call.function, call.argument("to")) == ("transfer", address(0xBAD))


def test_a_known_function_at_another_role_is_not_read():
    call = UnsignedCall(target=CONTRACTS.aave_pool, data=APPROVAL.data)

    (decoded,) = decode_calls([call], catalog=CATALOG)

    assert decoded.function is None


def test_a_call_without_a_selector_is_not_read():
    (decoded,) = decode_calls([UnsignedCall(target=address(0x101), data="0x01")], catalog=CATALOG)

    assert (decoded.function, decoded.selector) == (None, None)
