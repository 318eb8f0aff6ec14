"""Work behind the requests: runs one at a time, chats a few at a time, both in a bounded queue."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Final

from app.clock import SystemClock
from app.wiring import Application, new_request
from domain.errors import AutofiError, ConfigurationInvalid, InvariantBroken, Unavailable, UnknownSubject
from domain.run import RunRequest, RunStatus, Trigger, Workflow
from graph.breakers import halting_trip
from graph.report import must_halt
from graph.state import State
from memory.runs import RunSummary

logger = logging.getLogger(__name__)

MAX_WAITING_RUNS: Final = 16
KEPT_RUNS: Final = 200
KEY_LETTERS: Final = 24


class BoundedPool:
    """A few threads and a short queue; more than that is refused instead of piled up."""

    def __init__(self, *, workers: int, limit: int, name: str) -> None:
        self._threads = ThreadPoolExecutor(max_workers=workers, thread_name_prefix=f"autofi-{name}")
        self._free = threading.BoundedSemaphore(limit)
        self._limit, self._name = limit, name

    def submit(self, job: Callable[[], None], *, prepare: Callable[[], None] = lambda: None) -> None:
        """`prepare` runs here and now, once there is room for the job. Raises Unavailable when there is none."""
        if not self._free.acquire(blocking=False):
            raise Unavailable(f"{self._limit} {self._name} are under way, which is the limit; try again later")
        try:
            prepare()
            self._threads.submit(job).add_done_callback(self._release)
        except BaseException:
            self._free.release()
            raise

    def _release(self, _: Future[None]) -> None:
        self._free.release()

    def close(self) -> None:
        """What runs is finished; what waits is dropped."""
        self._threads.shutdown(wait=True, cancel_futures=True)


class RunQueue:
    """Starts and resumes runs in the background, and remembers the stages that watchers ask for."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._pool = BoundedPool(workers=1, limit=MAX_WAITING_RUNS, name="runs")
        self._lock = threading.RLock()
        self._stages: OrderedDict[str, list[str]] = OrderedDict()
        self._busy: Counter[str] = Counter()

    def start(self, workflow: Workflow, *, key: str | None) -> RunSummary:
        """Store the request, then queue it. The same key gives the same run, also after a restart."""
        application = self._application
        request = new_request(application, workflow, trigger=Trigger.OPERATOR)
        if key is not None:
            request = request.model_copy(update={"run_id": run_id_of(key)})
        with self._lock:
            known = application.stores.runs.find(request.run_id)
            if known is not None:
                return _same_request(known, workflow)
            conductor = application.conductor
            self._submit(
                request.run_id,
                lambda: conductor.resume(request.run_id, on_stage=self._listener(request.run_id)),
                prepare=lambda: self._admit(request),
            )
        return _same_request(self.standing(request.run_id), workflow)

    def _admit(self, request: RunRequest) -> None:
        """Another server of this home may have been faster with the same key: then its request stands."""
        try:
            self._application.dependencies.runs.start(request)
        except InvariantBroken:
            if self._application.stores.runs.find(request.run_id) is None:
                raise

    def resume(self, run_id: str) -> RunSummary:
        """Harmless for a run that is under way or waits: runs go one at a time, and none does anything twice."""
        standing = self.standing(run_id)
        if not standing.status.is_final:
            conductor = self._application.conductor
            self._submit(run_id, lambda: conductor.resume(run_id, on_stage=self._listener(run_id)))
        return standing

    def standing(self, run_id: str) -> RunSummary:
        found = self._application.stores.runs.find(run_id)
        if found is None:
            raise UnknownSubject(f"run {run_id!r} was never started here; GET /v1/runs lists the runs")
        return found

    def is_busy(self, run_id: str) -> bool:
        """Whether it runs or waits in this process's queue."""
        return self._busy[run_id] > 0

    def stages(self, run_id: str) -> tuple[str, ...]:
        """Finished stages in order, of the newest runs of this process."""
        return tuple(self._stages.get(run_id, ()))

    def close(self) -> None:
        self._pool.close()

    def _submit(
        self, run_id: str, walk: Callable[[], RunStatus], *, prepare: Callable[[], None] = lambda: None
    ) -> None:
        def job() -> None:
            try:
                self._walk(run_id, walk)
            finally:
                self._count(run_id, -1)

        def begin() -> None:
            prepare()
            self._count(run_id, 1)

        self._pool.submit(job, prepare=begin)

    def _count(self, run_id: str, change: int) -> None:
        with self._lock:
            self._busy[run_id] += change

    def _listener(self, run_id: str) -> Callable[[str, State], None]:
        stages = self._stages.setdefault(run_id, [])
        while len(self._stages) > KEPT_RUNS:
            self._stages.popitem(last=False)
        return lambda stage, _: stages.append(stage)

    def _walk(self, run_id: str, walk: Callable[[], RunStatus]) -> None:
        """What the conductor could not record itself. Unknown trouble halts: we cannot tell what is still true."""
        try:
            if self._application.paper is not None:
                self._application.paper.keep_alive()
            walk()
        except AutofiError as error:
            self._note(run_id, str(error), halts=must_halt(error))
        except Exception as error:  # a bug of ours
            logger.exception("run_broke run_id=%s", run_id)
            self._note(run_id, f"stopped by {type(error).__name__}", halts=True)

    def _note(self, run_id: str, problem: str, *, halts: bool) -> None:
        logger.error("run_interrupted run_id=%s halts=%s problem=%s", run_id, halts, problem)
        now = SystemClock().now()  # the chain, whose time paper mode uses, may be what is down
        with suppress(AutofiError):  # a store that fails reads as HALTED anyway
            if halts:
                trip = halting_trip("run_broke", run_id=run_id, problem=problem)
                self._application.dependencies.trading_state.tighten([trip], at=now)
            self._application.dependencies.runs.update(run_id, RunStatus.RUNNING, summary=problem, at=now)


def run_id_of(key: str) -> str:
    return f"run-{hashlib.sha256(key.encode()).hexdigest()[:KEY_LETTERS]}"


def _same_request(known: RunSummary, workflow: Workflow) -> RunSummary:
    if known.request.workflow is not workflow:
        raise ConfigurationInvalid(
            f"this Idempotency-Key started {known.request.run_id} with workflow {known.request.workflow}, "
            f"now it comes with {workflow}; use another key"
        )
    return known
