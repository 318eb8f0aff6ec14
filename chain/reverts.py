"""Why a call reverted, in words: Error(string), Panic(uint256), or the selector of a custom error."""

from __future__ import annotations

from typing import Final

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError

from chain.rpc import printable

ERROR_SELECTOR: Final = bytes.fromhex("08c379a0")  # Error(string)
PANIC_SELECTOR: Final = bytes.fromhex("4e487b71")  # Panic(uint256)
SELECTOR_BYTES: Final = 4


def describe_revert(data: str) -> str:
    """Shortened and printable; the text comes from outside and is for records only."""
    payload = bytes.fromhex(data.removeprefix("0x"))
    selector, arguments = payload[:SELECTOR_BYTES], payload[SELECTOR_BYTES:]
    if not payload:
        return "reverted without a reason"
    try:
        if selector == ERROR_SELECTOR:
            return "reverted: " + printable(decode(["string"], arguments)[0])
        if selector == PANIC_SELECTOR:
            return f"panicked with code {hex(decode(['uint256'], arguments)[0])}"
    except (DecodingError, UnicodeDecodeError):
        return "reverted with an unreadable reason"
    return f"reverted with custom error 0x{selector.hex()}"
