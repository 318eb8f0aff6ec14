"""What each stage of a run hands to the next: one value per graph node, bulk by digest."""

from __future__ import annotations

from pydantic import Field

from domain.journal import JournalEntry
from domain.market import Forecast
from domain.plan import Candidate, RebalancePlan
from domain.portfolio import Portfolio
from domain.risk import RiskReport
from domain.run import AgentDecision, ModelCall, RiskEvent, RunStatus, ToolCall, Workflow
from domain.transaction import BalanceDelta, Receipt, SimulationReport
from domain.units import Digest, Ratio, Slug, Value
from domain.verdict import Economics, Verdict


class AgentTrace(Value):
    """One agent's answer with every call that led to it."""

    decision: AgentDecision
    model_calls: tuple[ModelCall, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()


class Observation(Value):
    """Written by observe. Snapshot and history are artifacts: the checkpoint repeats state at every step."""

    snapshot_digest: Digest
    history_digest: Digest
    block_number: int
    portfolio: Portfolio
    net_asset_value_usd: Ratio | None
    """None where something held has no price: then only ways out are planned."""
    events: tuple[RiskEvent, ...]
    input_digest: Digest
    """Over rounded inputs: equal means that a decision would be the same again."""
    is_unchanged: bool
    workflow: Workflow
    """What this run really is: a risk event that something can be done about turns any run into a mitigation."""


class Selection(Value):
    """Written by optimizer."""

    forecasts: tuple[Forecast, ...]
    candidates: tuple[Candidate, ...]
    chosen: Slug
    optimizer_alone: Slug
    """What the deterministic optimizer would have taken without any model."""
    trace: AgentTrace


class Assessment(Value):
    """Written by risk. In a mitigation it also brings the candidates, since no optimizer ran before it."""

    current: RiskReport
    reports: tuple[RiskReport, ...]
    candidates: tuple[Candidate, ...]
    chosen: Slug | None
    """None is a veto."""
    trace: AgentTrace

    def chosen_candidate(self) -> Candidate | None:
        return next((candidate for candidate in self.candidates if candidate.id == self.chosen), None)


class Proposal(Value):
    """Written by rebalancer. Without a plan, `hold_reason` says why nothing is proposed."""

    plan: RebalancePlan | None
    economics: Economics | None
    hold_reason: str | None = None
    trace: AgentTrace | None = None


class SimulatedBook(Value):
    """Written by simulate: the exact bytes' effect, and the risk of what they would leave."""

    report: SimulationReport
    after: Portfolio
    risk_after: RiskReport


class Judgement(Value):
    """Written by guard: the verdict, and what it was reached on."""

    verdict: Verdict
    evidence_digest: Digest | None
    """Of an artifact; None where the evidence could not even be written down."""


class Settlement(Value):
    """Written by execute: a receipt, a second verdict that denied at the last moment, or shadow's would-have."""

    receipt: Receipt | None = None
    surprises: tuple[BalanceDelta, ...] = ()
    """Realised minus simulated where they differ by more than the policy tolerates; each one is a reason to look."""
    judgement: Judgement | None = None
    """Of the second look; None where a crash left only the receipt."""
    is_shadow: bool = False


class Outcome(Value):
    """Written by record."""

    status: RunStatus
    summary: str
    journal_entry: JournalEntry


class ChatAnswer(Value):
    """Written by router: text with the records it rests on, and at most a proposal that a human may start."""

    text: str = Field(max_length=8000)
    citations: tuple[str, ...] = ()
    proposed_workflow: Workflow | None = None
    trace: AgentTrace | None = None
