"""Risk: tools measure the current portfolio and every candidate, the agent accepts, takes a safer one or vetoes.

In a mitigation it chooses among the computed ways out instead; doing nothing is not offered to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from domain.errors import InvariantBroken
from domain.plan import Candidate, CandidateKind
from domain.risk import RiskReport
from domain.run import AgentDecision, AgentName, Workflow
from domain.stages import AgentTrace, Assessment
from graph.agent import AgentTask, ask_agent
from graph.agent_tools import ChooseMitigation, Judge, JudgeAction, Replays, mitigation_toolbox, risk_toolbox
from graph.briefing import Fact, brief_events, brief_limits, brief_risk, net_gain_usd
from graph.budget import remaining_budget
from graph.dependencies import Dependencies
from graph.recorder import RULE, Recorder
from graph.state import State
from prompts.load import load
from tools.mitigation import default_mitigation, mitigation_candidates
from tools.risk_report import assess_portfolio, assess_weights
from tools.shocks.stress_replay import replay_candidate

CURRENT = "current"
HOLD = "hold"


@dataclass(frozen=True, slots=True)
class _Bench:
    """Candidates with the measured risk of each and of the current portfolio."""

    dependencies: Dependencies
    candidates: tuple[Candidate, ...]
    reports: Mapping[str, RiskReport]

    def facts(self) -> Fact:
        """The measures of everything that can be chosen, beside the current portfolio's."""
        policy = self.dependencies.policy
        measured: Fact = {CURRENT: brief_risk(self.reports[CURRENT], policy)}
        for candidate in self.candidates:
            if candidate.kind is not CandidateKind.HOLD:
                price = {"net_usd": round(net_gain_usd(candidate), 2), "cost_usd": round(candidate.cost_usd, 2)}
                measured[candidate.id] = {**price, **brief_risk(self.reports[candidate.id], policy)}
        return measured

    def conclude(self, chosen: str | None, trace: AgentTrace) -> Assessment:
        return Assessment(
            current=self.reports[CURRENT],
            reports=tuple(self.reports[candidate.id] for candidate in self.candidates),
            candidates=self.candidates,
            chosen=chosen,
            trace=trace,
        )


def risk(state: State, dependencies: Dependencies) -> State:
    """Write `assessment`. A model that is down means hold, or the policy's default mitigation."""
    recorder = Recorder(dependencies.artifacts)
    if state["observation"].workflow is Workflow.MITIGATE:
        return State(assessment=_mitigate(state, dependencies, recorder))
    return State(assessment=_judge(state, dependencies, recorder))


def _judge(state: State, dependencies: Dependencies, recorder: Recorder) -> Assessment:
    selection = state["selection"]
    bench = _measure(state, dependencies, selection.candidates)
    chosen = next((candidate for candidate in bench.candidates if candidate.id == selection.chosen), None)
    if chosen is None or chosen.kind is CandidateKind.HOLD:
        raise InvariantBroken(f"the optimizer chose {selection.chosen}, which is no candidate to judge")
    task = AgentTask(
        agent=AgentName.RISK,
        template=load("risk"),
        facts={"chosen": chosen.id, "limits": brief_limits(dependencies.policy), "candidates": bench.facts()},
    )
    answer = ask_agent(
        task,
        toolbox=risk_toolbox(
            chosen,
            bench.candidates,
            bench.reports,
            dependencies.policy,
            _replays(state, dependencies, bench.candidates),
        ),
        model=dependencies.model,
        budget=remaining_budget(AgentName.RISK, selection.trace.model_calls),
        recorder=recorder,
    )
    if answer is None:
        return bench.conclude(HOLD, recorder.trace_rule(AgentName.RISK, choice=HOLD, rule="hold by rule"))
    taken = None if answer.action is JudgeAction.VETO else answer.candidate_id
    return bench.conclude(taken, recorder.trace(_decide(answer, taken or JudgeAction.VETO.value, dependencies)))


def _mitigate(state: State, dependencies: Dependencies, recorder: Recorder) -> Assessment:
    observation, policy = state["observation"], dependencies.policy
    offered = mitigation_candidates(
        observation.events,
        portfolio=observation.portfolio,
        snapshot=dependencies.snapshot(observation.snapshot_digest),
        catalog=dependencies.catalog,
        policy=policy,
    )
    bench = _measure(state, dependencies, offered)
    ways_out = tuple(candidate for candidate in offered if candidate.kind is not CandidateKind.HOLD)
    if not ways_out:
        return bench.conclude(HOLD, recorder.trace(_nothing_can_leave()))
    default = default_mitigation(ways_out, policy).id
    task = AgentTask(
        agent=AgentName.RISK,
        template=load("mitigation"),
        facts={"events": brief_events(observation.events), "default": default, "candidates": bench.facts()},
    )
    answer = ask_agent(
        task,
        toolbox=mitigation_toolbox(ways_out, bench.reports, policy),
        model=dependencies.model,
        budget=remaining_budget(AgentName.RISK),
        recorder=recorder,
    )
    if answer is None:
        return bench.conclude(default, recorder.trace_rule(AgentName.RISK, choice=default, rule="policy's default"))
    return bench.conclude(answer.candidate_id, recorder.trace(_decide(answer, answer.candidate_id, dependencies)))


def _measure(state: State, dependencies: Dependencies, candidates: Sequence[Candidate]) -> _Bench:
    observation, catalog, policy = state["observation"], dependencies.catalog, dependencies.policy
    portfolio = observation.portfolio
    snapshot = dependencies.snapshot(observation.snapshot_digest)
    history = dependencies.history(observation.history_digest)
    reports = {
        candidate.id: assess_weights(
            candidate, portfolio=portfolio, snapshot=snapshot, history=history, catalog=catalog, policy=policy
        )
        for candidate in candidates
    }
    reports[CURRENT] = assess_portfolio(
        portfolio, snapshot=snapshot, history=history, catalog=catalog, policy=policy, subject=CURRENT
    )
    return _Bench(dependencies, tuple(candidates), reports)


def _replays(state: State, dependencies: Dependencies, candidates: Sequence[Candidate]) -> Replays:
    """Of every candidate, computed only when the agent asks."""
    observation = state["observation"]
    replay = partial(
        replay_candidate,
        portfolio=observation.portfolio,
        snapshot=dependencies.snapshot(observation.snapshot_digest),
        catalog=dependencies.catalog,
        policy=dependencies.policy,
        facts=dependencies.risk_facts,
    )
    return {candidate.id: partial(replay, candidate) for candidate in candidates}


def _decide(answer: Judge | ChooseMitigation, choice: str, dependencies: Dependencies) -> AgentDecision:
    return AgentDecision(agent=AgentName.RISK, choice=choice, reason=answer.reason, model=dependencies.model.name)


def _nothing_can_leave() -> AgentDecision:
    """No model is asked where there is nothing to choose."""
    reason = "no position concerned can leave now: paused or without withdrawable liquidity"
    return AgentDecision(agent=AgentName.RISK, choice=HOLD, reason=reason, model=RULE, is_by_rule=True)
