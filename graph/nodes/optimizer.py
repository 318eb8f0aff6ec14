"""Optimizer: tools compute forecasts and candidates, the agent chooses one or holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from domain.market import Forecast, MarketHistory, MarketSnapshot
from domain.plan import Candidate, CandidateKind
from domain.policy import Policy
from domain.portfolio import Portfolio
from domain.run import AgentDecision, AgentName
from domain.stages import Selection
from domain.units import divide
from graph.agent import AgentTask, ask_agent
from graph.agent_tools import ChooseCandidate, optimizer_toolbox
from graph.briefing import brief_candidate, brief_policy, brief_portfolio, brief_strategies
from graph.budget import remaining_budget
from graph.dependencies import Dependencies
from graph.recorder import RULE, Recorder
from graph.state import State
from prompts.load import load
from tools.candidates import deterministic_choice, propose_candidates
from tools.forecasting.forecast import forecast_aprs

HOLD = "hold"


@dataclass(frozen=True, slots=True)
class _Desk:
    """What the tools work on in this run."""

    dependencies: Dependencies
    policy: Policy
    portfolio: Portfolio
    snapshot: MarketSnapshot
    history: MarketHistory
    forecasts: tuple[Forecast, ...]

    def propose(self, excluded: Sequence[str] = ()) -> tuple[Candidate, ...]:
        """Protocols with an open incident are not entered: the guards would deny it."""
        catalog, troubled = self.dependencies.catalog, self.dependencies.open_incidents()
        closed = {strategy.id for strategy in catalog.strategies if strategy.protocol in troubled}
        return propose_candidates(
            portfolio=self.portfolio,
            snapshot=self.snapshot,
            history=self.history,
            forecasts=self.forecasts,
            catalog=catalog,
            policy=self.policy,
            excluded=frozenset(closed.union(excluded)),
        )


def optimizer(state: State, dependencies: Dependencies) -> State:
    """Write `selection`. Nothing worth moving costs no model call; a model that is down means hold."""
    desk = _open_desk(state, dependencies)
    candidates = desk.propose()
    alone = deterministic_choice(candidates, dependencies.policy)
    recorder = Recorder(dependencies.artifacts)
    if alone.kind is CandidateKind.HOLD:
        return State(selection=_hold_unasked(desk, candidates, recorder))
    answer = _ask(desk, candidates, recorder)
    if answer is None:
        trace = recorder.trace_rule(AgentName.OPTIMIZER, choice=HOLD, rule="hold by rule")
        chosen = HOLD
    else:
        trace = recorder.trace(_decide(answer, dependencies))
        candidates, chosen = _tighten(desk, candidates, answer)
    return State(
        selection=Selection(
            forecasts=desk.forecasts, candidates=candidates, chosen=chosen, optimizer_alone=alone.id, trace=trace
        )
    )


def _open_desk(state: State, dependencies: Dependencies) -> _Desk:
    observation = state["observation"]
    history = dependencies.history(observation.history_digest)
    return _Desk(
        dependencies=dependencies,
        policy=_within_the_day(dependencies, observation.net_asset_value_usd),
        portfolio=observation.portfolio,
        snapshot=dependencies.snapshot(observation.snapshot_digest),
        history=history,
        forecasts=forecast_aprs(
            history, horizon_days=dependencies.policy.economics.horizon_days, catalog=dependencies.catalog
        ),
    )


def _within_the_day(dependencies: Dependencies, net_asset_value_usd: float | None) -> Policy:
    """The policy with this run's turnover cut to what the day has left: what must be denied is not proposed."""
    policy, used = dependencies.policy, dependencies.budgets.state(at=dependencies.clock.now()).turnover_day_usd
    exposure = policy.exposure
    if isinstance(exposure.max_day_turnover_share, str) or not net_asset_value_usd:
        return policy
    left = max(exposure.max_day_turnover_share - divide(used, Decimal(str(net_asset_value_usd))), Decimal(0))
    run = exposure.max_run_turnover_share
    tighter = left if isinstance(run, str) else min(run, left)
    return policy.model_copy(update={"exposure": exposure.model_copy(update={"max_run_turnover_share": tighter})})


def _hold_unasked(desk: _Desk, candidates: tuple[Candidate, ...], recorder: Recorder) -> Selection:
    """Not `is_by_rule`: the model was not down, and the same inputs would hold again."""
    reason = "no candidate's gain at the forecast's lower bound pays its costs as the policy demands"
    decision = AgentDecision(agent=AgentName.OPTIMIZER, choice=HOLD, reason=reason, model=RULE)
    return Selection(
        forecasts=desk.forecasts,
        candidates=candidates,
        chosen=HOLD,
        optimizer_alone=HOLD,
        trace=recorder.trace(decision),
    )


def _ask(desk: _Desk, candidates: tuple[Candidate, ...], recorder: Recorder) -> ChooseCandidate | None:
    catalog, policy = desk.dependencies.catalog, desk.dependencies.policy
    portfolio = brief_portfolio(desk.portfolio, desk.snapshot, catalog)
    task = AgentTask(
        agent=AgentName.OPTIMIZER,
        template=load("optimizer"),
        facts={
            "portfolio": portfolio,
            "policy": brief_policy(policy),
            "strategies": brief_strategies(desk.forecasts, desk.snapshot, catalog),
            "candidates": [brief_candidate(candidate) for candidate in candidates],
        },
    )
    return ask_agent(
        task,
        toolbox=optimizer_toolbox(candidates, desk.forecasts, portfolio),
        model=desk.dependencies.model,
        budget=remaining_budget(AgentName.OPTIMIZER),
        recorder=recorder,
    )


def _decide(answer: ChooseCandidate, dependencies: Dependencies) -> AgentDecision:
    return AgentDecision(
        agent=AgentName.OPTIMIZER,
        choice=answer.candidate_id,
        excluded=answer.excluded_strategies,
        reason=answer.reason,
        model=dependencies.model.name,
    )


def _tighten(
    desk: _Desk, candidates: tuple[Candidate, ...], answer: ChooseCandidate
) -> tuple[tuple[Candidate, ...], str]:
    """With strategies excluded, the same kind of candidate is computed again without them, or nothing moves."""
    if not answer.excluded_strategies:
        return candidates, answer.candidate_id
    kind = next(candidate.kind for candidate in candidates if candidate.id == answer.candidate_id)
    tightened = desk.propose(answer.excluded_strategies)
    return tightened, next((candidate.id for candidate in tightened if candidate.kind is kind), HOLD)
