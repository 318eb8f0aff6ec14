"""Drive one run from request to record, or back to where it stopped, and turn every error into a recorded outcome."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Final, cast

from domain.digest import canonical_json
from domain.errors import AutofiError, UnknownSubject
from domain.run import RunRecord, RunRequest, RunStatus
from domain.stages import ChatAnswer
from graph.breakers import apply_breakers, halting_trip
from graph.dependencies import Dependencies
from graph.report import compose_record, error_kind, is_resumable, must_halt
from graph.state import Entry, State
from graph.workflow import RECURSION_LIMIT

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig
    from langgraph.graph.state import CompiledStateGraph

DURABILITY: Final = "sync"  # the default, async, can look finished after a kill when it is not


class Conductor:
    """Runs one compiled graph over its dependencies, one walk at a time where `take_turn` sees to it."""

    def __init__(
        self,
        graph: CompiledStateGraph[State, None, Entry, State],
        dependencies: Dependencies,
        *,
        take_turn: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._graph = graph
        self._dependencies = dependencies
        self._take_turn = take_turn

    def start(self, request: RunRequest, *, on_stage: Callable[[str, State], None] | None = None) -> RunStatus:
        """Walk a run as far as it goes: to its record, or to a human. Started again, it goes on where it stands."""
        self._dependencies.runs.start(request)
        return self.resume(request.run_id, on_stage=on_stage)

    def resume(self, run_id: str, *, on_stage: Callable[[str, State], None] | None = None) -> RunStatus:
        """Continue a run after a crash or an answer; a finished run answers with its status."""
        with self._take_turn():
            return self._continue(run_id, on_stage)

    def ask(self, request: RunRequest, question: str) -> ChatAnswer:
        """Answer a chat question and journal the answer; nothing is executed."""
        final = self._graph.invoke(State(request=request, question=question), _config(request.run_id))
        answer = cast("ChatAnswer", final["answer"])
        asked = {"request": request, "question_digest": self._dependencies.artifacts.put(question.encode())}
        body = canonical_json({**asked, "answer": answer})
        at = self._dependencies.clock.now()
        self._dependencies.journal.append(kind="chat", subject=request.run_id, body=body, at=at)
        return answer

    def _continue(self, run_id: str, on_stage: Callable[[str, State], None] | None) -> RunStatus:
        record = self._dependencies.runs.record(run_id)
        if record is not None:
            return record.status
        if not self._graph.get_state(_config(run_id)).values:
            return self._restart(run_id, on_stage)
        return self._walk(None, run_id, on_stage)

    def _restart(self, run_id: str, on_stage: Callable[[str, State], None] | None) -> RunStatus:
        """A crash before the first checkpoint leaves only the admission row: walk from the start."""
        request = self._dependencies.runs.request(run_id)
        if request is None:
            raise UnknownSubject(f"run {run_id!r} was never started here; `autofi runs` lists the runs")
        return self._walk(State(request=request), run_id, on_stage)

    def _walk(self, entry: State | None, run_id: str, on_stage: Callable[[str, State], None] | None) -> RunStatus:
        try:
            for stage, update in self._stages(entry, run_id):
                if on_stage is not None:
                    on_stage(stage, update)
        except AutofiError as error:
            return self._close(run_id, error)
        return self._standing(run_id)

    def _stages(self, entry: State | None, run_id: str) -> Iterator[tuple[str, State]]:
        updates = self._graph.stream(entry, _config(run_id), stream_mode="updates", durability=DURABILITY)
        for update in updates:
            for stage, written in update.items():
                if not stage.startswith("__"):
                    yield stage, cast("State", written)

    def _standing(self, run_id: str) -> RunStatus:
        record = self._dependencies.runs.record(run_id)
        if record is not None:
            return record.status
        self._dependencies.runs.update(
            run_id, RunStatus.WAITING, summary="waits for an approval", at=self._dependencies.clock.now()
        )
        return RunStatus.WAITING

    def _close(self, run_id: str, error: AutofiError) -> RunStatus:
        """Record what went wrong. Halt where our own truth is in doubt; stay open where money may be on its way."""
        dependencies, now = self._dependencies, self._dependencies.clock.now()
        if must_halt(error):
            trip = halting_trip(error_kind(error), run_id=run_id, problem=str(error))
            dependencies.trading_state.tighten([trip], at=now)
        if (finished := dependencies.runs.record(run_id)) is not None:
            return finished.status
        if is_resumable(error):
            dependencies.runs.update(run_id, RunStatus.RUNNING, summary=str(error), at=now)
            return RunStatus.RUNNING
        record = self._compose(run_id, error)
        dependencies.runs.finish(record)
        apply_breakers(dependencies)
        return record.status

    def _compose(self, run_id: str, error: AutofiError) -> RunRecord:
        state = cast("State", self._graph.get_state(_config(run_id)).values)
        return compose_record(state, self._dependencies, error=error)


def _config(run_id: str) -> RunnableConfig:
    return {"configurable": {"thread_id": run_id}, "recursion_limit": RECURSION_LIMIT}
