"""From weights to calldata: candidates, moves and the plan whose digest is approved, signed and recorded."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from domain.digest import digest_of
from domain.transaction import UnsignedCall
from domain.units import Address, Bps, Digest, Ratio, Slug, Uint256, UtcDatetime, Value


class CandidateKind(StrEnum):
    HOLD = "hold"
    OPTIMAL = "optimal"
    CAUTIOUS = "cautious"
    DIVERSIFIED = "diversified"
    REDUCE = "reduce"
    EXIT = "exit"
    EXIT_TO_RESERVE = "exit_to_reserve"


class Weight(Value):
    """Target share of net asset value in one strategy; what is left over stays in the reserve token."""

    strategy: Slug
    weight_bps: Bps


class Certificate(Value):
    """Proof that a solver's answer is the best one: no allowed answer exceeds `bound`, by weak duality."""

    solver: Slug
    """The path that ran. A decision solves cold; `-warm` ends the path of an answer found from the one before it, as
    when trades not worth their gas are taken back. The same arguments give the same bytes."""
    objective: Ratio
    bound: Ratio
    gap: Ratio
    """`bound` minus `objective`, floored at 0."""
    violation: Ratio
    """The most by which the answer misses any limit."""


class Candidate(Value):
    """A target computed by tools; agents name it by id and never edit it. Money in USD, rates annual fractions."""

    id: Slug
    kind: CandidateKind
    weights: tuple[Weight, ...]
    exits: tuple[Slug, ...] = ()
    """Strategies closed by a mitigation; empty for optimizations."""
    to_reserve: bool = False
    """Whether exited tokens are swapped into the reserve token."""
    expected_apr: Ratio
    lower_apr: Ratio
    turnover: Ratio
    cost_usd: Ratio
    gain_usd: Ratio
    """Over the policy's horizon against holding, before costs."""
    lower_gain_usd: Ratio
    """The same at the forecast's lower bound and after our own impact on the rate."""
    break_even_days: Ratio | None
    """None when the gain never pays the cost."""
    binding: tuple[str, ...] = ()
    """Names of the constraints that bind, largest shadow price first."""
    shadow_prices: tuple[Ratio, ...] = ()
    """Of `binding` in its order: gain over the horizon per unit of the limit, as shares of net asset value."""
    certificate: Certificate | None = None
    """Of the optimization that chose the weights; None where none was run."""


class MoveKind(StrEnum):
    SUPPLY = "supply"  # Aave v3
    WITHDRAW = "withdraw"  # Aave v3
    DEPOSIT = "deposit"  # ERC-4626
    REDEEM = "redeem"  # ERC-4626
    SWAP = "swap"  # Uniswap v3


class Move(Value):
    """One step. `amount_in` is in base units of token_in; a whole exit withdraws everything, see `is_whole`."""

    kind: MoveKind
    token_in: Slug
    token_out: Slug
    amount_in: Uint256
    minimum_out: Uint256 = 0
    """Required above zero for swaps; base units of token_out."""
    strategy: Slug | None = None
    venue: Slug | None = None
    shares: Uint256 | None = None
    """Receipt tokens to redeem (ERC-4626 only)."""
    is_whole: bool = False
    """Withdraw the whole position, interest that accrues until execution included."""


class RebalancePlan(Value):
    """Moves and the exact calls that carry them out, under the policy and snapshot that justified them."""

    run_id: Slug
    chain_id: int = Field(gt=0)
    account: Address
    candidate: Slug
    moves: tuple[Move, ...]
    calls: tuple[UnsignedCall, ...] = Field(max_length=64)
    """Inner calls of the account, in order."""
    envelope: UnsignedCall
    """The one call that the operator sends to the account: Safe.execTransaction around the inner calls."""
    minimum_outs: tuple[Uint256, ...]
    """Of the swaps, in order; an approval holds for at least these."""
    fee_cap_wei: Uint256
    """Most that the whole transaction may cost in gas."""
    policy_digest: Digest
    snapshot_digest: Digest
    expires_at: UtcDatetime

    def batch_digest(self) -> str:
        """The identity that guards judge, humans approve and the signer recomputes from the bytes it gets."""
        return digest_of(
            {
                "account": self.account,
                "calls": [call.model_dump(mode="json") for call in self.calls],
                "chain_id": str(self.chain_id),
                "envelope": self.envelope.model_dump(mode="json"),
                "expires_at": self.expires_at.isoformat(),
                "fee_cap_wei": str(self.fee_cap_wei),
                "minimum_outs": [str(amount) for amount in self.minimum_outs],
                "policy_digest": self.policy_digest,
                "run_id": self.run_id,
                "snapshot_digest": self.snapshot_digest,
            },
            domain="autofi-batch-v1",
        )
