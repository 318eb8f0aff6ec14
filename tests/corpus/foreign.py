"""Calls that the product never builds: other functions, other contracts, other wrappers, byte by byte."""

from __future__ import annotations

from typing import Final

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from domain.abi import MULTISEND, SAFE_EXEC_TRANSACTION, prevalidated_signature
from domain.transaction import UnsignedCall
from tests.builders import address
from tests.corpus.scene import CATALOG
from tools.transactions.safe import pack_calls

STRANGER: Final = address(0xBAD)
NOBODY: Final = address(0)


def call(target: str, signature: str, *arguments: object, value_wei: int = 0) -> UnsignedCall:
    """Any function by its signature; nested tuples are not needed here."""
    kinds = signature[signature.index("(") + 1 : -1]
    body = encode(kinds.split(",") if kinds else [], arguments)
    return UnsignedCall(target=target, value_wei=value_wei, data="0x" + (keccak(text=signature)[:4] + body).hex())


def exec_transaction(inner: UnsignedCall, *, operation: int, **terms: object) -> UnsignedCall:
    """Safe.execTransaction around one call, every term replaceable by its ABI name."""
    fields: dict[str, object] = {
        "to": inner.target,
        "value": inner.value_wei,
        "data": bytes.fromhex(inner.data[2:]),
        "operation": operation,
        "safeTxGas": 0,
        "baseGas": 0,
        "gasPrice": 0,
        "gasToken": NOBODY,
        "refundReceiver": NOBODY,
        "signatures": prevalidated_signature(CATALOG.operator),
    }
    return UnsignedCall(target=CATALOG.account, data=SAFE_EXEC_TRANSACTION.encode(*{**fields, **terms}.values()))


def multisend(packed: bytes, *, target: str = CATALOG.contracts.multisend_call_only) -> UnsignedCall:
    return UnsignedCall(target=target, data=MULTISEND.encode(packed))


def wrap_packed(packed: bytes, **terms: object) -> UnsignedCall:
    """The product's envelope around any packed bytes."""
    return exec_transaction(multisend(packed), **{"operation": 1, **terms})  # type: ignore[arg-type]


def pack_delegated(calls: tuple[UnsignedCall, ...], position: int) -> bytes:
    """Packed calls of which one says delegatecall."""
    parts = [pack_calls([each]) for each in calls]
    parts[position] = b"\x01" + parts[position][1:]
    return b"".join(parts)
