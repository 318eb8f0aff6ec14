"""What named disasters would cost this portfolio, as fractions of net asset value; assumptions stand beside them.

No probability is claimed: each scenario is a what-if whose size is a constant here or the worst day of the history.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from domain.errors import StaleOrDisputed
from domain.market import Catalog, MarketHistory, MarketSnapshot, RateObservation, Strategy
from domain.plan import MoveKind
from domain.portfolio import Holding, Portfolio, value_holdings
from domain.risk import StressLoss
from domain.stress import BOOK, CRASH, DRAINED_AND_FROZEN, RUN_ON_A_STABLE, StressFamily
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


@dataclass(frozen=True, slots=True)
class _Line:
    """One holding as a share of net asset value."""

    token: str
    strategy: Strategy | None
    share: float
    rate: RateObservation | None
    is_stable: bool


def stress_losses(
    portfolio: Portfolio,
    snapshot: MarketSnapshot,
    catalog: Catalog,
    *,
    utilization_days: int,
    history: MarketHistory | None = None,
) -> tuple[StressLoss, ...]:
    """One loss per scenario of domain.stress.scenario_set, gains floored at 0, at most the whole portfolio.

    `utilization_days` is how long a fully utilized pool lets nobody out. Empty for an empty portfolio, whose shares
    are unknown. Raises StaleOrDisputed when a held token, or the native token that pays gas, has no price.
    """
    holdings = value_holdings(portfolio, snapshot, catalog)
    total = float(sum(holding.value_usd for holding in holdings))
    if total <= 0:
        return ()
    lines = [_line(holding, snapshot, catalog, total) for holding in holdings]
    depegs, exploits = _depegs(lines), _exploits(lines)
    book = {
        StressFamily.VOLATILE_FALL: VOLATILE_FALL * _share(line for line in lines if not line.is_stable),
        StressFamily.UTILIZATION: _blocked_loss(lines, snapshot, utilization_days),
        StressFamily.BAD_DEBT: BAD_DEBT_HAIRCUT * _share(line for line in lines if _is_lending(line)),
        StressFamily.GAS: _gas_loss(lines, snapshot, catalog) / total,
        StressFamily.ORACLE_LAG: _stale_loss(lines, history),
        StressFamily.REWARD: sum(line.share * _apr(line) for line in lines) * REWARD_DAYS / DAYS_PER_YEAR,
    }
    hits = [*depegs, *exploits, *(_loss(family, BOOK, loss) for family, loss in book.items())]
    return (*hits, *_combinations(book, depegs, exploits))


def _combinations(
    book: Mapping[StressFamily, float], depegs: Sequence[StressLoss], exploits: Sequence[StressLoss]
) -> tuple[StressLoss, ...]:
    """Losses of one day add up: nothing hedges, and what is lost twice is counted twice, against ourselves."""
    worst_depeg = max((hit.loss for hit in depegs if hit.family is StressFamily.DEPEG_12), default=0.0)
    worst_exploit = max((hit.loss for hit in exploits), default=0.0)
    blocked, gas = book[StressFamily.UTILIZATION], book[StressFamily.GAS]
    crash = sum(book[f] for f in (StressFamily.VOLATILE_FALL, StressFamily.ORACLE_LAG, StressFamily.BAD_DEBT))
    return (
        _loss(StressFamily.COMBINED, RUN_ON_A_STABLE, worst_depeg + blocked + gas),
        _loss(StressFamily.COMBINED, CRASH, crash + gas),
        _loss(StressFamily.COMBINED, DRAINED_AND_FROZEN, worst_exploit + blocked),
    )


def _line(holding: Holding, snapshot: MarketSnapshot, catalog: Catalog, total: float) -> _Line:
    strategy = catalog.strategy(holding.strategy) if holding.strategy else None
    return _Line(
        token=holding.token,
        strategy=strategy,
        share=float(holding.value_usd) / total,
        rate=snapshot.rate(strategy.id) if strategy else None,
        is_stable=catalog.token(holding.token).is_stable,
    )


def _loss(family: StressFamily, subject: str, loss: float) -> StressLoss:
    return StressLoss(family=family, subject=subject, loss=min(max(loss, 0.0), 1.0))


def _share(lines: Iterable[_Line]) -> float:
    return sum(line.share for line in lines)


def _depegs(lines: list[_Line]) -> list[StressLoss]:
    tokens = sorted({line.token for line in lines if line.is_stable})
    return [
        _loss(family, token, fall * _share(line for line in lines if line.token == token))
        for token in tokens
        for family, fall in DEPEG_FALLS.items()
    ]


def _exploits(lines: list[_Line]) -> list[StressLoss]:
    """Everything in a protocol is lost, and everything that names it as a shared factor."""
    protocols = sorted({line.strategy.protocol for line in lines if line.strategy})
    return [
        _loss(StressFamily.EXPLOIT, protocol, _share(line for line in lines if _rests_on(line, protocol)))
        for protocol in protocols
    ]


def _rests_on(line: _Line, protocol: str) -> bool:
    return line.strategy is not None and (line.strategy.protocol == protocol or protocol in line.strategy.factors)


def _is_lending(line: _Line) -> bool:
    """Unknown utilization counts as lending: a vault may lend behind its share price."""
    return line.strategy is not None and (line.rate is None or line.rate.borrowed is not None)


def _blocked_loss(lines: list[_Line], snapshot: MarketSnapshot, days: int) -> float:
    """Nobody can leave for that long: the best other rate is foregone and leaving early costs a haircut."""
    best = max((rate.supply_apr for rate in snapshot.rates), default=0.0)
    foregone = max(best, 0.0) * days / DAYS_PER_YEAR
    return (foregone + LIQUIDITY_HAIRCUT) * _share(line for line in lines if _is_lending(line))


def _gas_loss(lines: list[_Line], snapshot: MarketSnapshot, catalog: Catalog) -> float:
    """Leaving every position in one batch at twenty times the fee."""
    price = snapshot.price_usd(catalog.native_token)
    if price is None:
        raise StaleOrDisputed(f"token {catalog.native_token} has no price at block {snapshot.block_number}")
    exits = [MoveKind.WITHDRAW for line in lines if line.strategy]
    return GAS_FACTOR * float(gas_cost_usd(exits, snapshot, native_price_usd=price))


def _stale_loss(lines: list[_Line], history: MarketHistory | None) -> float:
    return sum(line.share * _hidden_fall(line, history) for line in lines)


def _hidden_fall(line: _Line, history: MarketHistory | None) -> float:
    floor = STALE_STABLE_FALL if line.is_stable else STALE_VOLATILE_FALL
    if history is None or not history.days:
        return floor
    changes = relative_changes(series_of(history.price_usd, line.token, len(history.days)))
    return max(floor, float(np.nanmax(-changes))) if np.isfinite(changes).any() else floor


def _apr(line: _Line) -> float:
    return max(line.rate.supply_apr, 0.0) if line.rate else 0.0
