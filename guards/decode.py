"""Bytes to calls, read back independently of whoever built them: Safe, MultiSend, then each inner call.

Never raises for bad bytes: what they do not explain becomes a call without a function, which guards deny.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, NamedTuple

from domain.abi import MULTISEND, SAFE_EXEC_TRANSACTION, AbiFunction, prevalidated_signature
from domain.market import Catalog
from domain.transaction import NATIVE, DecodedArgument, DecodedBatch, DecodedCall, Operation, UnsignedCall
from guards.registry import Registry, TypedCall, make_registry
from guards.words import Word, read_words

MAX_DEPTH: Final = 4
MAX_CALLS: Final = 64
NO_REFUND: Final = (0, 0, 0, NATIVE, NATIVE)
"""safeTxGas, baseGas, gasPrice, gasToken, refundReceiver: anything else pays a stranger or hides a failed call."""
OPERATIONS: Final = {0: Operation.CALL, 1: Operation.DELEGATECALL}
ENTRY_HEAD_BYTES: Final = 85  # operation 1 + address 20 + value 32 + data length 32 (MultiSendCallOnly 1.4.1)
SELECTOR_BYTES: Final = 4


class _Frame(NamedTuple):
    """A call on its way inwards."""

    target: str
    value_wei: int
    data: bytes
    operation: Operation


def decode_batch(envelope: UnsignedCall, *, catalog: Catalog) -> DecodedBatch:
    """Every call that the account would make, wrappers unpacked."""
    return read_envelope(envelope, make_registry(catalog))


def decode_calls(calls: Iterable[UnsignedCall], *, catalog: Catalog) -> tuple[DecodedCall, ...]:
    """The same reading of calls that the account makes itself, without an envelope."""
    return read_calls(calls, make_registry(catalog))


def read_envelope(envelope: UnsignedCall, registry: Registry) -> DecodedBatch:
    outer = _frame(envelope)
    calls = _limited(_unwrap_safe(outer, registry, depth=1)) or (_unexplained(outer),)
    return DecodedBatch(
        chain_id=registry.catalog.chain_id,
        account=registry.catalog.account,
        calls=calls,
        is_complete=all(call.function is not None for call in calls),
    )


def read_calls(calls: Iterable[UnsignedCall], registry: Registry) -> tuple[DecodedCall, ...]:
    """Of at most as many calls as an envelope may hold; of more, none."""
    return _limited(decoded for call in calls for decoded in _read_inner(_frame(call), registry, depth=1))


def _limited(calls: Iterator[DecodedCall]) -> tuple[DecodedCall, ...]:
    """Nothing instead of too much; stops reading there, however deep wrappers multiply."""
    first = tuple(islice(calls, MAX_CALLS + 1))
    return first if len(first) <= MAX_CALLS else ()


def _frame(call: UnsignedCall) -> _Frame:
    return _Frame(call.target, call.value_wei, bytes.fromhex(call.data[2:]), call.operation)


def _unwrap_safe(frame: _Frame, registry: Registry, *, depth: int) -> Iterator[DecodedCall]:
    inner = None if depth > MAX_DEPTH else _executed(frame, registry.catalog)
    if inner is None:
        yield _unexplained(frame)
    elif inner.operation is Operation.DELEGATECALL:
        yield from _unpack_multisend(inner, registry, depth=depth)
    else:
        yield from _read_inner(inner, registry, depth=depth)


def _executed(frame: _Frame, catalog: Catalog) -> _Frame | None:
    """The call that the account makes when this frame reaches it, by its operator, without refunds."""
    if (frame.target, frame.value_wei, frame.operation) != (catalog.account, 0, Operation.CALL):
        return None
    match _arguments(SAFE_EXEC_TRANSACTION, frame):
        case (str(target), int(value), bytes(data), int(operation), *refund, bytes(signatures)):
            is_ours = tuple(refund) == NO_REFUND and signatures == prevalidated_signature(catalog.operator)
            return _Frame(target, value, data, OPERATIONS[operation]) if is_ours and operation in OPERATIONS else None
    return None


def _unpack_multisend(frame: _Frame, registry: Registry, *, depth: int) -> Iterator[DecodedCall]:
    """Only the pinned MultiSendCallOnly may run in the account's own context."""
    entries: tuple[_Frame, ...] = ()
    if (frame.target, frame.value_wei) == (registry.catalog.contracts.multisend_call_only, 0):
        match _arguments(MULTISEND, frame):
            case (bytes(packed),):
                entries = _split_entries(packed)
    if not entries:
        yield _unexplained(frame)
    for entry in entries:
        yield from _read_inner(entry, registry, depth=depth)


def _split_entries(packed: bytes) -> tuple[_Frame, ...]:
    """The packed calls; none when a byte is left over or an operation is not one."""
    entries: list[_Frame] = []
    start = 0
    while start < len(packed):
        head = packed[start : start + ENTRY_HEAD_BYTES]
        end = start + ENTRY_HEAD_BYTES + int.from_bytes(head[53:], "big")
        if end > len(packed) or head[0] not in OPERATIONS:
            return ()
        data = packed[start + ENTRY_HEAD_BYTES : end]
        value = int.from_bytes(head[21:53], "big")
        entries.append(_Frame("0x" + head[1:21].hex(), value, data, OPERATIONS[head[0]]))
        start = end
    return tuple(entries)


def _read_inner(frame: _Frame, registry: Registry, *, depth: int) -> Iterator[DecodedCall]:
    if frame.target == registry.catalog.account:
        yield from _unwrap_safe(frame, registry, depth=depth + 1)
        return
    typed = registry.find(frame.target, _selector(frame))
    if typed is None or frame.operation is Operation.DELEGATECALL:
        yield _unexplained(frame)
    else:
        yield _explained(frame, typed) or _unexplained(frame)


def _selector(frame: _Frame) -> str | None:
    return "0x" + frame.data[:SELECTOR_BYTES].hex() if len(frame.data) >= SELECTOR_BYTES else None


def _arguments(function: AbiFunction, frame: _Frame) -> tuple[Word, ...] | None:
    if frame.data[:SELECTOR_BYTES] != function.selector:
        return None
    return read_words(function.types, frame.data[SELECTOR_BYTES:])


def _explained(frame: _Frame, typed: TypedCall) -> DecodedCall | None:
    words = read_words(typed.kinds, frame.data[SELECTOR_BYTES:])
    if words is None:
        return None
    return DecodedCall(
        target=frame.target,
        value_wei=frame.value_wei,
        operation=frame.operation,
        selector=typed.selector,
        function=typed.name,
        arguments=tuple(
            DecodedArgument(name=name, type=kind, value=str(word))
            for (kind, name), word in zip(typed.fields, words, strict=True)
        ),
    )


def _unexplained(frame: _Frame) -> DecodedCall:
    return DecodedCall(
        target=frame.target,
        value_wei=frame.value_wei,
        operation=frame.operation,
        selector=_selector(frame),
        function=None,
    )
