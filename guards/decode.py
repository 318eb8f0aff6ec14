"""Bytes to calls, read back independently of whoever built them: Safe, MultiSend, then each inner call.

Never raises for bad bytes: what they do not explain becomes a call without a function, which guards deny.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple, cast

from eth_abi.exceptions import DecodingError

from domain.abi import (
    AAVE_SUPPLY,
    AAVE_WITHDRAW,
    APPROVE,
    MULTISEND,
    SAFE_EXEC_TRANSACTION,
    SELECTOR_BYTES,
    SWAP_EXACT_INPUT_SINGLE,
    SWAP_EXACT_INPUT_SINGLE_FIELDS,
    TRANSFER,
    VAULT_DEPOSIT,
    VAULT_REDEEM,
    AbiFunction,
    prevalidated_signature,
)
from domain.market import Catalog, StrategyKind
from domain.transaction import DecodedArgument, DecodedBatch, DecodedCall, Operation, UnsignedCall

MAX_DEPTH: Final = 4
MAX_CALLS: Final = 64
NO_ADDRESS: Final = "0x" + "0" * 40
NO_REFUND: Final = (0, 0, 0, NO_ADDRESS, NO_ADDRESS)
"""safeTxGas, baseGas, gasPrice, gasToken, refundReceiver: anything else pays a stranger or hides a failed call."""
OPERATIONS: Final = {0: Operation.CALL, 1: Operation.DELEGATECALL}
ENTRY_HEAD_BYTES: Final = 85  # operation 1 + address 20 + value 32 + data length 32 (MultiSendCallOnly 1.4.1)
UNREADABLE: Final = (DecodingError, OverflowError)
"""eth_abi answers some absurd offsets with OverflowError."""


def decode_batch(envelope: UnsignedCall, *, catalog: Catalog) -> DecodedBatch:
    """Every call that the account would make, wrappers unpacked."""
    calls = _unwrap_safe(envelope, catalog, depth=1)
    return DecodedBatch(
        chain_id=catalog.chain_id,
        account=catalog.account,
        calls=calls,
        is_complete=bool(calls) and all(call.function is not None for call in calls),
    )


def decode_calls(calls: Iterable[UnsignedCall], *, catalog: Catalog) -> tuple[DecodedCall, ...]:
    """The same reading of calls that the account makes itself, without an envelope."""
    return tuple(decoded for call in calls for decoded in _read_inner(call, catalog, depth=1))


def _unwrap_safe(call: UnsignedCall, catalog: Catalog, *, depth: int) -> tuple[DecodedCall, ...]:
    arguments = _decode(SAFE_EXEC_TRANSACTION, call)
    if depth > MAX_DEPTH or arguments is None or not _is_plain_call_to(catalog.account, call):
        return (_unexplained(call),)
    target, value, data, operation, *refund, signatures = arguments
    is_ours = tuple(refund) == NO_REFUND and signatures == prevalidated_signature(catalog.operator)
    if not is_ours or operation not in OPERATIONS:
        return (_unexplained(call),)
    inner = _call(target, value, data, operation=OPERATIONS[operation])
    if inner.operation is Operation.DELEGATECALL:
        return _unpack_multisend(inner, catalog, depth=depth)
    return _read_inner(inner, catalog, depth=depth)


def _is_plain_call_to(address: str, call: UnsignedCall) -> bool:
    return call.target == address and call.value_wei == 0 and call.operation is Operation.CALL


def _unpack_multisend(call: UnsignedCall, catalog: Catalog, *, depth: int) -> tuple[DecodedCall, ...]:
    """Only the pinned MultiSendCallOnly may run in the account's own context."""
    arguments = _decode(MULTISEND, call)
    if arguments is None or call.target != catalog.contracts.multisend_call_only or call.value_wei != 0:
        return (_unexplained(call),)
    entries = _split_entries(cast(bytes, arguments[0]))  # the ABI says `bytes`
    if not entries or len(entries) > MAX_CALLS:
        return (_unexplained(call),)
    return tuple(decoded for entry in entries for decoded in _read_inner(entry, catalog, depth=depth))


