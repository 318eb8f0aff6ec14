"""The chain as typed answers: headers, Multicall3 reads, simulations, receipts, and the one broadcast.

Implements ChainReads. Everything a node says is parsed here, and whatever cannot be parsed is ChainUnavailable.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, NamedTuple

from eth_abi.exceptions import DecodingError

from chain.parsing import (
    MinedTransaction,
    SimulatedCall,
    hex_text,
    items,
    parse_receipt,
    parse_simulated,
    quantity,
    text,
)
from chain.rpc import JsonRpc, RpcError
from domain.abi import AGGREGATE_3
from domain.errors import ChainUnavailable
from domain.ports import BlockHeader, ChainReads, ReadCall, ReadResult

READS_PER_CALL: Final = 200
MAX_RESULT_BYTES: Final = 131_072
CALL_GAS: Final = 16_000_000  # below the transaction cap of 2^24, EIP-7825
REVERTED_CODE: Final = 3
ALREADY_KNOWN: Final = ("already known", "already imported", "alreadyknown")
NONCE_USED: Final = ("nonce too low", "oldnonce")
NONCE_TAKEN: Final = ("replacement transaction underpriced", "transaction underpriced to replace")


class CallRequest(NamedTuple):
    """One call as eth_call and eth_simulateV1 take it."""

    sender: str
    target: str
    data: str
    value_wei: int = 0

    def to_rpc(self) -> dict[str, str]:
        return {
            "from": self.sender,
            "to": self.target,
            "data": self.data,
            "value": hex(self.value_wei),
            "gas": hex(CALL_GAS),
        }


class BroadcastOutcome(StrEnum):
    ACCEPTED = "accepted"
    ALREADY_KNOWN = "already_known"  # these bytes are pending or mined: look for the receipt
    NONCE_USED = "nonce_used"  # something with this nonce is mined: look for the receipt
    REFUSED = "refused"  # not taken into the pool now; the same bytes may be taken later
    UNKNOWN = "unknown"  # nobody knows whether it left


class BroadcastAnswer(NamedTuple):
    outcome: BroadcastOutcome
    message: str


class ChainClient(ChainReads):
    """One node of one chain."""

    def __init__(
        self,
        rpc_url: str,
        *,
        chain_id: int,
        multicall: str,
        timeout_seconds: float = 10,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rpc = JsonRpc(rpc_url, timeout_seconds=timeout_seconds, sleep=sleep)
        self._chain_id = chain_id
        self._multicall = multicall

    def header(self, block_number: int | None = None) -> BlockHeader:
        self._check_chain()
        tag = "latest" if block_number is None else hex(block_number)
        block = self._fields("eth_getBlockByNumber", [tag, False])
        if block is None:
            raise ChainUnavailable(f"node {self._rpc.name} has no block {tag}")
        try:
            return BlockHeader(
                chain_id=self._chain_id,
                number=quantity(block, "number"),
                hash=text(block, "hash"),
                time=datetime.fromtimestamp(quantity(block, "timestamp"), tz=UTC),
                base_fee_wei=quantity(block, "baseFeePerGas"),
            )
        except (ValueError, OverflowError, OSError):
            raise ChainUnavailable(f"node {self._rpc.name} sent an impossible header for block {tag}") from None

    def read_many(self, calls: Sequence[ReadCall], *, block_number: int) -> Sequence[ReadResult]:
        chunks = [calls[start : start + READS_PER_CALL] for start in range(0, len(calls), READS_PER_CALL)]
        return [result for chunk in chunks for result in self._aggregate(chunk, block_number)]

    def read_ahead(self, calls: Sequence[ReadCall], *, head: BlockHeader, seconds: int) -> Sequence[ReadResult]:
        request = CallRequest(self._multicall, self._multicall, encode_reads(calls))
        (answer,) = self.simulate_v1([request], head=head, seconds=seconds)
        if not answer.succeeded:
            raise ChainUnavailable(f"Multicall3 at {self._multicall} reverted {seconds} s after block {head.number}")
        return decode_reads(answer.data, expected=len(calls))

    def native_balance_wei(self, address: str, *, block_number: int) -> int:
        return self._number("eth_getBalance", [address, hex(block_number)])

    def priority_fee_wei(self) -> int:
        return self._number("eth_maxPriorityFeePerGas", [])

    def nonce(self, address: str) -> int:
        """Transactions of the address that are mined. Never "pending", which forgets what a node dropped."""
        return self._number("eth_getTransactionCount", [address, "latest"])

    def code(self, address: str) -> str:
        return hex_text(self._result("eth_getCode", [address, "latest"]), "eth_getCode")

    def call(self, request: CallRequest, *, block_number: int) -> ReadResult:
        """The call's answer, or its revert data."""
        answer = self._rpc.read("eth_call", [request.to_rpc(), hex(block_number)])
        if answer.error is None:
            return ReadResult(succeeded=True, data=hex_text(answer.result, "eth_call"))
        if answer.error.code == REVERTED_CODE or answer.error.data is not None:
            return ReadResult(succeeded=False, data=revert_data(answer.error.data))
        raise self._refusal("eth_call", answer.error)

    def simulate_v1(self, calls: Sequence[CallRequest], *, head: BlockHeader, seconds: int) -> list[SimulatedCall]:
        """The calls in one block on top of `head`, `seconds` later, moves of native money logged as transfers."""
        block = {
            # anvil would otherwise run it under the head's own number
            "blockOverrides": {"number": hex(head.number + 1), "time": hex(int(head.time.timestamp()) + seconds)},
            "calls": [call.to_rpc() for call in calls],
        }
        options = {"blockStateCalls": [block], "traceTransfers": True, "validation": False}
        blocks = self._result("eth_simulateV1", [options, hex(head.number)])
        if not isinstance(blocks, list) or len(blocks) != 1 or not isinstance(blocks[0], dict):
            raise ChainUnavailable(f"node {self._rpc.name} answered eth_simulateV1 without its one block")
        results = [parse_simulated(item) for item in items(blocks[0], "calls")]
        if len(results) != len(calls):
            raise ChainUnavailable(f"node {self._rpc.name} simulated {len(results)} of {len(calls)} calls")
        return results

    def receipt(self, transaction_hash: str) -> MinedTransaction | None:
        """None while the transaction is not in a block of the node's chain."""
        fields = self._fields("eth_getTransactionReceipt", [transaction_hash])
        if fields is None:
            return None
        return parse_receipt(fields)

    def send_raw(self, raw: str) -> BroadcastAnswer:
        """Hand signed bytes to the node, once. Never raises: an unclear answer is UNKNOWN."""
        try:
            answer = self._rpc.once("eth_sendRawTransaction", [raw])
        except ChainUnavailable as error:
            return BroadcastAnswer(BroadcastOutcome.UNKNOWN, str(error))
        if answer.error is None:
            return BroadcastAnswer(BroadcastOutcome.ACCEPTED, "")
        return BroadcastAnswer(_classify(answer.error.message), answer.error.message)

    def _check_chain(self) -> None:
        observed = self._number("eth_chainId", [])
        if observed != self._chain_id:
            raise ChainUnavailable(
                f"node {self._rpc.name} is on chain {observed}, expected chain {self._chain_id}; "
                "correct chain_id in strategies.toml or AUTOFI_RPC_URL"
            )

    def _aggregate(self, calls: Sequence[ReadCall], block_number: int) -> list[ReadResult]:
        data = encode_reads(calls)
        answer = self.call(CallRequest(self._multicall, self._multicall, data), block_number=block_number)
        if not answer.succeeded:
            raise ChainUnavailable(f"Multicall3 at {self._multicall} reverted at block {block_number}")
        return decode_reads(answer.data, expected=len(calls))

    def _result(self, method: str, params: Sequence[object]) -> object:
        answer = self._rpc.read(method, params)
        if answer.error is not None:
            raise self._refusal(method, answer.error)
        return answer.result

    def _fields(self, method: str, params: Sequence[object]) -> dict[str, object] | None:
        result = self._result(method, params)
        if result is not None and not isinstance(result, dict):
            raise ChainUnavailable(f"node {self._rpc.name} answered {method} with {type(result).__name__}")
        return result

    def _number(self, method: str, params: Sequence[object]) -> int:
        return quantity({method: self._result(method, params)}, method)

    def _refusal(self, method: str, error: RpcError) -> ChainUnavailable:
        return ChainUnavailable(f"node {self._rpc.name} refused {method} with code {error.code}: {error.message}")


