"""What guards see (Evidence) and say (Verdict), and the certificate a signer needs."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from domain.digest import digest_of
from domain.market import Catalog, MarketSnapshot
from domain.plan import RebalancePlan
from domain.policy import Policy
from domain.portfolio import Portfolio
from domain.risk import ProtocolScore, RiskReport
from domain.transaction import DecodedBatch, SimulationReport
from domain.units import Address, Bps, Digest, Ratio, Slug, Spent, Usd, UtcDatetime, Value

Cost = Annotated[Ratio, Field(ge=0)]


class TradingState(StrEnum):
    """ACTIVE: all; REDUCING: only what lowers risk; HALTED: only exits to the reserve or their own token."""

    ACTIVE = "active"
    REDUCING = "reducing"
    HALTED = "halted"


class BudgetState(Value):
    """What rolling windows have used, in-flight counted as spent. Unreadable ledger: is_intact False."""

    is_intact: bool
    value_day_usd: Spent
    value_week_usd: Spent
    loss_day_usd: Spent
    loss_week_usd: Spent
    gas_day_usd: Spent
    slippage_day_usd: Spent
    slippage_week_usd: Spent
    turnover_day_usd: Spent
    runs_hour_count: int = Field(ge=0)


class ApprovalStatus(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    USED = "used"


class Approval(Value):
    """One human's answer to one digest. It consents to this digest and nothing else, once, until it expires."""

    batch_digest: Digest
    run_id: Slug
    status: ApprovalStatus
    requested_by: str
    answered_by: str | None = None
    role: str | None = None
    requested_at: UtcDatetime
    expires_at: UtcDatetime
    summary: str = ""
    """Rendered from decoded calldata and measured numbers, never from model text."""


class Economics(Value):
    """Tool results the certificate vouches for, in USD over the policy's horizon."""

    lower_gain_usd: Ratio | None
    cost_usd: Cost | None
    break_even_days: Cost | None


class Evidence(Value):
    """Everything guards may know. There is no constructor from model text."""

    now: UtcDatetime
    head_block_number: int
    catalog: Catalog
    policy: Policy
    plan: RebalancePlan
    """Judged for digest, expiry and fee cap only; what it does is read from `batch` and `simulation`."""
    batch: DecodedBatch
    simulation: SimulationReport
    snapshot: MarketSnapshot
    before: Portfolio
    after: Portfolio
    """Read from the chain state that the simulation left, not computed from the plan."""
    risk_before: RiskReport | None
    risk_after: RiskReport | None
    scores: tuple[ProtocolScore, ...]
    economics: Economics | None
    budget: BudgetState
    trading_state: TradingState
    approval: Approval | None


class Denial(Value):
    """Why not: a code, what it is about, the limit and what was observed."""

    code: Slug
    subject: str = Field(max_length=120)
    limit: str = Field(max_length=120)
    observed: str = Field(max_length=120)
    unit: str = Field(max_length=24)
    feasible_bps: Bps | None = None
    """The largest part of this batch that this limit would let pass; None where no part of it would."""


class Finding(Value):
    """One row of the verdict table: measured against limit."""

    guard: Slug
    code: Slug
    subject: str = Field(max_length=120)
    limit: str = Field(max_length=120)
    observed: str = Field(max_length=120)
    unit: str = Field(max_length=24)
    headroom: str | None = None
    passed: bool
    waived: bool = False
    """True where an exit passes a limit that would deny anything else."""


class Verdict(Value):
    """The guards' whole answer. `needs_approval` is the only thing a human can still mend."""

    batch_digest: Digest
    policy_digest: Digest
    is_exit: bool
    findings: tuple[Finding, ...]
    denials: tuple[Denial, ...]
    needs_approval: bool
    feasible_usd: Usd | None = None
    """Of a denied batch: the most of its value that every limit would let pass; None where nothing would."""

    @property
    def is_pass(self) -> bool:
        return not self.denials

    def digest(self) -> str:
        return digest_of(self, domain="autofi-verdict-v1")


class Certificate(Value):
    """Names exactly one batch, simulation and verdict; single use; the signer asks for nothing less."""

    batch_digest: Digest
    simulation_digest: Digest
    verdict_digest: Digest
    account: Address
    expires_at: UtcDatetime

    def digest(self) -> str:
        return digest_of(self, domain="autofi-certificate-v1")
