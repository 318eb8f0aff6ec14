"""Every store over one database, opened together; enough for commands that need neither chain nor model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from app.books import open_books
from app.settings import Settings, load_settings
from memory.approvals import SqlApprovalStore
from memory.artifacts import SqlArtifactStore
from memory.budgets import SqlBudgetLedger
from memory.chain_base import SqlChainBases
from memory.database import Database
from memory.execution_journal import SqlExecutionJournal
from memory.incidents import SqlIncidentStore
from memory.journal import SqlJournal
from memory.observations import SqlObservationStore
from memory.policies import SqlCatalogStore, SqlPolicyStore
from memory.runs import SqlRunStore
from memory.trading_state import SqlTradingStateStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    database: Database
    approvals: SqlApprovalStore
    artifacts: SqlArtifactStore
    budgets: SqlBudgetLedger
    catalogs: SqlCatalogStore
    chain_bases: SqlChainBases
    execution: SqlExecutionJournal
    incidents: SqlIncidentStore
    journal: SqlJournal
    observations: SqlObservationStore
    policies: SqlPolicyStore
    runs: SqlRunStore
    trading_state: SqlTradingStateStore


@contextmanager
def open_stores(*, home: Path | None = None, settings: Settings | None = None) -> Iterator[Stores]:
    """Raises ConfigurationInvalid like app.books.open_books."""
    database = open_books(settings or load_settings(home=home))
    try:
        yield make_stores(database)
    finally:
        database.close()


def make_stores(database: Database) -> Stores:
    policies = SqlPolicyStore(database)
    return Stores(
        database=database,
        approvals=SqlApprovalStore(database, requires_four_eyes=partial(_asks_two_people, policies)),
        artifacts=SqlArtifactStore(database),
        budgets=SqlBudgetLedger(database),
        catalogs=SqlCatalogStore(database),
        chain_bases=SqlChainBases(database),
        execution=SqlExecutionJournal(database),
        incidents=SqlIncidentStore(database),
        journal=SqlJournal(database),
        observations=SqlObservationStore(database),
        policies=policies,
        runs=SqlRunStore(database),
        trading_state=SqlTradingStateStore(database),
    )


def _asks_two_people(policies: SqlPolicyStore) -> bool:
    """By the policy in force when the answer comes; before the first one is, always."""
    in_force = policies.standing().in_force
    return in_force is None or in_force.approval.requires_four_eyes
