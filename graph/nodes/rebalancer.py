"""Rebalancer: tools turn the chosen candidate into moves with fresh quotes and into bytes, the agent confirms or holds.

Mitigations are not asked about: the way out waits for no model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from domain.errors import Infeasible, InvariantBroken, StaleOrDisputed
from domain.market import MarketSnapshot
from domain.plan import Candidate, Move, MoveKind, RebalancePlan
from domain.run import AgentDecision, AgentName, ModelCall, Workflow
from domain.stages import AgentTrace, Proposal
from domain.verdict import Economics
from graph.agent import AgentTask, ask_agent
from graph.agent_tools import PlanAction, rebalancer_toolbox
from graph.briefing import brief_economics, brief_moves, brief_policy, brief_portfolio
from graph.budget import remaining_budget
from graph.dependencies import Dependencies
from graph.plan_terms import fee_cap_wei, fresh_economics, quote_swaps, route_swaps
from graph.recorder import Recorder
from graph.state import State, request_of
from prompts.load import load
from tools.allocation import plan_moves, with_minimum_outs
from tools.transactions.batch import build_plan

HOLD = PlanAction.HOLD.value
NOTHING_TO_MOVE = "every move would be smaller than is worth a transaction"
HELD_BY_AGENT = "the rebalancer agent held the plan"
HELD_BY_RULE = "held by rule: the model did not confirm the plan"


@dataclass(frozen=True, slots=True)
class _Terms:
    """Moves that can be sent, with what their swaps were quoted."""

    moves: tuple[Move, ...]
    quotes: dict[int, int]
    is_exit: bool


def rebalancer(state: State, dependencies: Dependencies) -> State:
    """Write `proposal`. Without a plan it says why, in words of ours."""
    candidate = state["assessment"].chosen_candidate()
    if candidate is None:
        raise InvariantBroken(f"the risk agent chose {state['assessment'].chosen}, which is no candidate")
    if state["observation"].workflow is Workflow.MITIGATE:
        return State(proposal=_propose_exit(state, dependencies, candidate))
    return State(proposal=_propose_rebalance(state, dependencies, candidate))


def _propose_exit(state: State, dependencies: Dependencies, candidate: Candidate) -> Proposal:
    moves = _plan(state, dependencies, candidate)
    try:
        terms = _settle_terms(state, dependencies, moves, is_exit=True)
    except (Infeasible, StaleOrDisputed):
        # Where no venue pays, leaving into the position's own token is still a way out.
        held_back = tuple(move for move in moves if move.kind is not MoveKind.SWAP)
        terms = _Terms(held_back, {}, is_exit=True)
    if not terms.moves:
        return Proposal(plan=None, economics=None, hold_reason=NOTHING_TO_MOVE)
    return Proposal(plan=_build(state, dependencies, candidate, terms), economics=None)


def _propose_rebalance(state: State, dependencies: Dependencies, candidate: Candidate) -> Proposal:
    moves = _plan(state, dependencies, candidate)
    if not moves:
        return Proposal(plan=None, economics=None, hold_reason=NOTHING_TO_MOVE)
    terms = _settle_terms(state, dependencies, moves, is_exit=False)
    economics = fresh_economics(
        candidate,
        terms.moves,
        terms.quotes,
        snapshot=_snapshot(state, dependencies),
        catalog=dependencies.catalog,
        policy=dependencies.policy,
    )
    trace = _ask(state, dependencies, candidate, terms, economics)
    if trace.decision.choice == HOLD:
        reason = HELD_BY_RULE if trace.decision.is_by_rule else HELD_BY_AGENT
        return Proposal(plan=None, economics=economics, hold_reason=reason, trace=trace)
    return Proposal(plan=_build(state, dependencies, candidate, terms), economics=economics, trace=trace)


def _ask(
    state: State, dependencies: Dependencies, candidate: Candidate, terms: _Terms, economics: Economics
) -> AgentTrace:
    recorder, catalog = Recorder(dependencies.artifacts), dependencies.catalog
    task = AgentTask(
        agent=AgentName.REBALANCER,
        template=load("rebalancer"),
        facts={
            "economics": brief_economics(candidate, economics),
            "policy": brief_policy(dependencies.policy),
            "moves": brief_moves(terms.moves, terms.quotes, catalog),
        },
    )
    portfolio = brief_portfolio(state["observation"].portfolio, _snapshot(state, dependencies), catalog)
    answer = ask_agent(
        task,
        toolbox=rebalancer_toolbox(state["assessment"].candidates, portfolio),
        model=dependencies.model,
        budget=remaining_budget(AgentName.REBALANCER, _spent(state)),
        recorder=recorder,
    )
    if answer is None:
        return recorder.trace_rule(AgentName.REBALANCER, choice=HOLD, rule="hold by rule")
    return recorder.trace(
        AgentDecision(
            agent=AgentName.REBALANCER,
            choice=answer.action.value,
            reason=answer.reason,
            model=dependencies.model.name,
        )
    )


def _spent(state: State) -> tuple[ModelCall, ...]:
    return state["selection"].trace.model_calls + state["assessment"].trace.model_calls


def _snapshot(state: State, dependencies: Dependencies) -> MarketSnapshot:
    return dependencies.snapshot(state["observation"].snapshot_digest)


def _plan(state: State, dependencies: Dependencies, candidate: Candidate) -> tuple[Move, ...]:
    return plan_moves(
        candidate,
        portfolio=state["observation"].portfolio,
        snapshot=_snapshot(state, dependencies),
        catalog=dependencies.catalog,
        policy=dependencies.policy,
    )


def _settle_terms(state: State, dependencies: Dependencies, moves: Sequence[Move], *, is_exit: bool) -> _Terms:
    """Route and quote every swap, set what it must pay at least. Raises Infeasible when a quote is below that."""
    routed = route_swaps(
        moves,
        dependencies.market,
        snapshot=_snapshot(state, dependencies),
        catalog=dependencies.catalog,
        policy=dependencies.policy,
        is_exit=is_exit,
    )
    quotes = quote_swaps(routed, dependencies.market)
    floored = with_minimum_outs(
        routed,
        quotes,
        snapshot=_snapshot(state, dependencies),
        catalog=dependencies.catalog,
        policy=dependencies.policy,
        is_exit=is_exit,
    )
    return _Terms(floored, quotes, is_exit)


def _build(state: State, dependencies: Dependencies, candidate: Candidate, terms: _Terms) -> RebalancePlan:
    policy, catalog = dependencies.policy, dependencies.catalog
    return build_plan(
        moves=terms.moves,
        run_id=request_of(state).run_id,
        candidate_id=candidate.id,
        catalog=catalog,
        policy_digest=policy.digest(),
        snapshot_digest=_snapshot(state, dependencies).digest(),
        fee_cap_wei=fee_cap_wei(
            terms.moves,
            snapshot=_snapshot(state, dependencies),
            catalog=catalog,
            policy=policy,
            is_exit=terms.is_exit,
        ),
        expires_at=dependencies.clock.now() + timedelta(seconds=policy.approval.expiry_seconds),
    )
