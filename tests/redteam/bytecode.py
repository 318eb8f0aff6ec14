"""Small contracts that misbehave, as EVM code: put in a contract's place, or around it, on the local chain."""

from __future__ import annotations

from eth_abi.abi import encode

from chain.anvil import NodeRpc
from tests.redteam.audit_chain import TRANSFER, selector

EMPTY = b""
REVERT = bytes.fromhex("5f5ffd")
LOOP = bytes.fromhex("5b5f56")  # JUMPDEST PUSH0 JUMP
# Calls its caller back with the same calldata, then answers 1.
REENTER = bytes.fromhex("365f5f375f5f365f5f335af15060015f5260205ff3")
ERROR_STRING = selector("Error(string)")
COPIES = 0xC0DE << 128
"""Where the code that was wrapped lives on: this number plus the address."""


def reverting(text: str) -> bytes:
    """Reverts every call with Error(text), as Solidity's require does."""
    payload = ERROR_STRING + encode(("string",), (text.encode("utf-8", "replace").decode(),))
    length, offset = len(payload).to_bytes(3, "big"), (16).to_bytes(3, "big")
    return b"\x62" + length + b"\x62" + offset + b"\x5f\x39\x62" + length + b"\x5f\xfd" + payload


def returning(number: int) -> bytes:
    return b"\x7f" + number.to_bytes(32, "big") + bytes.fromhex("5f5260205ff3")


def emitting(topics: tuple[str, str, str], amount: int) -> bytes:
    """Every call emits one event with three topics and an amount."""
    pushes = b"".join(b"\x7f" + bytes.fromhex(topic[2:].rjust(64, "0")) for topic in reversed(topics))
    return b"\x7f" + amount.to_bytes(32, "big") + bytes.fromhex("5f52") + pushes + bytes.fromhex("60205fa300")


def claiming_transfer(sender: str, receiver: str, amount: int) -> bytes:
    """A token that tells of a transfer which never happened."""
    return emitting((TRANSFER, sender, receiver), amount)


def replace_code(rpc: NodeRpc, contract: str, code: bytes) -> None:
    rpc.call("anvil_setCode", contract, "0x" + code.hex())


def override(rpc: NodeRpc, contract: str, signature: str, answer: bytes) -> None:
    """One function of the contract is answered by other code; everything else runs as before, on the same storage."""
    copy = f"0x{COPIES + int(contract[-32:], 16):040x}"
    rpc.call("anvil_setCode", copy, rpc.call("eth_getCode", contract, "latest"))
    other = f"0x{(COPIES << 1) + int(contract[-32:], 16):040x}"
    replace_code(rpc, other, answer)
    replace_code(rpc, contract, _switch(selector(signature), chosen=other, otherwise=copy))


def _switch(chosen_selector: bytes, *, chosen: str, otherwise: str) -> bytes:
    """Delegates to one address for this selector and to another for the rest, handing on what comes back."""
    compare = bytes.fromhex("5f3560e01c63") + chosen_selector + bytes.fromhex("14")
    first = _delegation(otherwise, start=len(compare) + 3)
    head = compare + b"\x60" + bytes([len(compare) + 3 + len(first)]) + b"\x57"
    return head + first + b"\x5b" + _delegation(chosen, start=len(head) + len(first) + 1)


def _delegation(target: str, *, start: int) -> bytes:
    """DELEGATECALL with all calldata; returns or reverts with what it returned. `start` is its place in the code."""
    call = bytes.fromhex("365f5f375f5f365f73") + bytes.fromhex(target[2:]) + bytes.fromhex("5af43d5f5f3e60")
    success = start + len(call) + 5
    return call + bytes([success]) + bytes.fromhex("573d5ffd5b3d5ff3")
