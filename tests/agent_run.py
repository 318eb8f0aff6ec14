"""A run seen by its agent nodes only: real tools over sample values, fakes for the few ports that these nodes use."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import cast

from domain.digest import sha256_hex
from domain.errors import StaleOrDisputed
from domain.journal import JournalEntry
from domain.market import Catalog, MarketSnapshot, QuotedSwap, StrategyKind
from domain.plan import Candidate
from domain.policy import Policy
from domain.pools import TickPool
from domain.portfolio import Portfolio
from domain.ports import AgentModel, Journal, MarketReader, RunStore
from domain.run import RiskEvent, RunRecord, RunRequest, Trigger, Workflow
from domain.safeguards import BudgetLedger
from domain.stages import Observation
from domain.units import scale_down_bps, to_base_units, value_usd
from domain.verdict import BudgetState
from graph.dependencies import Dependencies, Mode
from graph.model_offline import OfflineModel
from graph.state import State
from tests.builders import NOW, PRICES, address, make_catalog, make_policy, make_portfolio, make_snapshot
from tests.builders_history import make_history
from tests.fakes_agents import ForgetfulRecall, MemoryArtifacts, NoIncidents


class FixedClock:
    def now(self) -> datetime:
        return NOW


class FairMarket:
    """Pays sample prices less a few basis points; `is_dry` pays nothing."""

    def __init__(self, snapshot: MarketSnapshot, portfolio: Portfolio, catalog: Catalog) -> None:
        self._snapshot, self._portfolio, self._catalog = snapshot, portfolio, catalog
        self.loss_bps = 5
        self.is_dry = False

    def head(self) -> tuple[int, str]:
        return self._snapshot.block_number, self._snapshot.block_hash

    def snapshot(self, block_number: int | None = None) -> MarketSnapshot:
        if self.is_dry:
            raise StaleOrDisputed("oracle usdc is older than its heartbeat")
        return self._snapshot

    def portfolio(self, block_number: int | None = None) -> Portfolio:
        return self._portfolio

    def quote(self, *, venue: str, token_in: str, token_out: str, amount_in: int) -> QuotedSwap:
        if self.is_dry:
            raise StaleOrDisputed(f"venue {venue} pays nothing")
        token = self._catalog.token(token_in)
        value = value_usd(amount_in, decimals=token.decimals, price_usd=Decimal(PRICES[token_in]))
        fair = to_base_units(value / Decimal(PRICES[token_out]), self._catalog.token(token_out).decimals)
        return QuotedSwap(
            venue=venue,
            token_in=token_in,
            token_out=token_out,
            amount_in=amount_in,
            amount_out=scale_down_bps(fair, self.loss_bps),
            block_number=self._snapshot.block_number,
        )

    def pools(self, token_a: str, token_b: str) -> tuple[TickPool, ...]:
        return ()


class SpentBudgets:
    """A ledger that only says how much turnover the day has seen."""

    def __init__(self, turnover_day_usd: str = "0") -> None:
        self._turnover = turnover_day_usd

    def state(self, *, at: datetime) -> BudgetState:
        nothing = dict.fromkeys(BudgetState.model_fields, "0")
        fields = {**nothing, "is_intact": True, "runs_hour_count": 1, "turnover_day_usd": self._turnover}
        return BudgetState.model_validate(fields)


class PastRuns:
    """Journal and run store of finished runs."""

    def __init__(self, records: Sequence[RunRecord] = ()) -> None:
        self._records = {record.request.run_id: record for record in records}

    def entries(self, *, kind: str | None = None, limit: int = 1000) -> Sequence[JournalEntry]:
        digest = sha256_hex(b"")
        return tuple(
            JournalEntry(
                sequence=sequence,
                recorded_at=record.finished_at,
                kind="run",
                subject=run_id,
                body_digest=digest,
                previous_hash=digest,
                entry_hash=digest,
            )
            for sequence, (run_id, record) in enumerate(self._records.items(), start=1)
        )

    def record(self, run_id: str) -> RunRecord | None:
        return self._records.get(run_id)


class AgentRun:
    """State and dependencies of one run; every part replaceable by keyword."""

    def __init__(
        self,
        *,
        model: AgentModel | None = None,
        policy: Policy | None = None,
        catalog: Catalog | None = None,
        portfolio: Portfolio | None = None,
        events: tuple[RiskEvent, ...] = (),
        snapshot: MarketSnapshot | None = None,
        past: Sequence[RunRecord] = (),
        turnover_day_usd: str = "0",
    ) -> None:
        catalog = catalog or make_catalog()
        snapshot = snapshot or make_snapshot(catalog)
        portfolio = portfolio or make_portfolio()
        self.artifacts = MemoryArtifacts()
        self.market = FairMarket(snapshot, portfolio, catalog)
        runs, judged_by = PastRuns(past), policy or make_policy()
        # Ports that no agent node may touch are None: touching one fails the test.
        untouched: dict[str, None] = dict.fromkeys(
            ("observations", "simulator", "sender", "approvals", "trading_state")
        )
        self.dependencies = Dependencies(
            mode=Mode.PAPER,
            policy_in_force=lambda: judged_by,
            catalog=catalog,
            code_version="test",
            clock=FixedClock(),
            model=model or OfflineModel(),
            market=cast("MarketReader", self.market),
            artifacts=self.artifacts,
            budgets=cast("BudgetLedger", SpentBudgets(turnover_day_usd)),
            journal=cast("Journal", runs),
            runs=cast("RunStore", runs),
            recall=ForgetfulRecall(),
            incidents=NoIncidents(),
            **untouched,  # type: ignore[arg-type]
        )
        self.state = self._observed(snapshot, portfolio, events)

    def _observed(self, snapshot: MarketSnapshot, portfolio: Portfolio, events: tuple[RiskEvent, ...]) -> State:
        """The state as `observe` leaves it."""
        workflow = Workflow.MITIGATE if events else Workflow.OPTIMIZE
        history = make_history(self.dependencies.catalog)
        observation = Observation(
            snapshot_digest=self.artifacts.put(snapshot.model_dump_json().encode()),
            history_digest=self.artifacts.put(history.model_dump_json().encode()),
            block_number=snapshot.block_number,
            portfolio=portfolio,
            net_asset_value_usd=970_000.0,
            events=events,
            input_digest="0" * 64,
            is_unchanged=False,
            workflow=workflow,
        )
        return State(request=make_request(workflow=workflow), observation=observation)


def make_request(run_id: str = "run-1", workflow: Workflow = Workflow.OPTIMIZE) -> RunRequest:
    return RunRequest(run_id=run_id, workflow=workflow, trigger=Trigger.OPERATOR, requested_by="olga", requested_at=NOW)


def make_wide_catalog() -> Catalog:
    """Ten strategies, as many as the demo has."""
    catalog = make_catalog()
    model = catalog.strategies[-1]
    vaults = tuple(
        model.model_copy(
            update={
                "id": f"vault-{token}",
                "kind": StrategyKind.ERC4626,
                "protocol": f"vault-{token}",
                "token": token,
                "contract": address(0x310 + index),
                "receipt": address(0x310 + index),
                "factors": (),
            }
        )
        for index, token in enumerate(("usdc", "usdx", "weth", "wbtc"))
    )
    return Catalog.model_validate({**dict(catalog), "strategies": (*catalog.strategies, *vaults)})


def weights_of(candidate: Candidate) -> dict[str, int]:
    return {weight.strategy: weight.weight_bps for weight in candidate.weights}
