"""Stand-ins for a node: canned contract answers for the collectors, a scripted mempool for the sender."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from eth_abi.abi import encode

from chain.client import BroadcastAnswer, BroadcastOutcome
from chain.logs import Log
from chain.parsing import MinedTransaction
from collectors.answers import Question
from domain.ports import BlockHeader, ReadCall, ReadResult
from tests.builders import CHAIN_ID, NOW

HEAD = BlockHeader(chain_id=CHAIN_ID, number=100, hash="0x" + "ab" * 32, time=NOW, base_fee_wei=20 * 10**9)
REVERTED = ReadResult(succeeded=False, data="0x")
TRANSFER_TOPIC = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"


class FixedClock:
    def __init__(self, now: datetime = NOW) -> None:
        self.moment = now

    def now(self) -> datetime:
        return self.moment

    def advance(self, **duration: float) -> None:
        self.moment += timedelta(**duration)


class FakeReads:
    """ChainReads over a table of answers; a question without one reverts."""

    def __init__(self, header: BlockHeader = HEAD) -> None:
        self.head = header
        self.now: dict[ReadCall, ReadResult] = {}
        self.later: dict[ReadCall, ReadResult] = {}

    def set(self, question: Question, *values: object) -> None:
        self.now[question.to_call()] = _encoded(question, values)

    def set_later(self, question: Question, *values: object) -> None:
        self.later[question.to_call()] = _encoded(question, values)

    def break_(self, question: Question) -> None:
        del self.now[question.to_call()]

    def header(self, block_number: int | None = None) -> BlockHeader:
        return self.head

    def read_many(self, calls: Sequence[ReadCall], *, block_number: int) -> Sequence[ReadResult]:
        return [self.now.get(call, REVERTED) for call in calls]

    def read_ahead(self, calls: Sequence[ReadCall], *, head: BlockHeader, seconds: int) -> Sequence[ReadResult]:
        return [self.later.get(call, REVERTED) for call in calls]

    def native_balance_wei(self, address: str, *, block_number: int) -> int:
        return 10**18

    def priority_fee_wei(self) -> int:
        return 10**9


def _encoded(question: Question, values: Sequence[object]) -> ReadResult:
    return ReadResult(succeeded=True, data="0x" + encode(question.function.outputs, values).hex())


class FakeNode:
    """A node that mines what it accepts, at once unless told to keep it; `sent` counts what reached it."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.mined: dict[str, MinedTransaction] = {}
        self.nonces = 7
        self.height = 100
        self.is_mining = True
        self.answer = BroadcastAnswer(BroadcastOutcome.ACCEPTED, "")
        self.logs: tuple[Log, ...] = ()
        self.succeeds = True

    def header(self, block_number: int | None = None) -> BlockHeader:
        return HEAD.model_copy(update={"number": self.height if block_number is None else block_number})

    def nonce(self, address: str) -> int:
        return self.nonces

    def receipt(self, transaction_hash: str) -> MinedTransaction | None:
        return self.mined.get(transaction_hash)

    def send_raw(self, raw: str) -> BroadcastAnswer:
        self.sent.append(raw)
        if self.is_mining and self.answer.outcome is BroadcastOutcome.ACCEPTED:
            self.mine(raw)
        return self.answer

    def mine(self, raw: str) -> None:
        from eth_utils.crypto import keccak

        self.height += 1
        self.nonces += 1
        self.mined["0x" + keccak(hexstr=raw).hex()] = MinedTransaction(
            succeeded=self.succeeds,
            block_number=self.height,
            block_hash="0x" + f"{self.height:064x}",
            gas_used=500_000,
            effective_gas_price_wei=21 * 10**9,
            logs=self.logs,
        )


def transfer_log(token: str, sender: str, receiver: str, amount: int) -> Log:
    topics = (TRANSFER_TOPIC, *("0x" + holder[2:].zfill(64) for holder in (sender, receiver)))
    return Log(address=token, topics=topics, data=f"0x{amount:064x}")
