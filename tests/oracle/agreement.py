"""Whether the bytes of an envelope, the judged batch and the plan's calls say the same."""

from __future__ import annotations

from collections.abc import Sequence

from domain.plan import RebalancePlan
from domain.transaction import DecodedBatch, DecodedCall, Operation
from tests.oracle.calldata import Call, Reading, Signature, Wrappers, flattened


def is_same_batch(
    reading: Reading, is_readable: Sequence[bool], batch: DecodedBatch, plan: RebalancePlan, around: Wrappers
) -> bool:
    """The bytes say the calls that are judged, and the calls that the plan lists."""
    planned = tuple(
        Call(c.target, c.value_wei, c.operation is Operation.DELEGATECALL, bytes.fromhex(c.data[2:]))
        for c in plan.calls
    )
    return (
        plan.envelope.target == batch.account
        and flattened(planned, around) == reading.calls
        and len(batch.calls) == len(reading.calls)
        and all(map(_says, batch.calls, reading.calls, is_readable))
    )


def _says(judged: DecodedCall, call: Call, is_readable: bool) -> bool:
    head = (judged.target, judged.value_wei, judged.operation is Operation.DELEGATECALL, judged.selector)
    if head != (call.target, call.value, call.is_delegatecall, call.selector):
        return False
    signature, arguments = call.signature, call.arguments
    if signature is None or arguments is None or not is_readable:
        return judged.function is None and not judged.arguments
    return judged.function == signature.name and _spelled(judged) == _expected(signature, arguments)


def _spelled(judged: DecodedCall) -> list[tuple[str, str, str]]:
    return [(argument.type, argument.name, argument.value) for argument in judged.arguments]


def _expected(signature: Signature, arguments: dict[str, int | str]) -> list[tuple[str, str, str]]:
    return [(kind, name, str(arguments[name])) for kind, name in signature.fields]
