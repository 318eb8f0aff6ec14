"""The oracle's own reader and writer of Safe, MultiSend and the six calls, word by word, from their signatures."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from eth_utils.crypto import keccak

WORD: Final = 32
WIDTHS: Final = {"address": 160, "uint256": 256, "uint160": 160, "uint24": 24, "uint16": 16}


class Signature(NamedTuple):
    """A function whose arguments are words: name and (type, name) pairs. A static struct is its fields in order."""

    name: str
    text: str
    fields: tuple[tuple[str, str], ...]

    @property
    def selector(self) -> str:
        return "0x" + keccak(text=self.text)[:4].hex()


# EIP-20, Aave v3 IPool, EIP-4626, Uniswap v3 IV3SwapRouter
SIGNATURES: Final = (
    Signature("transfer", "transfer(address,uint256)", (("address", "to"), ("uint256", "amount"))),
    Signature("approve", "approve(address,uint256)", (("address", "spender"), ("uint256", "amount"))),
    Signature(
        "supply",
        "supply(address,uint256,address,uint16)",
        (("address", "asset"), ("uint256", "amount"), ("address", "onBehalfOf"), ("uint16", "referralCode")),
    ),
    Signature(
        "withdraw",
        "withdraw(address,uint256,address)",
        (("address", "asset"), ("uint256", "amount"), ("address", "to")),
    ),
    Signature("deposit", "deposit(uint256,address)", (("uint256", "assets"), ("address", "receiver"))),
    Signature(
        "redeem",
        "redeem(uint256,address,address)",
        (("uint256", "shares"), ("address", "receiver"), ("address", "owner")),
    ),
    Signature(
        "exactInputSingle",
        "exactInputSingle((address,address,uint24,address,uint256,uint256,uint160))",
        (
            ("address", "tokenIn"),
            ("address", "tokenOut"),
            ("uint24", "fee"),
            ("address", "recipient"),
            ("uint256", "amountIn"),
            ("uint256", "amountOutMinimum"),
            ("uint160", "sqrtPriceLimitX96"),
        ),
    ),
)
BY_SELECTOR: Final = {signature.selector: signature for signature in SIGNATURES}
BY_NAME: Final = {signature.name: signature for signature in SIGNATURES}
# Safe 1.4.1: execTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes)
EXEC_TRANSACTION: Final = bytes.fromhex("6a761202")
MAX_DEPTH: Final = 4
"""Of Safe wrappers around each other."""
MAX_CALLS: Final = 64
MULTI_SEND: Final = bytes.fromhex("8d80ff0a")  # MultiSendCallOnly: multiSend(bytes)


class Call(NamedTuple):
    """One call as its bytes say it. `arguments` is None where no signature explains them."""

    target: str
    value: int
    is_delegatecall: bool
    data: bytes

    @property
    def selector(self) -> str | None:
        return "0x" + self.data[:4].hex() if len(self.data) >= 4 else None

    @property
    def signature(self) -> Signature | None:
        return BY_SELECTOR.get(self.selector or "")

    @property
    def arguments(self) -> dict[str, int | str] | None:
        return read_words(self.data)


class Reading(NamedTuple):
    """What an envelope's bytes say: the account's calls in order, and whether the wrappers are all there is."""

    calls: tuple[Call, ...]
    is_complete: bool


@lru_cache(maxsize=65_536)
def read_words(data: bytes) -> dict[str, int | str] | None:
    signature = BY_SELECTOR.get("0x" + data[:4].hex())
    if signature is None or len(data) != 4 + WORD * len(signature.fields):
        return None
    words = [int.from_bytes(data[start : start + WORD]) for start in range(4, len(data), WORD)]
    kinds = [kind for kind, _ in signature.fields]
    if any(word >> WIDTHS[kind] for word, kind in zip(words, kinds, strict=True)):
        return None
    return {
        name: f"0x{word:040x}" if kind == "address" else word
        for word, (kind, name) in zip(words, signature.fields, strict=True)
    }


def write_words(name: str, *arguments: int | str) -> bytes:
    """Calldata of one of the six functions; the inverse of `read_words`."""
    signature = BY_NAME[name]
    words = [int(argument, 16) if isinstance(argument, str) else argument for argument in arguments]
    return bytes.fromhex(signature.selector[2:]) + b"".join(word.to_bytes(WORD) for word in words)


class Wrappers(NamedTuple):
    """Around what the account does: its own execTransaction, signed by its owner, and the pinned MultiSend."""

    account: str
    owner: str
    multisend: str


@lru_cache(maxsize=16_384)
def read_envelope(data: bytes, around: Wrappers) -> Reading:
    """The calls inside Safe.execTransaction, wrappers unpacked; nothing where the bytes are no such wrapper."""
    calls = _unpacked(data, around, depth=1)
    if calls is None or len(calls) > MAX_CALLS:
        return Reading((), is_complete=False)
    return Reading(calls, is_complete=True)


def _unpacked(data: bytes, around: Wrappers, *, depth: int) -> tuple[Call, ...] | None:
    outer = _read_safe(data, owner=around.owner)
    if outer is None:
        return None
    is_batch = outer.is_delegatecall and outer.target == around.multisend and outer.value == 0
    return flattened((_read_multisend(outer.data) if is_batch else None) or (outer,), around, depth=depth)


def flattened(calls: Sequence[Call], around: Wrappers, *, depth: int = 1) -> tuple[Call, ...]:
    """Calls of the account to itself replaced by what they run; one that cannot be read stays as it is."""
    flat: list[Call] = []
    for call in calls:
        is_wrapper = call.target == around.account and not call.is_delegatecall and call.value == 0
        inner = _unpacked(call.data, around, depth=depth + 1) if is_wrapper and depth < MAX_DEPTH else None
        flat += [call] if inner is None else inner
    return tuple(flat)


def _read_safe(data: bytes, *, owner: str) -> Call | None:
    """execTransaction without refunds, signed by the owner who sends it; None for any other byte."""
    words = [int.from_bytes(data[start : start + WORD]) for start in range(4, 4 + 10 * WORD, WORD)]
    start = 4 + words[2]
    if words[0] >> 160 or words[2] != 10 * WORD or len(data) < start + WORD:
        return None
    length = int.from_bytes(data[start : start + WORD])
    call = Call(f"0x{words[0]:040x}", words[1], words[3] == 1, data[start + WORD : start + WORD + length])
    return call if data == write_safe(call, owner=owner) else None


def write_safe(call: Call, *, owner: str) -> bytes:
    """Safe.execTransaction of one call, without gas refund, with the sending owner's prevalidated signature."""
    signature = bytes.fromhex(owner[2:]).rjust(WORD, b"\0") + bytes(WORD) + b"\1"
    body = _bytes_argument(call.data)
    head = [int(call.target, 16), call.value, 10 * WORD, int(call.is_delegatecall), 0, 0, 0, 0, 0]
    words = b"".join(word.to_bytes(WORD) for word in [*head, 10 * WORD + len(body)])
    return EXEC_TRANSACTION + words + body + _bytes_argument(signature)


