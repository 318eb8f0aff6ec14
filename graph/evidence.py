"""Gather the evidence that guards judge, from ports and measured stages only; no text of any agent enters."""

from __future__ import annotations

from domain.errors import InvariantBroken
from domain.plan import RebalancePlan
from domain.portfolio import Portfolio
from domain.stages import SimulatedBook
from domain.verdict import Approval, Evidence
from graph.breakers import apply_breakers
from graph.dependencies import Dependencies
from graph.state import State
from guards.decode import decode_batch
from tools.protocol_risk import score_protocols
from tools.risk_report import assess_portfolio


def gather_evidence(
    state: State, dependencies: Dependencies, *, book: SimulatedBook, approval: Approval | None
) -> Evidence:
    """Everything is parsed again: a checkpoint can hand back values that were never validated.

    The breakers are judged once more: a run may have waited for hours since it observed.
    """
    observation = state["observation"]
    plan = reparse_plan(state)
    snapshot = dependencies.snapshot(observation.snapshot_digest)
    return Evidence(
        now=dependencies.clock.now(),
        head_block_number=dependencies.market.head()[0],
        catalog=dependencies.catalog,
        policy=dependencies.policy,
        plan=plan,
        batch=decode_batch(plan.envelope, catalog=dependencies.catalog),
        simulation=book.report,
        snapshot=snapshot,
        before=Portfolio.model_validate(observation.portfolio.model_dump()),
        after=Portfolio.model_validate(book.after.model_dump()),
        risk_before=state["assessment"].current if "assessment" in state else None,
        risk_after=book.risk_after,
        scores=score_protocols(
            dependencies.catalog,
            snapshot,
            dependencies.history(observation.history_digest),
            incidents=dependencies.open_incidents(),
        ),
        economics=state["proposal"].economics,
        budget=dependencies.budgets.state(at=dependencies.clock.now(), without=plan.batch_digest()),
        trading_state=apply_breakers(dependencies),
        approval=approval,
    )


def reparse_plan(state: State) -> RebalancePlan:
    plan = state["proposal"].plan
    if plan is None:
        raise InvariantBroken("a stage after the rebalancer was reached without a plan")
    return RebalancePlan.model_validate(plan.model_dump())


def simulate_book(state: State, dependencies: Dependencies) -> SimulatedBook:
    """Run the plan's exact bytes at the head and measure what they would leave. A failing run is evidence, no error."""
    observation = state["observation"]
    simulation = dependencies.simulator.simulate(reparse_plan(state))
    risk_after = assess_portfolio(
        simulation.after,
        snapshot=dependencies.snapshot(observation.snapshot_digest),
        history=dependencies.history(observation.history_digest),
        catalog=dependencies.catalog,
        policy=dependencies.policy,
        subject="after",
    )
    return SimulatedBook(report=simulation.report, after=simulation.after, risk_after=risk_after)
