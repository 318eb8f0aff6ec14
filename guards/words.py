"""Strict ABI reading: a byte string has one reading or none, and every byte is part of it.

Written apart from the encoder that builders use; it reads the elementary types of the calls that we build.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

WORD_BYTES: Final = 32
BITS: Final = {"address": 160, "uint8": 8, "uint16": 16, "uint24": 24, "uint160": 160, "uint256": 256}
Word = int | str | bytes


def read_words(kinds: Sequence[str], payload: bytes) -> tuple[Word, ...] | None:
    """The values that encode to exactly this payload in the ABI specification's strict mode; None where none do."""
    values: list[Word] = []
    tail = WORD_BYTES * len(kinds)
    for index, kind in enumerate(kinds):
        word = payload[WORD_BYTES * index : WORD_BYTES * (index + 1)]
        value = int.from_bytes(word, "big")
        if kind == "bytes":
            content = _read_bytes(payload, tail) if value == tail else None
            if content is None:
                return None
            values.append(content)
            tail += WORD_BYTES + _padded(len(content))
        elif value >> BITS[kind]:
            return None
        else:
            values.append("0x" + word[-20:].hex() if kind == "address" else value)
    return tuple(values) if tail == len(payload) else None


def _read_bytes(payload: bytes, start: int) -> bytes | None:
    """A length, as many bytes, and zeros up to the next word."""
    size = int.from_bytes(payload[start : start + WORD_BYTES], "big")
    begin, end = start + WORD_BYTES, start + WORD_BYTES + size
    if start + WORD_BYTES + _padded(size) > len(payload) or any(payload[end : begin + _padded(size)]):
        return None
    return payload[begin:end]


def _padded(size: int) -> int:
    return -(-size // WORD_BYTES) * WORD_BYTES
