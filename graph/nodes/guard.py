"""Guard: judge the decoded calldata and the simulated portfolio; the only edge to approve and execute."""

from __future__ import annotations

from graph.dependencies import Dependencies
from graph.evidence import gather_evidence
from graph.judgement import judge
from graph.state import State


def guard(state: State, dependencies: Dependencies) -> State:
    """Write `judgement`."""
    evidence = gather_evidence(state, dependencies, book=state["simulated"], approval=None)
    return State(judgement=judge(evidence, dependencies))