def _read_multisend(data: bytes) -> tuple[Call, ...] | None:
    length = int.from_bytes(data[4 + WORD : 4 + 2 * WORD])
    packed = data[4 + 2 * WORD : 4 + 2 * WORD + length]
    if data != MULTI_SEND + WORD.to_bytes(WORD) + _bytes_argument(packed):
        return None
    calls = []
    while packed:
        head, size = packed[:85], int.from_bytes(packed[53:85])
        if len(head) < 85 or head[0] > 1 or len(packed) < 85 + size:
            return None
        target, value = "0x" + head[1:21].hex(), int.from_bytes(head[21:53])
        calls.append(Call(target, value, head[0] == 1, packed[85 : 85 + size]))
        packed = packed[85 + size :]
    return tuple(calls)


def write_multisend(calls: Sequence[Call]) -> bytes:
    """multiSend(bytes): operation, target, value, length and data of each call, packed."""
    packed = b"".join(
        bytes([call.is_delegatecall])
        + bytes.fromhex(call.target[2:])
        + call.value.to_bytes(WORD)
        + len(call.data).to_bytes(WORD)
        + call.data
        for call in calls
    )
    return MULTI_SEND + WORD.to_bytes(WORD) + _bytes_argument(packed)


def _bytes_argument(data: bytes) -> bytes:
    return len(data).to_bytes(WORD) + data + bytes(-len(data) % WORD)
