"""What the auditor reads by itself: raw JSON-RPC, traces and logs, decoded with its own ABI knowledge.

Nothing of the product's readers, builders or guards is used here; the node is the only witness.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

import httpx
from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_utils.crypto import keccak

RPC_SECONDS = 60.0
TRANSFER = "0x" + keccak(text="Transfer(address,address,uint256)").hex()
APPROVAL = "0x" + keccak(text="Approval(address,address,uint256)").hex()
SINGLETON_SLOT = "0x0"  # a Safe proxy keeps its implementation there


class View(NamedTuple):
    """One eth_call: the signature as Solidity writes it, outputs as types."""

    target: str
    signature: str
    arguments: tuple[object, ...] = ()
    outputs: tuple[str, ...] = ("uint256",)


class Frame(NamedTuple):
    """One call that a contract really made, as the node's tracer saw it."""

    kind: str
    target: str
    data: bytes
    value: int


class Log(NamedTuple):
    address: str
    topics: tuple[str, ...]
    data: bytes

    @property
    def amount(self) -> int:
        return int.from_bytes(self.data[:32], "big")

    def party(self, index: int) -> str:
        return address_in(self.topics[index])


class Sent(NamedTuple):
    """A mined transaction of the operator, or one that names the account; `calls` are the account's own."""

    hash: str
    block: int
    sender: str
    target: str
    data: bytes
    value: int
    nonce: int
    succeeded: bool
    gas_used: int
    gas_price: int
    calls: tuple[Frame, ...]
    logs: tuple[Log, ...]


class Header(NamedTuple):
    number: int
    time: int
    base_fee: int


class Chain:
    """A node, asked directly."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = httpx.Client(timeout=RPC_SECONDS, trust_env=False)

    def close(self) -> None:
        self._client.close()

    def call(self, method: str, *params: object) -> Any:
        (answer,) = self._post([(method, params)])
        if "error" in answer:
            raise RuntimeError(f"the node refused {method}: {answer['error']}")
        return answer["result"]

    def views(self, asked: Sequence[View], *, block: int) -> list[tuple[object, ...] | None]:
        """Answers at the end of that block; None where the contract reverts or answers something else."""
        tag = hex(block)
        requests = [("eth_call", ({"to": view.target, "data": calldata(view)}, tag)) for view in asked]
        answers = self._post(requests) if requests else []
        return [_decoded(view, answer) for view, answer in zip(asked, answers, strict=True)]

    def integers(self, asked: Sequence[View], *, block: int) -> list[int | None]:
        """The first output of each view."""
        return [None if answer is None else int(str(answer[0])) for answer in self.views(asked, block=block)]

    def head(self) -> int:
        return int(self.call("eth_blockNumber"), 16)

    def header(self, number: int) -> Header:
        block = self.call("eth_getBlockByNumber", hex(number), False)
        return Header(number, int(block["timestamp"], 16), int(block["baseFeePerGas"], 16))

    def native(self, account: str, *, block: int) -> int:
        return int(self.call("eth_getBalance", account, hex(block)), 16)

    def singleton(self, account: str, *, block: int) -> str:
        return address_in(self.call("eth_getStorageAt", account, SINGLETON_SLOT, hex(block)))

    def sent(self, *, first: int, last: int, operator: str, account: str) -> list[Sent]:
        """Every mined transaction from the operator or to the account, in order, with what the account did in it."""
        blocks = (self.call("eth_getBlockByNumber", hex(number), True) for number in range(first, last + 1))
        mined = (raw for block in blocks for raw in block["transactions"])
        ours = {operator, account}
        return [self._read(raw, account) for raw in mined if raw["from"] in ours or raw["to"] == account]

    def movers(self, *, first: int, last: int, account: str) -> set[str]:
        """Hashes of all transactions in which tokens left the account or somebody was allowed to take them."""
        if first > last:
            return set()
        owner = "0x" + account[2:].rjust(64, "0")
        query = {"fromBlock": hex(first), "toBlock": hex(last), "topics": [[TRANSFER, APPROVAL], owner]}
        return {str(log["transactionHash"]) for log in self.call("eth_getLogs", query)}

    def _read(self, raw: dict[str, Any], account: str) -> Sent:
        receipt = self.call("eth_getTransactionReceipt", raw["hash"])
        trace = self.call("debug_traceTransaction", raw["hash"], {"tracer": "callTracer"})
        return Sent(
            hash=str(raw["hash"]),
            block=int(raw["blockNumber"], 16),
            sender=str(raw["from"]),
            target=str(raw["to"] or ""),
            data=bytes.fromhex(raw["input"][2:]),
            value=int(raw["value"], 16),
            nonce=int(raw["nonce"], 16),
            succeeded=receipt["status"] == "0x1",
            gas_used=int(receipt["gasUsed"], 16),
            gas_price=int(receipt["effectiveGasPrice"], 16),
            calls=tuple(_frames_of(trace, account)),
            logs=tuple(_log(log) for log in receipt["logs"]),
        )

    def _post(self, requests: Sequence[tuple[str, Sequence[object]]]) -> list[dict[str, Any]]:
        body = [
            {"jsonrpc": "2.0", "id": index, "method": method, "params": list(params)}
            for index, (method, params) in enumerate(requests)
        ]
        answers: list[dict[str, Any]] = self._client.post(self._url, json=body).json()
        return sorted(answers, key=lambda answer: int(answer["id"]))


def calldata(view: View) -> str:
    types = _types(view.signature)
    return "0x" + (selector(view.signature) + encode(types, view.arguments)).hex()


@cache
def selector(signature: str) -> bytes:
    return keccak(text=signature)[:4]


def address_in(word: str) -> str:
    """The address in the low bytes of a 32-byte word."""
    return "0x" + word[-40:].lower()


def _types(signature: str) -> tuple[str, ...]:
    inside = signature[signature.index("(") + 1 : -1]
    return tuple(inside.split(",")) if inside else ()


def _decoded(view: View, answer: dict[str, Any]) -> tuple[object, ...] | None:
    try:
        return decode(view.outputs, bytes.fromhex(answer["result"][2:]))
    except (KeyError, DecodingError, OverflowError):
        return None


def _log(raw: dict[str, Any]) -> Log:
    return Log(str(raw["address"]), tuple(raw["topics"]), bytes.fromhex(raw["data"][2:]))


def _frames_of(trace: dict[str, Any], account: str) -> Iterator[Frame]:
    """Calls made with the account as the caller, depth first; reads without effect are left out."""
    for inner in trace.get("calls", ()):
        if inner["from"] == account and inner["type"] != "STATICCALL":
            yield Frame(
                kind=str(inner["type"]),
                target=str(inner.get("to", "")),
                data=bytes.fromhex(inner.get("input", "0x")[2:]),
                value=int(inner.get("value", "0x0"), 16),
            )
        yield from _frames_of(inner, account)
