"""A treasury without a chain: one fake market behind the ports, real SQLite stores, the real graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from domain.errors import ChainUnavailable
from domain.market import MarketHistory, MarketSnapshot, QuotedSwap
from domain.plan import RebalancePlan
from domain.policy import Policy
from domain.pools import TickPool
from domain.portfolio import Portfolio
from domain.ports import AgentModel, Simulation
from domain.run import RunRequest, Trigger, Workflow
from domain.transaction import FeeQuote, Intent, IntentStatus, Receipt
from domain.units import to_base_units, to_tokens
from domain.verdict import Certificate, TradingState
from graph.conduct import Conductor
from graph.dependencies import Dependencies, Mode
from graph.model_offline import OfflineModel
from graph.workflow import build_graph
from memory.approvals import SqlApprovalStore
from memory.artifacts import SqlArtifactStore
from memory.budgets import SqlBudgetLedger
from memory.checkpoints import open_checkpointer
from memory.database import open_database
from memory.incidents import SqlIncidentStore
from memory.journal import SqlJournal
from memory.runs import SqlRunStore
from memory.trading_state import SqlTradingStateStore
from tests.builders import NOW, OPERATOR, make_catalog, make_portfolio, make_snapshot
from tests.builders_evidence import make_limits, make_simulation, play
from tests.builders_history import make_history
from tests.fakes_agents import ForgetfulRecall

CATALOG = make_catalog()
HISTORY_DAYS = 120


class FakeMarket:
    """Clock, market, history, simulator and sender over one small state; counts the effects it had.

    With `seen`, a snapshot that a collector took, the market has always paid what it pays there.
    """

    def __init__(self, seen: MarketSnapshot | None = None) -> None:
        self.time = NOW
        self.market = seen or make_snapshot(CATALOG)
        self.book = make_portfolio()
        always = {rate.strategy: [rate.supply_apr] * HISTORY_DAYS for rate in seen.rates} if seen else {}
        self.past = make_history(CATALOG, days=HISTORY_DAYS, aprs=always)
        self.receipts: dict[str, Receipt] = {}
        self.started: dict[str, Intent] = {}
        self.is_down = False
        self.on_settle: Callable[[], None] = lambda: None

    # Clock
    def now(self) -> datetime:
        return self.time

    # MarketReader
    def head(self) -> tuple[int, str]:
        return self.market.block_number, self.market.block_hash

    def snapshot(self, block_number: int | None = None) -> MarketSnapshot:
        if self.is_down:
            raise ChainUnavailable("the fake node is down")
        return self.market

    def portfolio(self, block_number: int | None = None) -> Portfolio:
        return self.book

    def quote(self, *, venue: str, token_in: str, token_out: str, amount_in: int) -> QuotedSwap:
        sold = to_tokens(amount_in, CATALOG.token(token_in).decimals)
        paid = to_base_units(sold, CATALOG.token(token_out).decimals)
        return QuotedSwap(
            venue=venue, token_in=token_in, token_out=token_out, amount_in=amount_in, amount_out=paid, block_number=100
        )

    def pools(self, token_a: str, token_b: str) -> tuple[TickPool, ...]:
        return ()

    # ObservationStore
    def append(self, snapshot: MarketSnapshot) -> None:
        pass

    def history(self, *, days: int, until: datetime) -> MarketHistory:
        return self.past

    def latest_rates(self):
        return self.market.rates

    # Simulator
    def simulate(self, plan: RebalancePlan) -> Simulation:
        after, deltas = play(plan, self.book, CATALOG)
        return Simulation(report=make_simulation(plan, deltas), after=after)

    def quote_fees(self, plan: RebalancePlan) -> FeeQuote:
        return FeeQuote(gas_limit=500_000, max_fee_per_gas_wei=20 * 10**9, max_priority_fee_per_gas_wei=10**9)

    # Sender
    def progress(self, batch_digest: str) -> Intent | None:
        return self.started.get(batch_digest)

    def start(self, plan: RebalancePlan) -> Intent:
        intent = Intent(
            batch_digest=plan.batch_digest(),
            run_id=plan.run_id,
            chain_id=plan.chain_id,
            sender=OPERATOR,
            status=IntentStatus.PLANNED,
            created_at=self.time,
            expires_at=plan.expires_at,
        )
        return self.started.setdefault(plan.batch_digest(), intent)

    def settle(self, plan: RebalancePlan, certificate: Certificate) -> Receipt:
        self.book, deltas = play(plan, self.book, CATALOG)
        digest = plan.batch_digest()
        self.receipts[digest] = Receipt(
            batch_digest=digest,
            transaction_hash="0x" + digest,
            chain_id=plan.chain_id,
            block_number=101,
            block_hash="0x" + "cd" * 32,
            succeeded=True,
            gas_used=400_000,
            effective_gas_price_wei=10**10,
            deltas=deltas,
            mined_at=self.time,
        )
        self.started[digest] = self.started[digest].model_copy(update={"status": IntentStatus.CONFIRMED})
        self.on_settle()
        return self.receipts[digest]

    def resume(self, batch_digest: str) -> Receipt:
        return self.receipts[batch_digest]

    def receipt(self, batch_digest: str) -> Receipt | None:
        return self.receipts.get(batch_digest)

    def reconcile(self) -> tuple[Intent, ...]:
        return ()


class Treasury:
    """The graph over the fake market, with stores in a folder that survives a `reopen`."""

    def __init__(
        self,
        folder: Path,
        *,
        policy: Policy | None = None,
        model: AgentModel | None = None,
        seen: MarketSnapshot | None = None,
    ) -> None:
        self.folder = folder
        self.market = FakeMarket(seen)
        self.policy = policy or make_limits()
        self.model = model or OfflineModel()
        self._open()
        self.dependencies.trading_state.write(TradingState.ACTIVE, by="test", reason="start", at=NOW)

    def _open(self) -> None:
        self.database = open_database(f"sqlite:///{self.folder / 'treasury.db'}")
        self.saver = open_checkpointer(self.folder / "checkpoints.db")
        self.runs = SqlRunStore(self.database)
        self.dependencies = Dependencies(
            mode=Mode.PAPER,
            policy_in_force=lambda: self.policy,
            catalog=CATALOG,
            code_version="test",
            clock=self.market,
            model=self.model,
            market=self.market,
            observations=self.market,
            simulator=self.market,
            sender=self.market,
            approvals=SqlApprovalStore(
                self.database, requires_four_eyes=lambda: self.policy.approval.requires_four_eyes
            ),
            budgets=SqlBudgetLedger(self.database),
            trading_state=SqlTradingStateStore(self.database),
            incidents=SqlIncidentStore(self.database),
            artifacts=SqlArtifactStore(self.database),
            journal=SqlJournal(self.database),
            runs=self.runs,
            recall=ForgetfulRecall(),
        )
        self.conductor = Conductor(build_graph(self.dependencies, self.saver), self.dependencies)

    def reopen(self, **changes: object) -> None:
        """As a new process would: nothing but the files and the market is left."""
        self.close()
        self._open()
        if changes:
            self.dependencies = replace(self.dependencies, **changes)
            self.conductor = Conductor(build_graph(self.dependencies, self.saver), self.dependencies)

    def close(self) -> None:
        self.saver.conn.close()
        self.database.close()

    def request(self, run_id: str = "run-1", workflow: Workflow = Workflow.OPTIMIZE) -> RunRequest:
        return RunRequest(
            run_id=run_id,
            workflow=workflow,
            trigger=Trigger.OPERATOR,
            requested_by="bob",
            requested_at=self.market.now(),
        )

    def run(self, run_id: str = "run-1", workflow: Workflow = Workflow.OPTIMIZE, **options):
        """Walk a run and return its record, or its status while it waits."""
        status = self.conductor.start(self.request(run_id, workflow), **options)
        return self.runs.record(run_id) or status

    def later(self, **duration: float) -> None:
        self.market.time += timedelta(**duration)