def _split_entries(packed: bytes) -> tuple[UnsignedCall, ...] | None:
    """The packed calls, or None when a byte is left over or an operation is not one."""
    entries: list[UnsignedCall] = []
    start = 0
    while start < len(packed):
        head = packed[start : start + ENTRY_HEAD_BYTES]
        size = int.from_bytes(head[53:], "big")
        end = start + ENTRY_HEAD_BYTES + size
        if len(head) < ENTRY_HEAD_BYTES or end > len(packed) or head[0] not in OPERATIONS:
            return None
        data = packed[start + ENTRY_HEAD_BYTES : end]
        value = int.from_bytes(head[21:53], "big")
        entries.append(_call("0x" + head[1:21].hex(), value, data, operation=OPERATIONS[head[0]]))
        start = end
    return tuple(entries)


def _read_inner(call: UnsignedCall, catalog: Catalog, *, depth: int) -> tuple[DecodedCall, ...]:
    if call.target == catalog.account:
        return _unwrap_safe(call, catalog, depth=depth + 1)
    if call.operation is Operation.DELEGATECALL:
        return (_unexplained(call),)
    for function in functions_of(call.target, catalog):
        arguments = _decode(function, call)
        if arguments is not None:
            return (_explained(call, function, arguments),)
    return (_unexplained(call),)


class Role(NamedTuple):
    """A part that contracts of the catalog play, and the functions we can read there."""

    contracts: frozenset[str]
    functions: tuple[AbiFunction, ...]


def _roles(catalog: Catalog) -> tuple[Role, ...]:
    vaults = frozenset(s.contract for s in catalog.strategies if s.kind is StrategyKind.ERC4626)
    return (
        Role(frozenset(token.address for token in catalog.tokens), (APPROVE, TRANSFER)),
        Role(frozenset({catalog.contracts.aave_pool}), (AAVE_SUPPLY, AAVE_WITHDRAW)),
        Role(vaults, (VAULT_DEPOSIT, VAULT_REDEEM)),
        Role(frozenset({catalog.contracts.swap_router}), (SWAP_EXACT_INPUT_SINGLE,)),
    )


def functions_of(address: str, catalog: Catalog) -> tuple[AbiFunction, ...]:
    """What can be read at an address; reading it does not allow it (a transfer is read, and then denied)."""
    return tuple(function for role in _roles(catalog) if address in role.contracts for function in role.functions)


def _decode(function: AbiFunction, call: UnsignedCall) -> tuple[object, ...] | None:
    try:
        return function.decode_input(bytes.fromhex(call.data.removeprefix("0x")))
    except UNREADABLE:
        return None


def _call(target: object, value: object, data: object, *, operation: Operation) -> UnsignedCall:
    hex_data = "0x" + data.hex() if isinstance(data, bytes) else data
    return UnsignedCall.model_validate(
        {"target": target, "value_wei": value, "data": hex_data, "operation": operation},
    )


def _explained(call: UnsignedCall, function: AbiFunction, arguments: tuple[object, ...]) -> DecodedCall:
    return DecodedCall(
        target=call.target,
        value_wei=call.value_wei,
        operation=call.operation,
        selector=function.selector_hex,
        function=function.name,
        arguments=_name_arguments(function, arguments),
    )


def _name_arguments(function: AbiFunction, arguments: tuple[object, ...]) -> tuple[DecodedArgument, ...]:
    fields = function.inputs
    if function.selector == SWAP_EXACT_INPUT_SINGLE.selector and isinstance(arguments[0], tuple):
        fields, arguments = SWAP_EXACT_INPUT_SINGLE_FIELDS, arguments[0]
    return tuple(
        DecodedArgument(name=name, type=kind, value=str(value))
        for (kind, name), value in zip(fields, arguments, strict=True)
    )


def _unexplained(call: UnsignedCall) -> DecodedCall:
    selector = call.data[: 2 + 2 * SELECTOR_BYTES]
    return DecodedCall(
        target=call.target,
        value_wei=call.value_wei,
        operation=call.operation,
        selector=selector if len(selector) == 2 + 2 * SELECTOR_BYTES else None,
        function=None,
    )
