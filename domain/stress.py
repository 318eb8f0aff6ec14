"""The stress scenarios that every portfolio must be measured against: their families, and which apply to whom."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from domain.market import Catalog, Strategy
from domain.portfolio import Portfolio


class StressFamily(StrEnum):
    """Each has its own limit: max_<family>_loss_share."""

    DEPEG_3 = "depeg_3"  # one stable token falls by 3 %
    DEPEG_12 = "depeg_12"
    DEPEG_50 = "depeg_50"
    VOLATILE_FALL = "volatile_fall"  # everything that is not stable falls at once
    UTILIZATION = "utilization"  # lending pools stay fully utilized for days: nobody gets out
    BAD_DEBT = "bad_debt"  # lending pools socialize a loss
    EXPLOIT = "exploit"  # one protocol is emptied, and all that rests on it
    GAS = "gas"  # gas at twenty times its price while everything must leave
    ORACLE_LAG = "oracle_lag"  # prices have already fallen and the oracle does not say so
    REWARD = "reward"  # yields stop
    COMBINED = "combined"  # several of the above on one day, as they come


BOOK: Final = "book"
"""Subject of scenarios that hit the whole portfolio."""
DEPEGS: Final = (StressFamily.DEPEG_3, StressFamily.DEPEG_12, StressFamily.DEPEG_50)
BOOK_FAMILIES: Final = (
    StressFamily.VOLATILE_FALL,
    StressFamily.UTILIZATION,
    StressFamily.BAD_DEBT,
    StressFamily.GAS,
    StressFamily.ORACLE_LAG,
    StressFamily.REWARD,
)
RUN_ON_A_STABLE: Final = "run-on-a-stable"
"""The worst 12 % depeg, and pools fully utilized, at twenty times the gas: March 2023."""
CRASH: Final = "crash"
"""Volatile tokens fall, the oracle lags behind, lenders socialize bad debt, gas at twenty times: March 2020."""
DRAINED_AND_FROZEN: Final = "drained-and-frozen"
"""The worst exploit while the other pools stay fully utilized."""
COMBINATIONS: Final = (RUN_ON_A_STABLE, CRASH, DRAINED_AND_FROZEN)


def scenario_set(portfolio: Portfolio, catalog: Catalog) -> frozenset[tuple[StressFamily, str]]:
    """Every (family, subject) that a report on this portfolio must contain: one missing is one not measured."""
    held = [catalog.strategy(p.strategy) for p in portfolio.positions if p.amount]
    tokens = {balance.token for balance in portfolio.cash if balance.amount} | {strategy.token for strategy in held}
    stable = {token for token in tokens if catalog.token(token).is_stable}
    return frozenset(
        {(family, BOOK) for family in BOOK_FAMILIES}
        | {(StressFamily.COMBINED, combination) for combination in COMBINATIONS}
        | {(family, token) for family in DEPEGS for token in stable}
        | {(StressFamily.EXPLOIT, protocol) for protocol in exploitable(held, catalog)}
    )


def exploitable(held: Iterable[Strategy], catalog: Catalog) -> frozenset[str]:
    """Protocols whose exploit would cost something: of what is held, and those that it names as a shared factor."""
    listed = {strategy.protocol for strategy in catalog.strategies}
    return frozenset(name for strategy in held for name in (strategy.protocol, *strategy.factors) if name in listed)


def scenario_name(family: StressFamily, subject: str) -> str:
    return family.value if subject == BOOK else f"{family.value} {subject}"
