"""Runs: start, list, watch and resume them. Requests return at once; the walk itself happens in the background."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Path, Query
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import EventSourceResponse, ServerSentEvent

from app.api.schemas import RunAccepted, StartRun
from app.api.serving import Served, Serving
from memory.runs import RunSummary

router = APIRouter(prefix="/v1/runs", tags=["runs"])

MAX_LISTED: Final = 1000
MAX_KEY_CHARACTERS: Final = 200
POLL_SECONDS: Final = 0.1
MAX_WATCH_SECONDS: Final = 3600.0

RunIdPath = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9_-]{0,47}$")]
IdempotencyKey = Annotated[str | None, Header(min_length=1, max_length=MAX_KEY_CHARACTERS)]
LastEventId = Annotated[int, Header(ge=0)]


@router.post("", status_code=202)
def start_run(body: StartRun, serving: Served, idempotency_key: IdempotencyKey = None) -> RunAccepted:
    """Store and queue a run. With an Idempotency-Key, repeating the request never starts a second one."""
    standing = serving.runs.start(body.workflow, key=idempotency_key)
    return RunAccepted(run_id=standing.request.run_id, status=standing.status)


@router.get("")
def list_runs(serving: Served, limit: Annotated[int, Query(ge=1, le=MAX_LISTED)] = 50) -> list[RunSummary]:
    """Newest first."""
    return list(serving.application.stores.runs.recent(limit=limit))


@router.get("/{run_id}")
def show_run(run_id: RunIdPath, serving: Served) -> RunSummary:
    return serving.runs.standing(run_id)


@router.post("/{run_id}/resume", status_code=202)
def resume_run(run_id: RunIdPath, serving: Served) -> RunAccepted:
    """Continue a run after a crash or an answer; a finished one answers with its status."""
    standing = serving.runs.resume(run_id)
    return RunAccepted(run_id=run_id, status=standing.status)


def _known_run(run_id: RunIdPath, serving: Served) -> str:
    """Refuses an unknown run before the stream begins."""
    return serving.runs.standing(run_id).request.run_id


@router.get("/{run_id}/events", response_class=EventSourceResponse)
async def watch_run(
    run_id: Annotated[str, Depends(_known_run)], serving: Served, last_event_id: LastEventId = 0
) -> AsyncIterator[ServerSentEvent]:
    """`stage` for each finished stage, `status` whenever that changes, `done` when the run is final."""
    deadline = time.monotonic() + MAX_WATCH_SECONDS
    seen, shown = last_event_id, None
    while time.monotonic() < deadline:
        is_busy, stages, standing = await run_in_threadpool(_look, serving, run_id)
        for stage in stages[seen:]:
            seen += 1
            yield ServerSentEvent(event="stage", id=str(seen), data={"run_id": run_id, "stage": stage})
        if (standing.status, standing.summary) != shown:
            shown = (standing.status, standing.summary)
            yield ServerSentEvent(event="status", data=standing)
        if standing.status.is_final and not is_busy:
            yield ServerSentEvent(event="done", data=standing)
            return
        await asyncio.sleep(POLL_SECONDS)


def _look(serving: Serving, run_id: str) -> tuple[bool, tuple[str, ...], RunSummary]:
    """In this order: a run that is no longer busy has named all its stages."""
    is_busy = serving.runs.is_busy(run_id)
    return is_busy, serving.runs.stages(run_id), serving.runs.standing(run_id)
