"""One look at everything a person asks first: value, holdings, state, what waits, what is open."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from domain.breakers import Incident
from domain.errors import AutofiError
from domain.portfolio import Holding, value_holdings
from domain.run import RunStatus
from domain.transaction import Intent
from domain.units import Usd, UtcDatetime, Value
from domain.verdict import Approval, BudgetState, TradingState
from memory.runs import RunSummary
from memory.trading_state import TradingStateChange

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.stores import Stores
    from app.wiring import Application


SHOWN_DIGEST: Final = 16


class Standing(Value):
    mode: str
    model: str
    account: str
    time: UtcDatetime
    block_number: int
    trading_state: TradingState
    trading_state_problem: str | None
    trading_state_change: TradingStateChange | None
    """The newest one, with what tripped where nobody asked for it."""
    incidents: tuple[Incident, ...]
    net_asset_value_usd: Usd
    holdings: tuple[Holding, ...]
    approvals: tuple[Approval, ...]
    open_runs: tuple[RunSummary, ...]
    open_intents: tuple[Intent, ...]
    budget: BudgetState
    last_status: RunStatus | None
    pending_changes: tuple[str, ...] = ()
    """Of policy and catalog, a sentence each: what waits, and whether this process should be started again."""


def read_status(application: Application) -> Standing:
    dependencies, stores = application.dependencies, application.stores
    snapshot = dependencies.market.snapshot()
    portfolio = dependencies.market.portfolio(snapshot.block_number)
    holdings = value_holdings(portfolio, snapshot, dependencies.catalog)
    recent = stores.runs.recent(limit=1)
    return Standing(
        mode=dependencies.mode,
        model=dependencies.model.name,
        account=dependencies.catalog.account,
        time=dependencies.clock.now(),
        block_number=snapshot.block_number,
        trading_state=dependencies.trading_state.read(),
        trading_state_problem=(
            stores.trading_state.problem() or _journal_problem(stores) or application.chain_books.problem()
        ),
        trading_state_change=_newest_change(stores),
        incidents=_open_incidents(stores),
        net_asset_value_usd=sum((holding.value_usd for holding in holdings), Decimal(0)),
        holdings=holdings,
        approvals=tuple(dependencies.approvals.pending()),
        open_runs=tuple(stores.runs.unfinished()),
        open_intents=tuple(stores.execution.open_intents()),
        budget=dependencies.budgets.state(at=dependencies.clock.now()),
        last_status=recent[0].status if recent else None,
        pending_changes=tuple(_pending_changes(application)),
    )


def _pending_changes(application: Application) -> Iterator[str]:
    for source in (application.policy, application.catalog):
        if proposal := source.pending():
            yield (
                f"{proposal.document} {proposal.digest[:SHOWN_DIGEST]} waits for {proposal.waits_for()}; "
                "`autofi policy pending` shows it"
            )
    if application.catalog.restart is not None:
        yield application.catalog.restart


def _newest_change(stores: Stores) -> TradingStateChange | None:
    """None where the book cannot be read: `trading_state_problem` says why."""
    with suppress(AutofiError):
        return next(reversed(stores.trading_state.history()), None)
    return None


def _open_incidents(stores: Stores) -> tuple[Incident, ...]:
    with suppress(AutofiError):
        return tuple(stores.incidents.listed())
    return ()


def _journal_problem(stores: Stores) -> str | None:
    problem = stores.journal.problem()
    return None if problem is None else f"the journal does not hold, only exits pass: {problem}"
