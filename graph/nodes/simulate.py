"""Simulate: run the exact bytes on the node and measure the portfolio they would leave."""

from __future__ import annotations

from domain.errors import InvariantBroken
from domain.stages import SimulatedBook
from graph.dependencies import Dependencies
from graph.state import State
from tools.risk_report import assess_portfolio


def simulate(state: State, dependencies: Dependencies) -> State:
    """Write `simulated`. A failing simulation is evidence for the guards, not an error."""
    observation, plan = state["observation"], state["proposal"].plan
    if plan is None:
        raise InvariantBroken("simulate was reached without a plan")
    simulation = dependencies.simulator.simulate(plan)
    risk_after = assess_portfolio(
        simulation.after,
        snapshot=dependencies.snapshot(observation.snapshot_digest),
        history=dependencies.history(observation.history_digest),
        catalog=dependencies.catalog,
        limits=dependencies.policy.risk,
        subject="after",
    )
    return State(simulated=SimulatedBook(report=simulation.report, after=simulation.after, risk_after=risk_after))
