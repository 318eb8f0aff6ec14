"""Simulate: run the exact bytes on the node and measure the portfolio they would leave."""

from __future__ import annotations

from graph.dependencies import Dependencies
from graph.evidence import simulate_book
from graph.state import State


def simulate(state: State, dependencies: Dependencies) -> State:
    """Write `simulated`."""
    return State(simulated=simulate_book(state, dependencies))
