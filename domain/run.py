"""One walk through the graph: its request, its stages and the record it leaves."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from domain.digest import digest_of
from domain.plan import Candidate, RebalancePlan
from domain.risk import RiskReport
from domain.transaction import BalanceDelta, Receipt, SimulationReport
from domain.units import Digest, Ratio, Slug, UtcDatetime, Value
from domain.verdict import Approval, Verdict


class Workflow(StrEnum):
    OPTIMIZE = "optimize"
    MITIGATE = "mitigate"
    REBALANCE = "rebalance"


class Trigger(StrEnum):
    OPERATOR = "operator"
    SCHEDULE = "schedule"
    EVENT = "event"
    CHAT = "chat"


class RunRequest(Value):
    """Who wants what. Written once by the caller; everything else in a run is derived."""

    run_id: Slug
    workflow: Workflow
    trigger: Trigger
    requested_by: str = Field(max_length=80)
    requested_at: UtcDatetime


class RunStatus(StrEnum):
    RUNNING = "running"
    WAITING = "waiting"  # for a human's answer
    EXECUTED = "executed"
    DENIED = "denied"  # by a guard
    VETOED = "vetoed"  # by the risk agent
    REFUSED = "refused"  # by the human, or the approval expired
    HELD = "held"  # nothing worth moving, model down, data unusable
    UNCHANGED = "unchanged"  # same inputs as the last run: no model was called
    SHADOWED = "shadowed"  # would have executed; this mode never signs
    FAILED = "failed"  # could not know or could not act

    @property
    def is_final(self) -> bool:
        return self not in {RunStatus.RUNNING, RunStatus.WAITING}


class RiskEvent(Value):
    """Something observe saw that the mitigation workflow must answer."""

    kind: Slug
    """`peg_break`, `utilization`, `share_price_fall`, `paused`."""
    subject: Slug
    """The strategy concerned."""
    observed: str
    limit: str


class AgentName(StrEnum):
    ROUTER = "router"
    OPTIMIZER = "optimizer"
    RISK = "risk"
    REBALANCER = "rebalancer"


class AgentDecision(Value):
    """What an agent chose, out of what it was offered, and why. `reason` is shown escaped and is input to nothing."""

    agent: AgentName
    choice: Slug
    """A candidate id, or an action word of that agent's closed set."""
    excluded: tuple[Slug, ...] = ()
    """Strategies the agent tightened away."""
    reason: str = Field(max_length=1200)
    model: str
    is_by_rule: bool = False
    """True when the model was down and the static rule answered."""


class ModelCall(Value):
    """One call to a model, as recorded. Prompt and reply live in the artifact store under their digests."""

    agent: AgentName
    model: str
    template_digest: Digest
    prompt_digest: Digest
    reply_digest: Digest
    input_tokens: int = Field(ge=0)
    output_tokens: int = Field(ge=0)
    latency_seconds: Ratio
    outcome: Slug
    """`ok`, `malformed`, `timeout`, `unavailable`."""


class ToolCall(Value):
    """One tool run for an agent; arguments are canonical JSON."""

    agent: AgentName
    tool: Slug
    risk_class: Slug
    arguments: str = Field(max_length=4000)
    result_digest: Digest


class RunRecord(Value):
    """The audit trail's unit: everything a reviewer needs to judge one run, bulk by digest."""

    request: RunRequest
    status: RunStatus
    summary: str
    """One sentence from codes and numbers, never from a model."""
    error: Slug | None = None
    """Kind of the error that ended it, such as `stale_or_disputed`."""
    mode: Slug
    code_version: str
    policy_digest: Digest
    catalog_digest: Digest
    snapshot_digest: Digest | None = None
    history_digest: Digest | None = None
    input_digest: Digest | None = None
    block_number: int | None = None
    net_asset_value_usd: Ratio | None = None
    events: tuple[RiskEvent, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    chosen: Slug | None = None
    optimizer_alone: Slug | None = None
    """The candidate that the deterministic optimizer would have taken without any model."""
    decisions: tuple[AgentDecision, ...] = ()
    model_calls: tuple[ModelCall, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    risk_before: RiskReport | None = None
    risk_after: RiskReport | None = None
    plan: RebalancePlan | None = None
    batch_digest: Digest | None = None
    simulation: SimulationReport | None = None
    verdict: Verdict | None = None
    evidence_digest: Digest | None = None
    """Of the artifact with everything that the verdict was reached on."""
    approval: Approval | None = None
    receipt: Receipt | None = None
    surprises: tuple[BalanceDelta, ...] = ()
    """Realised minus simulated beyond the policy's tolerance; empty is what should be."""
    finished_at: UtcDatetime

    def digest(self) -> str:
        return digest_of(self, domain="autofi-run-v1")