def encode_reads(calls: Sequence[ReadCall]) -> str:
    """Multicall3 calldata in which a failing call does not fail the rest."""
    return AGGREGATE_3.encode([(call.target, True, bytes.fromhex(call.data[2:])) for call in calls])


def decode_reads(data: str, *, expected: int) -> list[ReadResult]:
    try:
        (results,) = AGGREGATE_3.decode_output(data)
    except DecodingError:
        raise ChainUnavailable(f"the answer of Multicall3 is unreadable: {len(data) // 2 - 1} bytes") from None
    if not isinstance(results, tuple) or len(results) != expected:
        raise ChainUnavailable(f"Multicall3 did not answer {expected} calls")
    return [_read_result(succeeded=succeeded, data=answer) for succeeded, answer in results]


def _read_result(*, succeeded: bool, data: bytes) -> ReadResult:
    if len(data) > MAX_RESULT_BYTES:  # nothing we ask for is that long
        return ReadResult(succeeded=False, data="0x")
    return ReadResult(succeeded=succeeded, data="0x" + data.hex())


def revert_data(raw: str | None) -> str:
    """Some nodes put a sentence where the revert data belong."""
    try:
        return hex_text(raw, "revert data")
    except ChainUnavailable:
        return "0x"


def _classify(message: str) -> BroadcastOutcome:
    lowered = message.lower()
    if any(phrase in lowered for phrase in ALREADY_KNOWN):
        return BroadcastOutcome.ALREADY_KNOWN
    if any(phrase in lowered for phrase in NONCE_USED):
        return BroadcastOutcome.NONCE_USED
    if any(phrase in lowered for phrase in NONCE_TAKEN):
        return BroadcastOutcome.UNKNOWN
    return BroadcastOutcome.REFUSED
