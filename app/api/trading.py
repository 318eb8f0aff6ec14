"""Where things stand and what is allowed; halting, resuming, incidents. No model reaches these routes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter

from app.api.schemas import CatalogInForce, CloseIncident, HaltTrading, OpenIncident, PolicyInForce, ResumeTrading
from app.api.serving import Served, Serving
from app.clock import SystemClock
from app.incidents import close_incident, open_incident
from app.status import Standing, read_status
from domain.breakers import Incident
from domain.units import Slug
from domain.verdict import TradingState
from memory.trading_state import TradingStateChange

if TYPE_CHECKING:
    from app.wiring import Application

router = APIRouter(prefix="/v1", tags=["trading"])


@router.get("/status")
def show_status(serving: Served) -> Standing:
    return read_status(serving.application)


@router.get("/policy")
def show_policy(serving: Served) -> PolicyInForce:
    """The limits and the catalog that runs of this server are judged by.

    A changed policy file is followed before its next run, a changed catalog at its next start.
    """
    application = serving.application
    policy, source = application.dependencies.policy, application.policy
    return PolicyInForce(
        catalog=_catalog_of(application),
        digest=policy.digest(),
        policy=policy,
        pending=source.pending(),
        problem=source.problem,
    )


def _catalog_of(application: Application) -> CatalogInForce:
    source = application.catalog
    return CatalogInForce(
        digest=application.dependencies.catalog.digest(),
        pending=source.pending(),
        problem=source.problem,
        restart=source.restart,
    )


@router.post("/halt")
def halt(body: HaltTrading, serving: Served) -> TradingStateChange:
    """Stop everything but exits, at once."""
    return _change(serving, TradingState.HALTED, body)


@router.post("/resume")
def resume(body: ResumeTrading, serving: Served) -> TradingStateChange:
    """Let trading go on; only a person's request does."""
    return _change(serving, TradingState.REDUCING if body.reducing else TradingState.ACTIVE, body)


@router.get("/incidents")
def list_incidents(serving: Served) -> tuple[Incident, ...]:
    """Open ones, oldest first."""
    return tuple(serving.application.stores.incidents.listed())


@router.post("/incidents")
def open_protocol_incident(body: OpenIncident, serving: Served) -> Incident:
    """Keep out of a protocol at once; opening twice changes nothing."""
    incidents, catalog = serving.application.stores.incidents, serving.application.dependencies.catalog
    return open_incident(incidents, catalog, body.protocol, by=body.by, reason=body.reason)


@router.post("/incidents/{protocol}/close")
def close_protocol_incident(protocol: Slug, body: CloseIncident, serving: Served) -> Incident:
    """Let the protocol be entered again; only a person's request does."""
    return close_incident(serving.application.stores.incidents, protocol, by=body.by, reason=body.reason)


def _change(serving: Serving, state: TradingState, body: HaltTrading) -> TradingStateChange:
    """By the machine's clock, so that halting works while the chain does not answer."""
    change = TradingStateChange(state=state, by=body.by, reason=body.reason, at=SystemClock().now())
    serving.application.stores.trading_state.write(state, by=change.by, reason=change.reason, at=change.at)
    return change
