"""Health for load balancers and supervisors; needs no token and tells no reasons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fastapi import APIRouter, Response

from app.api.schemas import Liveness, Readiness
from app.api.serving import Served
from domain.errors import AutofiError

router = APIRouter(prefix="/v1/health", tags=["health"])

NOT_READY_STATUS: Final = 503


@router.get("/live")
def live() -> Liveness:
    return Liveness()


@router.get("/ready")
def ready(serving: Served, response: Response) -> Readiness:
    """200 when chain and store answer, else 503."""
    dependencies, stores = serving.application.dependencies, serving.application.stores
    is_chain, is_store = _answers(dependencies.market.head), _answers(lambda: stores.runs.recent(limit=1))
    is_ready = is_chain and is_store
    if not is_ready:
        response.status_code = NOT_READY_STATUS
    return Readiness(
        status="ready" if is_ready else "not_ready", is_chain_answering=is_chain, is_store_answering=is_store
    )


def _answers(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except AutofiError:
        return False
    return True
