"""Everything a node may use from outside, bound once by the composition root."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final, cast

from domain.digest import digest_of
from domain.market import Catalog, MarketHistory, MarketSnapshot
from domain.policy import Policy
from domain.ports import (
    AgentModel,
    ApprovalStore,
    ArtifactStore,
    Clock,
    Journal,
    MarketReader,
    ObservationStore,
    Recall,
    RunStore,
    Sender,
    Simulator,
)
from domain.risk_facts import RiskFacts
from domain.safeguards import BudgetLedger, IncidentStore, TradingStateStore

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

RUNS_KEPT: Final = 4


class Mode(StrEnum):
    """paper: the local chain; shadow: real data, never a signature; live: real money, starts HALTED."""

    PAPER = "paper"
    SHADOW = "shadow"
    LIVE = "live"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependencies:
    """Ports and configuration of one portfolio."""

    mode: Mode
    policy_in_force: Callable[[], Policy]
    """Changes between two walks, never within one."""
    catalog: Catalog
    code_version: str
    clock: Clock
    model: AgentModel
    market: MarketReader
    observations: ObservationStore
    simulator: Simulator
    sender: Sender
    approvals: ApprovalStore
    budgets: BudgetLedger
    trading_state: TradingStateStore
    incidents: IncidentStore
    artifacts: ArtifactStore
    journal: Journal
    runs: RunStore
    recall: Recall
    risk_facts: RiskFacts = field(default_factory=RiskFacts)
    """What scores and replays start from besides readings; without a file nothing is known."""

    @property
    def policy(self) -> Policy:
        """In force now: a server that runs for weeks notices a change at its next walk."""
        return self.policy_in_force()

    def catalog_digest(self) -> str:
        return digest_of(self.catalog, domain="autofi-catalog-v1")

    def protocols(self) -> frozenset[str]:
        return frozenset(strategy.protocol for strategy in self.catalog.strategies)

    def open_incidents(self) -> frozenset[str]:
        """Protocols that an operator says are in trouble; all of them when nobody can tell."""
        return self.incidents.open_among(self.protocols())

    def snapshot(self, digest: str) -> MarketSnapshot:
        return _read_snapshot(cast("Hashable", self.artifacts), digest)  # mypy takes no protocol for hashable

    def history(self, digest: str) -> MarketHistory:
        return _read_history(cast("Hashable", self.artifacts), digest)


# A run reads the same two values some twenty times. They are frozen and named by their content's digest.
@lru_cache(maxsize=RUNS_KEPT)
def _read_snapshot(artifacts: ArtifactStore, digest: str) -> MarketSnapshot:
    return MarketSnapshot.model_validate_json(artifacts.get(digest))


@lru_cache(maxsize=RUNS_KEPT)
def _read_history(artifacts: ArtifactStore, digest: str) -> MarketHistory:
    return MarketHistory.model_validate_json(artifacts.get(digest))
