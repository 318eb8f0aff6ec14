"""One transaction of the corpus as it is stored, and evidence built from it again: data in, domain values out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final, Literal, cast

from pydantic import Field

from domain.abi import MULTISEND, SAFE_EXEC_TRANSACTION
from domain.market import Catalog
from domain.transaction import Operation, UnsignedCall
from domain.units import Digest, Slug, Uint256, UtcDatetime, Value
from domain.verdict import Evidence
from guards.decode import decode_batch

FOLDER: Final = Path(__file__).parent / "data"
BASES: Final = FOLDER / "bases.json"
Document = dict[str, object]


class Expected(StrEnum):
    ALLOW = "allow"
    WAIT = "wait"  # for a human's consent; refused without it
    DENY = "deny"


class Terms(Value):
    """What the envelope does not say of itself."""

    run_id: Slug
    minimum_outs: tuple[Uint256, ...]
    fee_cap_wei: Uint256
    policy_digest: Digest
    snapshot_digest: Digest
    expires_at: UtcDatetime


class Entry(Value):
    """One transaction. `evidence` is laid over the neighbour's evidence, an allowed entry's over its base."""

    id: str = Field(pattern=r"^[a-z0-9-]+$")
    sentence: str
    """What it is."""
    family: Slug
    """The guard that it is about."""
    expected: Expected
    code: Slug | None
    """The reason that every ring must have, in its own words."""
    codes: tuple[Slug, ...]
    """All denials of the graph ring, sorted."""
    is_exit: bool | None
    """Of an allowed entry: whether it is a way out."""
    base: Slug
    neighbour: str | None
    """The allowed entry that differs in one thing."""
    difference: str | None
    differs_in: Literal["bytes", "terms", "evidence"] | None
    batch_digest: Digest
    envelope: UnsignedCall
    calls: tuple[UnsignedCall, ...] | None
    """The plan's inner calls where they are not the envelope's."""
    terms: Terms
    evidence: Document


class Group(Value):
    """One file."""

    about: str
    entries: tuple[Entry, ...]


def load() -> dict[str, Entry]:
    """Every committed entry by its id, in the order of the files."""
    files = sorted(path for path in FOLDER.glob("*.json") if path != BASES)
    groups = [Group.model_validate_json(path.read_text()) for path in files]
    return {entry.id: entry for group in groups for entry in group.entries}


def load_bases() -> dict[str, Document]:
    bases: dict[str, Document] = json.loads(BASES.read_text())
    return bases


def lay_over(below: Mapping[str, object], above: Mapping[str, object]) -> Document:
    """Objects key by key, anything else replaces what was below; no key is ever removed."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = lay_over(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return merged


def surroundings(entry: Entry, entries: Mapping[str, Entry], bases: Mapping[str, Document]) -> Document:
    """All of the evidence but plan and batch."""
    below = bases[entry.base] if entry.neighbour is None else surroundings(entries[entry.neighbour], entries, bases)
    return lay_over(below, entry.evidence)


def evidence_of(entry: Entry, entries: Mapping[str, Entry], bases: Mapping[str, Document]) -> Evidence:
    """What the guards judge. The judged batch is read from the envelope, unless the evidence brings another one."""
    around = surroundings(entry, entries, bases)
    catalog = Catalog.model_validate(around["catalog"])
    calls = inner_calls(entry.envelope) if entry.calls is None else entry.calls
    plan: Document = {
        "chain_id": catalog.chain_id,
        "account": catalog.account,
        "candidate": "optimal",
        "moves": (),
        "calls": calls,
        "envelope": entry.envelope,
        **entry.terms.model_dump(),
    }
    stated = around.pop("plan", {})
    batch = decode_batch(entry.envelope, catalog=catalog)
    return Evidence.model_validate({"batch": batch, **around, "plan": {**plan, **cast(Document, stated)}})


def inner_calls(envelope: UnsignedCall) -> tuple[UnsignedCall, ...]:
    """The packed calls of a well-formed envelope: the plan that it was built from."""
    arguments = SAFE_EXEC_TRANSACTION.decode_input(bytes.fromhex(envelope.data[2:]))
    packed = cast(bytes, MULTISEND.decode_input(cast(bytes, arguments[2]))[0])
    calls = []
    while packed:
        size = int.from_bytes(packed[53:85], "big")
        calls.append(
            UnsignedCall(
                target="0x" + packed[1:21].hex(),
                value_wei=int.from_bytes(packed[21:53], "big"),
                data="0x" + packed[85 : 85 + size].hex(),
                operation=Operation.DELEGATECALL if packed[0] else Operation.CALL,
            )
        )
        packed = packed[85 + size :]
    return tuple(calls)
