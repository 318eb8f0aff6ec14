"""Canonical JSON and the digests built on it; the one place that decides which bytes are hashed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Final

from pydantic import BaseModel

JSON_SAFE_INTEGER: Final = 2**53
GENESIS: Final = "0" * 64


def canonical_json(value: object) -> bytes:
    """UTF-8, sorted keys, no spaces. Floats become their shortest round-trip text; NaN raises ValueError.

    Integers at or above 2^53 must arrive as strings (Uint256 does that): other languages' readers would round them.
    """
    plain = _plain(value)
    _require_safe_integers(plain)
    return json.dumps(plain, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _require_safe_integers(plain: object) -> None:
    pending = [plain]
    while pending:
        item = pending.pop()
        if type(item) is dict:
            pending.extend(item.values())
        elif type(item) is list:
            pending.extend(item)
        elif isinstance(item, int) and abs(item) >= JSON_SAFE_INTEGER:
            raise ValueError(f"integer {item} is above 2^53 and must be a decimal string")


def sha256_hex(payload: bytes) -> str:
    return hashlib.sha256(payload).hexdigest()


def digest_of(value: object, *, domain: str) -> str:
    """sha256 over a domain tag, a zero byte and the canonical JSON, so that two kinds never share a digest."""
    return sha256_hex(domain.encode() + b"\0" + canonical_json(value))
