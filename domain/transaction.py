"""Calls, batches, simulations and receipts: what would leave, what left, and what it did."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from pydantic import Field

from domain.digest import digest_of
from domain.units import (
    BPS_PER_ONE,
    Address,
    Digest,
    Hash32,
    HexData,
    Int256,
    Selector,
    Slug,
    Uint256,
    UtcDatetime,
    Value,
)

NATIVE: Final = "0x" + "0" * 40
"""Stands for the chain's own money where a token contract is asked for."""


class Operation(StrEnum):
    """Safe's Enum.Operation."""

    CALL = "call"
    DELEGATECALL = "delegatecall"


class UnsignedCall(Value):
    """One call of the account, as bytes."""

    target: Address
    value_wei: Uint256 = 0
    data: HexData
    operation: Operation = Operation.CALL


class DecodedArgument(Value):
    """One ABI argument: integers as decimal strings, addresses and bytes as lower-case hex."""

    name: str
    type: str
    value: str


class DecodedCall(Value):
    """A call read back from its bytes; `function` is None where the bytes could not be read."""

    target: Address
    value_wei: Uint256
    operation: Operation
    selector: Selector | None
    function: str | None
    arguments: tuple[DecodedArgument, ...] = ()

    def argument(self, name: str) -> str | None:
        for argument in self.arguments:
            if argument.name == name:
                return argument.value
        return None


class DecodedBatch(Value):
    """Every inner call of what the account would execute, wrappers unpacked, in order."""

    chain_id: int
    account: Address
    calls: tuple[DecodedCall, ...]
    is_complete: bool
    """False when any byte was left unexplained."""


class BalanceDelta(Value):
    """How one holder's balance of one token contract changed (native: the zero address)."""

    holder: Address
    token: Address
    amount: Int256


class LeftoverApproval(Value):
    """An ERC-20 allowance of the account that is still open after the batch."""

    token: Address
    spender: Address
    amount: Uint256


class SimulationReport(Value):
    """The exact bytes, run at a named block by a node; nothing here comes from the plan."""

    batch_digest: Digest
    chain_id: int
    block_number: int = Field(ge=0)
    block_hash: Hash32
    simulated_at: UtcDatetime
    succeeded: bool
    failure: str | None = None
    gas_used: int = Field(ge=0)
    deltas: tuple[BalanceDelta, ...]
    """From the Transfer events of every contract the batch touched, net per holder and token, zeros left out."""
    leftover_approvals: tuple[LeftoverApproval, ...]

    def digest(self) -> str:
        return digest_of(self, domain="autofi-simulation-v1")

    def delta_of(self, holder: str, token: str) -> int:
        return sum(delta.amount for delta in self.deltas if (delta.holder, delta.token) == (holder, token))


class FeeQuote(Value):
    """EIP-1559 fees for one transaction."""

    gas_limit: int = Field(gt=0)
    max_fee_per_gas_wei: Uint256
    max_priority_fee_per_gas_wei: Uint256

    @property
    def cost_cap_wei(self) -> int:
        return self.gas_limit * self.max_fee_per_gas_wei


class UnsignedTransaction(Value):
    """What the sender asks the signer to sign: the outer call with nonce and fees."""

    chain_id: int
    sender: Address
    nonce: int = Field(ge=0)
    target: Address
    value_wei: Uint256
    data: HexData
    fees: FeeQuote


class SignedTransaction(Value):
    """Raw bytes and their hash, stored before the first byte leaves."""

    raw: HexData
    transaction_hash: Hash32


class IntentStatus(StrEnum):
    """The settlement state machine; what each state means for capital stands beside it."""

    PLANNED = "planned"  # nothing left; may be dropped freely
    SIGNED = "signed"  # bytes stored, may be out: rebroadcast the same bytes, never re-sign
    BROADCAST = "broadcast"  # handed to a node: wait for a receipt
    CONFIRMED = "confirmed"  # mined, status 1
    REVERTED = "reverted"  # mined, status 0: only gas was spent
    EXPIRED = "expired"  # never signed before its expiry: nothing left, nothing will


TERMINAL_STATUSES = frozenset({IntentStatus.CONFIRMED, IntentStatus.REVERTED, IntentStatus.EXPIRED})


class Intent(Value):
    """A row of the execution journal: one batch digest, one nonce, one effect."""

    batch_digest: Digest
    run_id: Slug
    chain_id: int
    sender: Address
    nonce: int | None = None
    status: IntentStatus
    signed: SignedTransaction | None = None
    created_at: UtcDatetime
    expires_at: UtcDatetime


class Receipt(Value):
    """What the chain did, by its own receipt and logs."""

    batch_digest: Digest
    transaction_hash: Hash32
    chain_id: int
    block_number: int
    block_hash: Hash32
    succeeded: bool
    gas_used: int
    effective_gas_price_wei: Uint256
    deltas: tuple[BalanceDelta, ...]
    mined_at: UtcDatetime

    @property
    def gas_cost_wei(self) -> int:
        return self.gas_used * self.effective_gas_price_wei


def differing_deltas(
    simulated: tuple[BalanceDelta, ...], realised: tuple[BalanceDelta, ...], *, holder: str, tolerance_bps: int
) -> tuple[BalanceDelta, ...]:
    """Realised minus simulated for one holder, where they differ by more than the tolerance of the simulated amount.

    Native money is left out: the node logs its moves in simulations only.
    """
    expected = {delta.token: delta.amount for delta in simulated if delta.holder == holder and delta.token != NATIVE}
    actual = {delta.token: delta.amount for delta in realised if delta.holder == holder and delta.token != NATIVE}
    gaps = {token: actual.get(token, 0) - expected.get(token, 0) for token in expected | actual}
    return tuple(
        BalanceDelta(holder=holder, token=token, amount=gap)
        for token, gap in sorted(gaps.items())
        if abs(gap) * BPS_PER_ONE > abs(expected.get(token, 0)) * tolerance_bps
    )
