"""What named disasters would cost a book, as fractions of net asset value; assumptions stand beside them.

No probability is claimed: each scenario is a what-if whose size is a constant here or the worst day of the history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from domain.errors import StaleOrDisputed
from domain.market import Catalog, MarketHistory, MarketSnapshot, RateObservation, Strategy, StrategyKind
from domain.plan import MoveKind
from domain.portfolio import Portfolio, value_holdings
from domain.risk import StressLoss
from domain.stress import BOOK, CRASH, DRAINED_AND_FROZEN, RUN_ON_A_STABLE, StressFamily, exploitable
from tools.costs import gas_cost_usd
from tools.history import DAYS_PER_YEAR, relative_changes, series_of

DEPEG_FALLS: Final = MappingProxyType(
    {StressFamily.DEPEG_3: 0.03, StressFamily.DEPEG_12: 0.12, StressFamily.DEPEG_50: 0.50}
)
"""DAI and USDC in March 2023 fell 10 to 12 %; UST never came back."""
VOLATILE_FALL: Final = 0.30
LIQUIDITY_HAIRCUT: Final = 0.01
"""Price of leaving a fully utilized pool early, beyond the yield foregone elsewhere."""
BAD_DEBT_HAIRCUT: Final = 0.05
GAS_FACTOR: Final = 20
STALE_STABLE_FALL: Final = 0.005
STALE_VOLATILE_FALL: Final = 0.05
"""An oracle that lags hides at least this; more when the history shows a worse day."""
REWARD_DAYS: Final = 30
EXITS: Final = MappingProxyType({StrategyKind.AAVE_V3: MoveKind.WITHDRAW, StrategyKind.ERC4626: MoveKind.REDEEM})

Rates = tuple[float, ...]
"""The share of its own value that each line loses."""


@dataclass(frozen=True, slots=True)
class Line:
    """What may be held: idle cash in a token, or a position in a strategy."""

    token: str
    is_stable: bool
    strategy: Strategy | None
    rate: RateObservation | None


@dataclass(frozen=True, slots=True)
class Scenario:
    """One disaster as rates of loss: what it costs is linear in the book, gas apart.

    A combination with the worst of several disasters stands here once for each of them; the largest loss counts.
    """

    family: StressFamily
    subject: str
    rates: Rates
    pays_gas: bool = False
    """Everything must leave at twenty times the fee."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What scenarios are computed from besides the lines themselves."""

    snapshot: MarketSnapshot
    catalog: Catalog
    utilization_days: int
    """How long a fully utilized pool lets nobody out."""
    history: MarketHistory | None = None


def stress_losses(
    portfolio: Portfolio,
    snapshot: MarketSnapshot,
    catalog: Catalog,
    *,
    utilization_days: int,
    history: MarketHistory | None = None,
) -> tuple[StressLoss, ...]:
    """One loss per scenario of domain.stress.scenario_set, gains floored at 0, at most the whole portfolio.

    Empty for an empty portfolio, whose shares are unknown. Raises StaleOrDisputed when a held token, or the native
    token that pays gas, has no price.
    """
    holdings = value_holdings(portfolio, snapshot, catalog)
    total = float(sum(holding.value_usd for holding in holdings))
    if total <= 0:
        return ()
    lines = [line_of(holding.token, holding.strategy, snapshot, catalog) for holding in holdings]
    shares = [float(holding.value_usd) / total for holding in holdings]
    gas = gas_shock_usd(lines, snapshot, catalog) / total
    losses: dict[tuple[StressFamily, str], float] = {}
    for scenario in stress_scenarios(lines, Circumstances(snapshot, catalog, utilization_days, history)):
        loss = sum(rate * share for rate, share in zip(scenario.rates, shares, strict=True))
        loss += gas if scenario.pays_gas else 0.0
        key = (scenario.family, scenario.subject)
        losses[key] = max(losses.get(key, 0.0), min(loss, 1.0))
    return tuple(StressLoss(family=family, subject=subject, loss=loss) for (family, subject), loss in losses.items())


def line_of(token: str, strategy_id: str | None, snapshot: MarketSnapshot, catalog: Catalog) -> Line:
    """`strategy_id` is None for cash."""
    return Line(
        token=token,
        is_stable=catalog.token(token).is_stable,
        strategy=catalog.strategy(strategy_id) if strategy_id else None,
        rate=snapshot.rate(strategy_id) if strategy_id else None,
    )


def gas_shock_usd(lines: Sequence[Line], snapshot: MarketSnapshot, catalog: Catalog) -> float:
    """Leaving every position in one batch at twenty times the fee. Raises StaleOrDisputed without a gas price."""
    return GAS_FACTOR * exit_gas_usd(lines, snapshot, catalog)


def exit_gas_usd(lines: Sequence[Line], snapshot: MarketSnapshot, catalog: Catalog) -> float:
    """Leaving every position in one batch at today's fee. Raises StaleOrDisputed without a gas price."""
    price = snapshot.price_usd(catalog.native_token)
    if price is None:
        raise StaleOrDisputed(f"token {catalog.native_token} has no price at block {snapshot.block_number}")
    exits = [EXITS[line.strategy.kind] for line in lines if line.strategy]
    return float(gas_cost_usd(exits, snapshot, native_price_usd=price))


