"""What the graph needs from outside, as protocols; what holds it back is in domain.safeguards.

Adapters live in collectors, memory, chain and graph.models.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Protocol

from pydantic import Field

from domain.journal import JournalEntry, Verification
from domain.market import MarketHistory, MarketSnapshot, QuotedSwap, RateObservation
from domain.plan import RebalancePlan
from domain.pools import TickPool
from domain.portfolio import Portfolio
from domain.run import AgentName, RunRecord, RunRequest, RunStatus
from domain.transaction import (
    FeeQuote,
    Intent,
    IntentStatus,
    Receipt,
    SignedTransaction,
    SimulationReport,
    UnsignedTransaction,
)
from domain.units import Address, Hash32, HexData, Uint256, UtcDatetime, Value
from domain.verdict import Approval, Certificate


class Clock(Protocol):
    def now(self) -> datetime:
        """Aware UTC. In paper mode this is the local chain's time, so that scenarios can run ahead."""


class ReadCall(Value):
    """One eth_call to make at a block."""

    target: Address
    data: HexData


class ReadResult(Value):
    """Its answer; data is the revert data when it did not succeed."""

    succeeded: bool
    data: HexData


class BlockHeader(Value):
    chain_id: int
    number: int
    hash: Hash32
    time: UtcDatetime
    base_fee_wei: Uint256


class ChainReads(Protocol):
    """Reads, retried with a bound. Raises ChainUnavailable."""

    def header(self, block_number: int | None = None) -> BlockHeader:
        """Of the head when no number is given; checks that the node is on the expected chain."""

    def read_many(self, calls: Sequence[ReadCall], *, block_number: int) -> Sequence[ReadResult]:
        """All calls in one Multicall3 aggregate3 at one block; a failing call does not fail the rest."""

    def read_ahead(self, calls: Sequence[ReadCall], *, head: BlockHeader, seconds: int) -> Sequence[ReadResult]:
        """The same on the head's state as it would be `seconds` later if nobody acted: what accrues shows."""

    def native_balance_wei(self, address: str, *, block_number: int) -> int: ...
    def priority_fee_wei(self) -> int: ...


class PortfolioReads(Protocol):
    """How an account's holdings are read: as calls, so that a simulator can ask them of a state that never was."""

    def calls(self) -> Sequence[ReadCall]: ...
    def decode(self, results: Sequence[ReadResult], *, header: BlockHeader, native_wei: int) -> Portfolio: ...


class MarketReader(Protocol):
    """Observes the chain. Raises ChainUnavailable or StaleOrDisputed."""

    def head(self) -> tuple[int, str]: ...
    def snapshot(self, block_number: int | None = None) -> MarketSnapshot: ...
    def portfolio(self, block_number: int | None = None) -> Portfolio: ...
    def quote(self, *, venue: str, token_in: str, token_out: str, amount_in: int) -> QuotedSwap: ...
    def pools(self, token_a: str, token_b: str) -> tuple[TickPool, ...]:
        """What the pair's venues hold, all at the head; none when what they answer cannot be relied on."""


class ObservationStore(Protocol):
    def append(self, snapshot: MarketSnapshot) -> None:
        """Idempotent per chain, block, subject and source."""

    def history(self, *, days: int, until: datetime) -> MarketHistory: ...
    def latest_rates(self) -> Sequence[RateObservation]: ...


class Simulation(Value):
    """A simulated batch with the portfolio that it leaves."""

    report: SimulationReport
    after: Portfolio


class Simulator(Protocol):
    """Runs the exact bytes at a named block, without leaving a trace. Raises ChainUnavailable."""

    def simulate(self, plan: RebalancePlan) -> Simulation: ...
    def quote_fees(self, plan: RebalancePlan) -> FeeQuote: ...


class Signer(Protocol):
    """Holds the key, trusts nobody: signs only what carries a valid certificate. Raises SigningRefused."""

    @property
    def address(self) -> str: ...

    def sign(
        self, transaction: UnsignedTransaction, *, plan: RebalancePlan, certificate: Certificate, now: datetime
    ) -> SignedTransaction: ...


class ExecutionJournal(Protocol):
    """Intents and receipts, each write committed before it returns. Raises StoreUnavailable, InvariantBroken."""

    def plan(self, intent: Intent) -> Intent:
        """Insert, or return the row already there for this digest; another payload under it is InvariantBroken."""

    def assign_nonce(self, batch_digest: str, *, nonce: int) -> Intent:
        """May be corrected while nothing is signed; one nonce belongs to one intent per chain and sender."""

    def store_signed(self, batch_digest: str, signed: SignedTransaction) -> Intent:
        """Commit the bytes (fsync) before the first of them leaves; other bytes later are InvariantBroken."""

    def mark(self, batch_digest: str, status: IntentStatus) -> Intent:
        """EXPIRED gives the nonce of a batch that was never signed back; a terminal status never changes."""

    def store_receipt(self, receipt: Receipt) -> None: ...
    def receipt(self, batch_digest: str) -> Receipt | None: ...
    def find(self, batch_digest: str) -> Intent | None: ...
    def open_intents(self) -> Sequence[Intent]: ...
    def highest_nonce(self, *, chain_id: int, sender: str) -> int | None:
        """Of every row that still owns one."""


