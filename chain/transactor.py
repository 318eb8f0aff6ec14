"""Sends many transactions of unlocked local accounts in one block: how the local chain is built and moved.

Only for our own anvil: it needs unlocked accounts and control over mining. Money of the treasury never passes here.
"""

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple

import rlp  # type: ignore[import-untyped]  # ships no types
from eth_abi.abi import decode, encode
from eth_abi.grammar import TupleType, parse
from eth_utils.crypto import keccak

from chain.anvil import NodeRpc
from domain.errors import InvariantBroken

BLOCK_SECONDS: Final = 12
GAS_LIMIT: Final = 1_500_000
PRIORITY_FEE_WEI: Final = 10**9
MAX_FEE_WEI: Final = 10**14  # far above any base fee that a scenario sets
CALM_BASE_FEE_WEI: Final = 15 * 10**9


class _Queued(NamedTuple):
    fields: dict[str, str]
    label: str


class Read(NamedTuple):
    """One eth_call: `signature` as in Solidity, `outputs` as a tuple type."""

    target: str
    signature: str
    arguments: tuple[object, ...] = ()
    outputs: str = "(uint256)"


@cache
def _types(tuple_text: str) -> tuple[str, ...]:
    parsed = parse(tuple_text)
    if not isinstance(parsed, TupleType):
        raise InvariantBroken(f"{tuple_text!r} is not a tuple of ABI types")
    return tuple(component.to_type_str() for component in parsed.components)


def encode_arguments(tuple_text: str, arguments: tuple[object, ...]) -> bytes:
    return encode(_types(tuple_text), arguments) if tuple_text != "()" else b""


def encode_call(signature: str, *arguments: object) -> str:
    """Calldata of 'name(types)' as 0x-hex."""
    tuple_text = signature[signature.index("(") :]
    return "0x" + (keccak(text=signature)[:4] + encode_arguments(tuple_text, arguments)).hex()


def contract_address(sender: str, nonce: int) -> str:
    """Where CREATE puts the contract of this sender and nonce (Yellow Paper, section 7)."""
    encoded: bytes = rlp.encode([bytes.fromhex(sender[2:]), nonce])
    return "0x" + keccak(encoded)[12:].hex()


class Transactor:
    """Queues transactions with explicit nonces; `mine` puts all of them into one block and checks every receipt."""

    def __init__(self, rpc: NodeRpc) -> None:
        self._rpc = rpc
        self._queue: list[_Queued] = []
        self._nonces: dict[str, int] = {}

    def send(
        self, sender: str, target: str, signature: str, *arguments: object, value_wei: int = 0, gas: int = GAS_LIMIT
    ) -> None:
        data = encode_call(signature, *arguments)
        self._enqueue(sender, target, data, value_wei=value_wei, gas=gas, label=f"{signature} at {target}")

    def deploy(self, sender: str, init_code: str, *, label: str, gas: int) -> str:
        """The address that the contract will have once mined."""
        nonce = self._enqueue(sender, None, init_code, value_wei=0, gas=gas, label=f"deployment of {label}")
        return contract_address(sender, nonce)

    def read(self, *reads: Read) -> list[tuple[object, ...]]:
        """Answers at the head, one tuple per read."""
        raw = self._rpc.batch(
            [
                ("eth_call", ({"to": read.target, "data": encode_call(read.signature, *read.arguments)}, "latest"))
                for read in reads
            ]
        )
        return [decode(_types(read.outputs), bytes.fromhex(data[2:])) for read, data in zip(reads, raw, strict=True)]

    def read_integers(self, *reads: Read) -> list[int]:
        """The first output of each read, which must be an integer."""
        return [int(str(answer[0])) for answer in self.read(*reads)]

    def read_addresses(self, *reads: Read) -> list[str]:
        return [str(answer[0]) for answer in self.read(*(read._replace(outputs="(address)") for read in reads))]

    def head_time(self) -> int:
        return int(self._rpc.head()["timestamp"], 16)

    def mine(self, *, timestamp: int | None = None, base_fee_wei: int = CALM_BASE_FEE_WEI) -> None:
        """Raises InvariantBroken when any queued transaction reverted: a world half moved is worth nothing."""
        queue, self._queue, self._nonces = self._queue, [], {}
        self._set_automine(enabled=False)
        try:
            hashes = self._rpc.batch([("eth_sendTransaction", (item.fields,)) for item in queue])
            at = self.head_time() + BLOCK_SECONDS if timestamp is None else timestamp
            self._rpc.call("evm_setNextBlockTimestamp", at)
            self._rpc.call("anvil_setNextBlockBaseFeePerGas", hex(base_fee_wei))
            self._rpc.call("evm_mine")
            # Left alone, the base fee of a quiet chain would decay to nothing and gas would look free.
            self._rpc.call("anvil_setNextBlockBaseFeePerGas", hex(base_fee_wei))
        finally:
            self._set_automine(enabled=True)
        self._check(queue, hashes)

    def _enqueue(self, sender: str, target: str | None, data: str, *, value_wei: int, gas: int, label: str) -> int:
        if sender not in self._nonces:
            self._nonces[sender] = int(self._rpc.call("eth_getTransactionCount", sender, "latest"), 16)
        nonce = self._nonces[sender]
        self._nonces[sender] += 1
        fields = {
            "from": sender,
            "data": data,
            "value": hex(value_wei),
            "gas": hex(gas),
            "nonce": hex(nonce),
            "maxFeePerGas": hex(MAX_FEE_WEI),
            "maxPriorityFeePerGas": hex(PRIORITY_FEE_WEI),
        }
        self._queue.append(_Queued(fields if target is None else {**fields, "to": target}, label))
        return nonce

    def _set_automine(self, *, enabled: bool) -> None:
        self._rpc.call("evm_setAutomine", enabled)

    def _check(self, queue: list[_Queued], hashes: list[str]) -> None:
        receipts = {r["transactionHash"]: r for r in self._rpc.call("eth_getBlockReceipts", "latest")}
        for item, transaction_hash in zip(queue, hashes, strict=True):
            receipt = receipts.get(transaction_hash)
            subject = f"{item.label} by {item.fields['from']}"
            if receipt is None:
                raise InvariantBroken(f"{subject} was not mined in the next block")
            if receipt["status"] != "0x1":
                raise InvariantBroken(f"{subject} reverted with {receipt['gasUsed']} gas used")
