"""How an artifact is stored: compressed, under the sha256 of what was put in; no SQL, so that a verifier needs none."""

from __future__ import annotations

import zlib
from typing import Final

from domain.digest import sha256_hex
from domain.errors import StoreUnavailable

MAX_ARTIFACT_BYTES: Final = 32 * 1024 * 1024


def pack(content: bytes) -> bytes:
    return zlib.compress(content, level=6)


def unpack(digest: str, stored: bytes) -> bytes:
    """Raises StoreUnavailable when it is not what was put in; an edited row may hold any type."""
    try:
        content = zlib.decompressobj().decompress(stored, MAX_ARTIFACT_BYTES + 1)
    except (zlib.error, TypeError) as error:
        raise StoreUnavailable(f"artifact {digest} cannot be decompressed: {error}") from error
    if sha256_hex(content) != digest:
        raise StoreUnavailable(f"artifact {digest} holds other content: its sha256 is {sha256_hex(content)}")
    return content