def stress_scenarios(lines: Sequence[Line], circumstances: Circumstances) -> tuple[Scenario, ...]:
    """All that could hit these lines."""
    depegs, exploits = tuple(_depegs(lines)), tuple(_exploits(lines, circumstances.catalog))
    book = _book_rates(lines, circumstances)
    hits = tuple(Scenario(family, BOOK, rates, pays_gas=family is StressFamily.GAS) for family, rates in book.items())
    return (*depegs, *exploits, *hits, *_combinations(book, depegs, exploits))


def _combinations(
    book: dict[StressFamily, Rates], depegs: Sequence[Scenario], exploits: Sequence[Scenario]
) -> Iterator[Scenario]:
    """Losses of one day add up: nothing hedges, and what is lost twice is counted twice, against ourselves."""
    nothing, blocked = book[StressFamily.GAS], book[StressFamily.UTILIZATION]
    falls = [hit.rates for hit in depegs if hit.family is StressFamily.DEPEG_12]
    crash = (book[f] for f in (StressFamily.VOLATILE_FALL, StressFamily.ORACLE_LAG, StressFamily.BAD_DEBT))
    for fall in falls or [nothing]:
        yield Scenario(StressFamily.COMBINED, RUN_ON_A_STABLE, _added(fall, blocked), pays_gas=True)
    yield Scenario(StressFamily.COMBINED, CRASH, _added(*crash), pays_gas=True)
    for drained in [hit.rates for hit in exploits] or [nothing]:
        yield Scenario(StressFamily.COMBINED, DRAINED_AND_FROZEN, _added(drained, blocked))


def _added(*all_rates: Rates) -> Rates:
    return tuple(map(sum, zip(*all_rates, strict=True)))


def _book_rates(lines: Sequence[Line], circumstances: Circumstances) -> dict[StressFamily, Rates]:
    snapshot, history = circumstances.snapshot, circumstances.history
    hidden = {token: _hidden_fall(line, history) for token, line in {line.token: line for line in lines}.items()}
    blocked = LIQUIDITY_HAIRCUT + _foregone(snapshot, circumstances.utilization_days)
    measures: dict[StressFamily, Callable[[Line], float]] = {
        StressFamily.VOLATILE_FALL: lambda line: 0.0 if line.is_stable else VOLATILE_FALL,
        StressFamily.UTILIZATION: lambda line: blocked if _is_lending(line) else 0.0,
        StressFamily.BAD_DEBT: lambda line: BAD_DEBT_HAIRCUT if _is_lending(line) else 0.0,
        StressFamily.GAS: lambda _: 0.0,
        StressFamily.ORACLE_LAG: lambda line: hidden[line.token],
        StressFamily.REWARD: lambda line: _apr(line) * REWARD_DAYS / DAYS_PER_YEAR,
    }
    return {family: tuple(measure(line) for line in lines) for family, measure in measures.items()}


def _depegs(lines: Sequence[Line]) -> Iterator[Scenario]:
    for token in sorted({line.token for line in lines if line.is_stable}):
        for family, fall in DEPEG_FALLS.items():
            yield Scenario(family, token, tuple(fall if line.token == token else 0.0 for line in lines))


def _exploits(lines: Sequence[Line], catalog: Catalog) -> Iterator[Scenario]:
    """Everything in a protocol is lost, and everything that names it as a shared factor."""
    for protocol in sorted(exploitable([line.strategy for line in lines if line.strategy], catalog)):
        rates = tuple(1.0 if _rests_on(line, protocol) else 0.0 for line in lines)
        yield Scenario(StressFamily.EXPLOIT, protocol, rates)


def _rests_on(line: Line, protocol: str) -> bool:
    return line.strategy is not None and (line.strategy.protocol == protocol or protocol in line.strategy.factors)


def _is_lending(line: Line) -> bool:
    """Unknown utilization counts as lending: a vault may lend behind its share price."""
    return line.strategy is not None and (line.rate is None or line.rate.borrowed is not None)


def _foregone(snapshot: MarketSnapshot, days: int) -> float:
    """What the best rate anywhere would have earned meanwhile."""
    best = max((rate.supply_apr for rate in snapshot.rates), default=0.0)
    return max(best, 0.0) * days / DAYS_PER_YEAR


def _hidden_fall(line: Line, history: MarketHistory | None) -> float:
    floor = STALE_STABLE_FALL if line.is_stable else STALE_VOLATILE_FALL
    if history is None or not history.days:
        return floor
    changes = relative_changes(series_of(history.price_usd, line.token, len(history.days)))
    return max(floor, float(np.nanmax(-changes))) if np.isfinite(changes).any() else floor


def _apr(line: Line) -> float:
    return max(line.rate.supply_apr, 0.0) if line.rate else 0.0
