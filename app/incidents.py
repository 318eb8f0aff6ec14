"""Opening an incident of a protocol that the catalog lists; by the machine's clock, as halting is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.clock import SystemClock
from domain.errors import UnknownSubject

if TYPE_CHECKING:
    from domain.breakers import Incident
    from domain.market import Catalog
    from memory.incidents import SqlIncidentStore


def open_incident(incidents: SqlIncidentStore, catalog: Catalog, protocol: str, *, by: str, reason: str) -> Incident:
    """Raises UnknownSubject: a misspelled protocol would leave the real one open to entries."""
    known = sorted({strategy.protocol for strategy in catalog.strategies})
    if protocol not in known:
        raise UnknownSubject(f"protocol {protocol!r} is not in the catalog, which lists {', '.join(known)}")
    return incidents.open(protocol, by=by, reason=reason, at=SystemClock().now())


def close_incident(incidents: SqlIncidentStore, protocol: str, *, by: str, reason: str) -> Incident:
    """Raises UnknownSubject when none is open, StoreUnavailable when nobody can tell."""
    return incidents.close(protocol, by=by, reason=reason, at=SystemClock().now())