class Sender(Protocol):
    """Drives the settlement of one batch over the execution journal; running it again is harmless."""

    def progress(self, batch_digest: str) -> Intent | None:
        """How far this digest got; None when it was never started."""

    def start(self, plan: RebalancePlan) -> Intent:
        """Write the intent ahead of everything else; the row that is already there when called again."""

    def settle(self, plan: RebalancePlan, certificate: Certificate) -> Receipt:
        """Raises SigningRefused, BroadcastUnknown, ExecutionFailed, ChainUnavailable, StoreUnavailable."""

    def resume(self, batch_digest: str) -> Receipt:
        """Finish a digest whose signed bytes are stored; signs nothing. Raises like settle."""

    def receipt(self, batch_digest: str) -> Receipt | None:
        """What the chain did with this digest, a failed transaction included; None while nobody knows."""

    def reconcile(self) -> tuple[Intent, ...]:
        """On start: finish or classify everything a crash left open; returns what is still open."""


class ApprovalStore(Protocol):
    """The truth about human answers; a graph interrupt only carries the form. Raises ApprovalRefused."""

    def request(self, approval: Approval) -> Approval:
        """Insert, or return what is already there for this digest."""

    def find(self, batch_digest: str) -> Approval | None: ...
    def pending(self) -> Sequence[Approval]: ...
    def answer(self, batch_digest: str, *, approved: bool, answered_by: str, role: str, at: datetime) -> Approval: ...
    def consume(self, batch_digest: str, *, at: datetime) -> Approval:
        """Mark as used, exactly once, for the digest's own execution."""


class ArtifactStore(Protocol):
    """Bulk by content hash: put twice, stored once."""

    def put(self, content: bytes) -> str: ...
    def get(self, digest: str) -> bytes: ...


class Journal(Protocol):
    """Append-only and hash-chained."""

    def append(self, *, kind: str, subject: str, body: bytes, at: datetime) -> JournalEntry: ...
    def entries(self, *, kind: str | None = None, limit: int = 1000) -> Sequence[JournalEntry]: ...
    def body(self, sequence: int) -> bytes: ...
    def verify(self) -> Verification: ...


class Recall(Protocol):
    """Finds past runs by likeness. It helps a reader and decides nothing; it can be rebuilt from the records."""

    def nearest(self, text: str, records: Sequence[RunRecord], *, limit: int) -> Sequence[str]:
        """Run ids, nearest first, out of these records."""


class RunStore(Protocol):
    """Where runs stand; the record itself is in the journal."""

    def start(self, request: RunRequest) -> None: ...
    def update(self, run_id: str, status: RunStatus, *, summary: str, at: datetime) -> None: ...
    def finish(self, record: RunRecord) -> JournalEntry:
        """Journal the record and mark the run final, in one transaction; idempotent per run id."""

    def request(self, run_id: str) -> RunRequest | None: ...
    def record(self, run_id: str) -> RunRecord | None: ...
    def since_resume(self, *, limit: int) -> Iterator[RunRecord]:
        """Finished since an operator last let trading go on, newest first."""

    def last_input_digest(self) -> str | None:
        """Of the newest run whose inputs led to a final answer that would be the same again."""


class ToolOffer(Value):
    """One tool as shown to a model: name, purpose and the JSON schema of its arguments, as text."""

    name: str
    description: str
    arguments_schema: str


class ToolRequest(Value):
    """A model's wish to run a tool; arguments are its raw JSON text, validated by the toolbox."""

    call_id: str
    tool: str
    arguments: str = Field(max_length=20_000)


class Message(Value):
    """One message of a conversation with a model."""

    role: str
    content: str
    tool_requests: tuple[ToolRequest, ...] = ()
    call_id: str | None = None


class ModelReply(Value):
    """What came back, with what it cost."""

    model: str
    text: str
    tool_requests: tuple[ToolRequest, ...] = ()
    input_tokens: int = Field(ge=0)
    output_tokens: int = Field(ge=0)


class AgentModel(Protocol):
    """A language model, or the offline policy that stands in for one and says so in `name`."""

    @property
    def name(self) -> str: ...

    def complete(self, agent: AgentName, messages: Sequence[Message], tools: Sequence[ToolOffer]) -> ModelReply:
        """One call, with a deadline. Raises ModelUnavailable."""
