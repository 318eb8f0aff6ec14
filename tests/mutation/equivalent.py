"""Surviving mutants that no test can kill, each with its reason; an entry that fits nothing is an error."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from tests.mutation.mutants import Key

LIST: Final = Path(__file__).with_name("equivalent.toml")
FIELDS: Final = {*Key._fields, "reason"}


def read_equivalent(text: str) -> dict[Key, str]:
    """Reason per key. Raises ValueError for an unknown or missing field, an empty reason or a second entry."""
    listed: dict[Key, str] = {}
    for entry in tomllib.loads(text).get("mutant", []):
        reason = entry.pop("reason", "")
        if not reason.strip() or set(entry) - FIELDS:
            raise ValueError(f"an entry needs a reason and only the fields {sorted(FIELDS)}, got {entry}")
        key = Key(**entry)
        if key in listed:
            raise ValueError(f"listed twice: {key.module} {key}")
        listed[key] = reason
    return listed


def stale_entries(listed: Mapping[Key, str], *, planted: Collection[Key], killed: Collection[Key]) -> dict[Key, str]:
    """Entries about mutants that do not exist any more, or that a test kills: why each must go."""
    gone = {key: "no such mutant" for key in listed if key not in planted}
    return gone | {key: "a test kills it" for key in listed if key in killed}
