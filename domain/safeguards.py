"""Ports of what holds the treasury back: budgets, trading state, incidents. Adapters live in memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from domain.breakers import Trip, Valuation
from domain.budget import Spending, WindowLimits
from domain.verdict import BudgetState, TradingState


class BudgetLedger(Protocol):
    """Rolling windows over value, loss, gas, slippage and turnover, and over what the account was worth."""

    def state(self, *, at: datetime, without: str | None = None) -> BudgetState:
        """What the windows have used, one batch's own reservation left out where a digest is named."""

    def problem(self) -> str | None:
        """Why the ledger may not be trusted, for a person; None when it may."""

    def count_run(self, run_id: str, *, at: datetime) -> None: ...
    def reserve(self, batch_digest: str, wanted: Spending, *, at: datetime, limits: WindowLimits | None = None) -> None:
        """With limits, raises BudgetExceeded when another run took what was left; exits reserve without limits."""

    def settle(
        self, batch_digest: str, *, gas_usd: Decimal, loss_usd: Decimal, slippage_usd: Decimal, at: datetime
    ) -> None: ...
    def release(self, batch_digest: str) -> None: ...
    def note_value(self, run_id: str, *, net_asset_value_usd: Decimal, protocols: Sequence[str], at: datetime) -> None:
        """What the account is worth now, and in which protocols it holds something."""

    def valuation(self, *, at: datetime) -> Valuation:
        """Raises StoreUnavailable when the ledger may not be trusted."""


class TradingStateStore(Protocol):
    """All that a run may do about it: nothing here raises the state, only an operator's command does."""

    def read(self) -> TradingState:
        """HALTED when unreadable."""

    def tighten(self, trips: Sequence[Trip], *, at: datetime) -> TradingState:
        """Down to the tightest state that the trips ask for; the state that holds then."""


class IncidentStore(Protocol):
    """Which protocols an operator says are in trouble."""

    def open_among(self, protocols: frozenset[str]) -> frozenset[str]:
        """Those with an open incident; all of them when nobody can tell."""
