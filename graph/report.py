"""From the state of a finished run to its record: status, one sentence, and every value a reviewer needs."""

from __future__ import annotations

import re

from domain.errors import (
    AutofiError,
    BroadcastUnknown,
    BudgetExceeded,
    Infeasible,
    InvariantBroken,
    StaleOrDisputed,
    StoreUnavailable,
    Unavailable,
)
from domain.plan import Candidate
from domain.run import AgentDecision, RunRecord, RunStatus, Workflow
from domain.stages import AgentTrace, Judgement
from domain.verdict import Verdict
from graph.dependencies import Dependencies
from graph.state import State, request_of
from guards.render import verdict_sentence

HOLDING_ERRORS = (Unavailable, StaleOrDisputed, Infeasible, BudgetExceeded)
"""Errors after which nothing was done and nothing is wrong with us: the run holds and may be tried again."""


def compose_record(state: State, dependencies: Dependencies, *, error: AutofiError | None = None) -> RunRecord:
    """The whole run as one value; pure but for the clock."""
    observation, proposal = state.get("observation"), state.get("proposal")
    selection, assessment = state.get("selection"), state.get("assessment")
    settlement, simulated = state.get("settlement"), state.get("simulated")
    plan = proposal.plan if proposal else None
    traces, judgement = _traces(state), _last_judgement(state)
    return RunRecord(
        request=request_of(state),
        status=status_of(state, error),
        summary=summarize(state, error),
        error=error_kind(error) if error else None,
        mode=dependencies.mode,
        code_version=dependencies.code_version,
        policy_digest=dependencies.policy.digest(),
        catalog_digest=dependencies.catalog_digest(),
        snapshot_digest=observation.snapshot_digest if observation else None,
        history_digest=observation.history_digest if observation else None,
        input_digest=observation.input_digest if observation else None,
        block_number=observation.block_number if observation else None,
        net_asset_value_usd=observation.net_asset_value_usd if observation else None,
        events=observation.events if observation else (),
        candidates=_candidates(state),
        chosen=assessment.chosen if assessment else (selection.chosen if selection else None),
        optimizer_alone=selection.optimizer_alone if selection else None,
        decisions=tuple(trace.decision for trace in traces),
        model_calls=tuple(call for trace in traces for call in trace.model_calls),
        tool_calls=tuple(call for trace in traces for call in trace.tool_calls),
        risk_before=assessment.current if assessment else None,
        risk_after=simulated.risk_after if simulated else None,
        plan=plan,
        batch_digest=plan.batch_digest() if plan else None,
        simulation=simulated.report if simulated else None,
        verdict=judgement.verdict if judgement else None,
        evidence_digest=judgement.evidence_digest if judgement else None,
        approval=dependencies.approvals.find(plan.batch_digest()) if plan else None,
        receipt=settlement.receipt if settlement else None,
        surprises=settlement.surprises if settlement else (),
        finished_at=dependencies.clock.now(),
    )


def _traces(state: State) -> tuple[AgentTrace, ...]:
    stages = (state.get("selection"), state.get("assessment"), state.get("proposal"))
    return tuple(stage.trace for stage in stages if stage is not None and stage.trace is not None)


def _last_decision(state: State) -> AgentDecision | None:
    traces = _traces(state)
    return traces[-1].decision if traces else None


def _candidates(state: State) -> tuple[Candidate, ...]:
    assessment, selection = state.get("assessment"), state.get("selection")
    if assessment is not None:
        return assessment.candidates
    return selection.candidates if selection is not None else ()


def _last_judgement(state: State) -> Judgement | None:
    settlement = state.get("settlement")
    if settlement is not None and settlement.judgement is not None:
        return settlement.judgement
    return state.get("judgement")


def _last_verdict(state: State) -> Verdict | None:
    judgement = _last_judgement(state)
    return None if judgement is None else judgement.verdict


def status_of(state: State, error: AutofiError | None = None) -> RunStatus:
    """Where the run ended, read backwards from the last stage that wrote."""
    if error is not None:
        holds = isinstance(error, HOLDING_ERRORS) and not must_halt(error)
        return RunStatus.HELD if holds else RunStatus.FAILED
    settlement = state.get("settlement")
    if settlement is not None:
        if settlement.receipt is not None:
            return RunStatus.EXECUTED if settlement.receipt.succeeded else RunStatus.FAILED
        return RunStatus.SHADOWED if settlement.is_shadow else RunStatus.DENIED
    return _status_before_execution(state)


def _status_before_execution(state: State) -> RunStatus:
    verdict, assessment = _last_verdict(state), state.get("assessment")
    if verdict is not None:
        return RunStatus.REFUSED if verdict.is_pass else RunStatus.DENIED
    if state.get("proposal") is not None:
        return RunStatus.HELD
    if assessment is not None:
        return RunStatus.VETOED if assessment.chosen is None else RunStatus.HELD
    if state.get("selection") is None and state["observation"].is_unchanged:
        return RunStatus.UNCHANGED
    return RunStatus.HELD


def error_kind(error: AutofiError) -> str:
    """The class as a code: StaleOrDisputed is `stale_or_disputed`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(error).__name__).lower()


def summarize(state: State, error: AutofiError | None = None) -> str:
    """One sentence from codes and numbers; never from a model."""
    if error is not None:
        return f"{type(error).__name__}: {error}"
    status = status_of(state)
    settlement, verdict = state.get("settlement"), _last_verdict(state)
    if settlement is not None and settlement.receipt is not None:
        receipt = settlement.receipt
        return f"{status} in block {receipt.block_number} for {receipt.gas_used} gas"
    if verdict is not None and not verdict.is_pass:
        return verdict_sentence(verdict)
    return _summary_before_guard(state, status)


def _summary_before_guard(state: State, status: RunStatus) -> str:
    if status is RunStatus.UNCHANGED:
        return "inputs equal the last run's: no model was called"
    if (last := _last_decision(state)) is not None and last.is_by_rule:
        return last.reason  # a static sentence of ours: no model spoke
    if status is RunStatus.REFUSED:
        return "the approval was refused or expired"
    if status is RunStatus.VETOED:
        return "the risk agent vetoed every candidate"
    if status is RunStatus.SHADOWED:
        return "every guard passed; shadow mode never signs"
    proposal = state.get("proposal")
    if proposal is not None and proposal.hold_reason:
        return proposal.hold_reason
    if state["observation"].workflow is Workflow.MITIGATE and not state["observation"].events:
        return "nothing to mitigate"
    return "nothing worth moving"


def is_resumable(error: AutofiError) -> bool:
    """After these the money's whereabouts are open: the run stays open until it is resumed."""
    return isinstance(error, BroadcastUnknown)


def must_halt(error: AutofiError) -> bool:
    """After these trading stops until an operator resumes it."""
    return isinstance(error, (InvariantBroken, StoreUnavailable))
