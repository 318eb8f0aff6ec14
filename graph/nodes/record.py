"""Record: write the run's one record into the journal, whatever the outcome."""

from __future__ import annotations

from domain.stages import Outcome
from graph.breakers import apply_breakers
from graph.dependencies import Dependencies
from graph.report import compose_record
from graph.state import State


def record(state: State, dependencies: Dependencies) -> State:
    """Write `outcome`. Finishing twice returns the entry that is already there."""
    run_record = compose_record(state, dependencies)
    entry = dependencies.runs.finish(run_record)
    apply_breakers(dependencies)
    return State(outcome=Outcome(status=run_record.status, summary=run_record.summary, journal_entry=entry))
