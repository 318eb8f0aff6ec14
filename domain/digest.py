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
    return json.dumps(
        _normalized(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
    ).encode()


def _normalized(value: object) -> object:
    if isinstance(value, BaseModel):
        return _normalized(value.model_dump(mode="json"))
    if isinstance(value, Mapping):
        return {str(key): _normalized(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_normalized(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= JSON_SAFE_INTEGER:
        raise ValueError(f"integer {value} is above 2^53 and must be a decimal string")
    return value


def sha256_hex(payload: bytes) -> str:
    return hashlib.sha256(payload).hexdigest()


def digest_of(value: object, *, domain: str) -> str:
    """sha256 over a domain tag, a zero byte and the canonical JSON, so that two kinds never share a digest."""
    return sha256_hex(domain.encode() + b"\0" + canonical_json(value))
