"""The Safe's envelope: inner calls packed for MultiSendCallOnly, inside one execTransaction sent by the owner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from domain.abi import MULTISEND, SAFE_EXEC_TRANSACTION, prevalidated_signature
from domain.errors import InvariantBroken
from domain.market import Catalog
from domain.transaction import Operation, UnsignedCall

CALL: Final = 0
DELEGATECALL: Final = 1  # Safe's Enum.Operation
NO_ADDRESS: Final = "0x" + "0" * 40


def pack_calls(calls: Sequence[UnsignedCall]) -> bytes:
    """operation (1) | to (20) | value (32) | data length (32) | data, as MultiSendCallOnly 1.4.1 reads them."""
    return b"".join(_pack(call) for call in calls)


def _pack(call: UnsignedCall) -> bytes:
    if call.operation is not Operation.CALL:
        raise InvariantBroken(f"inner call to {call.target} must be a plain call, got {call.operation.value}")
    data = bytes.fromhex(call.data.removeprefix("0x"))
    target = bytes.fromhex(call.target.removeprefix("0x"))
    return bytes([CALL]) + target + call.value_wei.to_bytes(32, "big") + len(data).to_bytes(32, "big") + data


def wrap_calls(calls: Sequence[UnsignedCall], catalog: Catalog) -> UnsignedCall:
    """One atomic transaction; a single call takes the same path, so that there is only one to judge.

    Safe's own gas refund terms are all zero: with them a failing inner call reverts everything (GS013).
    """
    multisend = MULTISEND.encode(pack_calls(calls))
    data = SAFE_EXEC_TRANSACTION.encode(
        catalog.contracts.multisend_call_only,
        0,
        bytes.fromhex(multisend.removeprefix("0x")),
        DELEGATECALL,
        0,
        0,
        0,
        NO_ADDRESS,
        NO_ADDRESS,
        prevalidated_signature(catalog.operator),
    )
    return UnsignedCall(target=catalog.account, data=data)
