"""Ways to change the bytes and the wrappers around a batch, and what plan and judged batch say about them."""

from __future__ import annotations

from random import Random
from typing import Final

from domain.transaction import Operation, UnsignedCall
from domain.verdict import Evidence
from guards.decode import decode_batch
from tests.oracle.actions import wrappers_of
from tests.oracle.calldata import WORD, Call, read_envelope, write_multisend, write_safe, write_words
from tests.oracle.mutations_calls import STRANGER
from tests.oracle.sample import Changes, Mutations, calls_of, with_calls, with_plan
from tests.oracle.world import unsigned


def flip_byte(rng: Random, evidence: Evidence) -> Evidence:
    """One bit of the envelope."""
    data = bytearray.fromhex(evidence.plan.envelope.data[2:])
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return _with_envelope(rng, evidence, bytes(data))


def _with_envelope(rng: Random, evidence: Evidence, data: bytes) -> Evidence:
    """The judged batch follows the bytes half of the time, the plan's calls less often."""
    catalog, envelope = evidence.catalog, evidence.plan.envelope.model_copy(update={"data": "0x" + data.hex()})
    other = with_plan(evidence, envelope=envelope)
    if rng.random() < 0.5:
        return other
    reading = read_envelope(data, wrappers_of(catalog))
    read: dict[str, object] = {"batch": decode_batch(envelope, catalog=catalog)}
    calls = tuple(map(unsigned, reading.calls)) if rng.random() < 0.7 else other.plan.calls
    return with_plan(other, parts=read, calls=calls)


def change_envelope(rng: Random, evidence: Evidence) -> Evidence:
    """The operator's own call goes elsewhere, carries money or is a delegatecall."""
    changes: Changes = (
        {"target": STRANGER},
        {"value_wei": 1},
        {"operation": Operation.DELEGATECALL},
        {"target": evidence.catalog.operator},
    )
    return with_plan(evidence, envelope=evidence.plan.envelope.model_copy(update=rng.choice(changes)))


def change_wrapper(rng: Random, evidence: Evidence) -> Evidence:
    """One word around the calls: a gas refund, a refund's receiver, another operation, an offset, a signature."""
    data = bytearray.fromhex(evidence.plan.envelope.data[2:])
    place = 4 + WORD * rng.randrange(min(13, (len(data) - 4) // WORD))
    data[place : place + WORD] = rng.choice((0, 1, 2, 320, int(STRANGER, 16), 2**256 - 1)).to_bytes(WORD)
    return _with_envelope(rng, evidence, bytes(data))


def nest_calls(rng: Random, evidence: Evidence) -> Evidence:
    """Calls wrapped once or more often: by MultiSend, called or delegated to, or by the account's own function."""
    calls, catalog = list(calls_of(evidence)), evidence.catalog
    start, multisend = rng.randrange(len(calls)), catalog.contracts.multisend_call_only
    inner = calls[start:]
    for _ in range(rng.choice((1, 1, 1, 2, 3, 4))):
        batch = Call(multisend, 0, rng.random() < 0.9, write_multisend(inner))
        wrapped = rng.choice((batch, inner[0] if len(inner) == 1 else batch))
        inner = [Call(catalog.account, 0, False, write_safe(wrapped, owner=catalog.operator))]
    nested = inner if rng.random() < 0.7 else [Call(multisend, 0, True, write_multisend(inner))]
    return with_calls(evidence, [*calls[:start], *nested], is_direct=rng.random() < 0.5)


def crowd_calls(rng: Random, evidence: Evidence) -> Evidence:
    """As many calls as a batch may have, or one more; the new ones approve nothing."""
    calls, catalog = list(calls_of(evidence)), evidence.catalog
    room = 64 - len(calls) + rng.choice((0, 0, 1))
    token, router = rng.choice(catalog.tokens).address, catalog.contracts.swap_router
    idle = [Call(token, 0, False, write_words("approve", router, 0))] * room
    if rng.random() < 0.6:
        batch = Call(catalog.contracts.multisend_call_only, 0, True, write_multisend(idle))
        idle = [Call(catalog.account, 0, False, write_safe(batch, owner=catalog.operator))]
    return with_calls(evidence, [*calls, *idle])


def change_plan(rng: Random, evidence: Evidence) -> Evidence:
    """The plan tells another story than its bytes."""
    plan = evidence.plan
    outs = plan.minimum_outs
    changes: Changes = (
        {"calls": plan.calls[:-1]},
        {"calls": (*plan.calls, UnsignedCall(target=STRANGER, data="0x"))},
        {"minimum_outs": (*outs, 1)},
        {"minimum_outs": tuple(amount + 1 for amount in outs)},
        {"minimum_outs": ()},
        {"account": STRANGER},
        {"chain_id": 1},
        {"policy_digest": "0" * 64},
        {"snapshot_digest": "f" * 64},
        {"run_id": "run-2"},
    )
    return with_plan(evidence, parts=None, **rng.choice(changes))


def change_batch(rng: Random, evidence: Evidence) -> Evidence:
    """The judged batch tells another story than the bytes."""
    batch = evidence.batch
    changes: Changes = (
        {"account": STRANGER},
        {"chain_id": 1},
        {"is_complete": not batch.is_complete},
        {"calls": batch.calls[1:]},
        {"calls": batch.calls[::-1]},
        {"calls": ()},
    )
    return evidence.model_copy(update={"batch": batch.model_copy(update=rng.choice(changes))})


BYTE_MUTATIONS: Final[Mutations] = (
    (flip_byte, 6),
    (change_envelope, 1),
    (change_wrapper, 3),
    (nest_calls, 2),
    (crowd_calls, 1),
    (change_plan, 4),
    (change_batch, 2),
)
"""Each with its weight."""
