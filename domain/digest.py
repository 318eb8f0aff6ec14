"""Canonical JSON and the digests built on it; the one place that decides which bytes are hashed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Final

import orjson
from pydantic import BaseModel

JSON_SAFE_INTEGER: Final = 2**53
SMALLEST_PLAIN_FLOAT: Final = 1e-4
LARGEST_PLAIN_FLOAT: Final = 1e16
"""From the one up to below the other, Python writes floats without exponent, as every writer does."""
GENESIS: Final = "0" * 64


def canonical_json(value: object) -> bytes:
    """UTF-8, sorted keys, no spaces. Floats become their shortest round-trip text; NaN raises ValueError.

    Integers at or above 2^53 must arrive as strings (Uint256 does that): other languages' readers would round them.
    """
    plain = _plain(value)
    if _has_one_spelling(plain):
        return orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)  # the same bytes, many times faster
    return json.dumps(plain, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _has_one_spelling(plain: object) -> bool:
    """Whether any JSON writer would write these bytes. Raises ValueError for an integer that readers would round."""
    pending, is_alike = [plain], True
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            is_alike &= item.isascii()
        elif isinstance(item, dict):
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
        elif type(item) is float:
            is_alike &= item == 0 or SMALLEST_PLAIN_FLOAT <= abs(item) < LARGEST_PLAIN_FLOAT
        elif isinstance(item, int):
            _require_safe(item)
        else:
            is_alike &= item is None
    return is_alike


def _require_safe(integer: int) -> None:
    if abs(integer) >= JSON_SAFE_INTEGER:
        raise ValueError(f"integer {integer} is above 2^53 and must be a decimal string")


def sha256_hex(payload: bytes) -> str:
    return hashlib.sha256(payload).hexdigest()


def digest_of(value: object, *, domain: str) -> str:
    """sha256 over a domain tag, a zero byte and the canonical JSON, so that two kinds never share a digest."""
    return sha256_hex(domain.encode() + b"\0" + canonical_json(value))
