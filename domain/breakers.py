"""What breakers read and what they say: a trip lowers the trading state, and only an operator raises it again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pydantic import Field

from domain.units import Slug, Usd, UtcDatetime, Value
from domain.verdict import BudgetState, TradingState

MAX_TEXT: Final = 120
FACT: Final = "fact"
"""The unit of what is true or not; never in a sentence."""
_STRICTNESS: Final = (TradingState.ACTIVE, TradingState.REDUCING, TradingState.HALTED)


def tightest(states: Iterable[TradingState]) -> TradingState:
    return max(states, key=_STRICTNESS.index, default=TradingState.ACTIVE)


class Trip(Value):
    """One limit that was passed: the state it asks for, what it is about, the limit and what was observed."""

    code: Slug
    state: TradingState
    subject: str = Field(max_length=MAX_TEXT)
    limit: str = Field(max_length=MAX_TEXT)
    observed: str = Field(max_length=MAX_TEXT)
    unit: str = Field(max_length=24)

    def sentence(self) -> str:
        unit = "" if self.unit == FACT else f" {self.unit}"
        return f"{self.code} of {self.subject}: {self.observed}{unit}, limit {self.limit}"


class Valuation(Value):
    """Net asset value when it was last observed, beside its highest ones since trading was last resumed.

    All zero before the first observation: nothing was there that could have fallen.
    """

    net_asset_value_usd: Usd
    day_high_usd: Usd
    week_high_usd: Usd
    peak_usd: Usd
    protocols: tuple[Slug, ...]
    """In which something was held."""


class Streak(Value):
    """How the newest runs ended, back to where trading was last resumed."""

    failed_runs_count: int = Field(ge=0)
    blind_runs_count: int = Field(ge=0)
    guard_faults: tuple[str, ...]
    """Guards that failed inside in the newest run."""


class Incident(Value):
    """An operator's word that a protocol is in trouble; open until an operator closes it."""

    protocol: Slug
    opened_by: str = Field(max_length=80)
    reason: str
    opened_at: UtcDatetime


class BreakerReadings(Value):
    """Everything the breakers judge. None is unreadable, and trips."""

    valuation: Valuation | None
    budget: BudgetState | None
    ledger_problem: str | None
    """Why the ledger behind `budget` is not intact, for a person."""
    streak: Streak | None
    incidents: tuple[Slug, ...] | None
    """Protocols in which something is held and that have an open incident."""
