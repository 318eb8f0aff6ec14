"""Weekly allocation of 1 M USD over recorded stablecoin markets, each decision from what was known the day before.

Ours decides with the demo policy's own limits; the simple rules get the same markets, prices, exits and costs.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from bench.stable_markets import WEEK, Markets, known_rates, read_stable_markets
from bench.walked_decision import ERROR_DAYS, GAS_PER_LEG, HISTORY_DAYS, RESERVE, SWAP_COST, VALUE_USD, decide
from tools.history import DAYS_PER_YEAR, FloatArray

MIN_MARKETS: Final = 3
WINDOWS: Final = {"2021-03..2023-02": ("2021-03-01", "2023-02-20"), "2023-05..2024-08": ("2023-05-01", "2024-08-20")}

Rule = Callable[[Markets, int, FloatArray], FloatArray]
"""(markets, today, shares held) -> shares wanted; may read only rows before today."""


class Walk(NamedTuple):
    """One path: growth per year and the deepest fall, fractions; legs are positions entered or left."""

    annual: float
    drawdown: float
    legs: int


def allocation_quality(folder: Path) -> None:
    """Prints net growth per year and drawdown: median [least, most] over the seven weekdays to start on."""
    for title, (first, last) in WINDOWS.items():
        start = np.datetime64(first) - np.timedelta64(HISTORY_DAYS + ERROR_DAYS, "D")
        markets = read_stable_markets(folder, str(start), last)
        begin = int(np.searchsorted(markets.days, np.datetime64(first)))
        if np.count_nonzero(np.isfinite(known_rates(markets, begin))) < MIN_MARKETS:
            print(f"skipped: {folder} knows fewer than {MIN_MARKETS} stable markets on {first}")
            continue
        print(f"\nallocation of {VALUE_USD:,.0f} USD, {title}, {len(markets.names)} markets")
        for name, rule in RULES.items():
            print(_row(name, [walk(markets, rule, begin + day) for day in range(WEEK)]))


def _row(name: str, walks: Sequence[Walk]) -> str:
    annual = [100 * each.annual for each in walks]
    fall = 100 * statistics.median(each.drawdown for each in walks)
    legs = statistics.median(each.legs for each in walks)
    spread = f"{statistics.median(annual):7.2f} % [{min(annual):.2f}, {max(annual):.2f}]"
    return f"{name:<20}{spread}   deepest fall {fall:.2f} %   legs {legs:.0f}"


def walk(markets: Markets, rule: Rule, begin: int) -> Walk:
    """Decide every seventh day, trade at that day's prices and gas, then earn what the days bring."""
    held, cash, legs = np.zeros(len(markets.names)), VALUE_USD, 0
    values = [VALUE_USD]
    for today in range(begin, len(markets.days)):
        if (today - begin) % WEEK == 0:
            total = float(held.sum()) + cash
            held, cash, moved = _trade(markets, today, held, cash, rule(markets, today, held / total) * total)
            legs += moved
        held = held * np.nan_to_num(markets.growth[today], nan=1.0)
        values.append(float(held.sum()) + cash)
    path = np.array(values)
    years = (path.size - 1) / DAYS_PER_YEAR
    fall = float(np.max(1.0 - path / np.maximum.accumulate(path)))
    return Walk(float((path[-1] / path[0]) ** (1.0 / years) - 1.0), fall, legs)


def _trade(
    markets: Markets, today: int, held: FloatArray, cash: float, wanted: FloatArray
) -> tuple[FloatArray, float, int]:
    """Exits go as far as the pool can pay; entries as far as the money then reaches, costs included."""
    leaving = np.minimum(np.maximum(held - wanted, 0.0), np.nan_to_num(markets.liquid_usd[today]))
    entering = np.maximum(wanted - held, 0.0)
    leaving, entering = (np.where(change > 1.0, change, 0.0) for change in (leaving, entering))
    cost = _cost(markets, today, leaving, entering)
    room = max(cash + float(leaving.sum()) - cost, 0.0)
    if entering.sum() > room:
        entering = entering * (room / float(entering.sum()))
    cash += float(leaving.sum()) - float(entering.sum()) - _cost(markets, today, leaving, entering)
    return held - leaving + entering, cash, int(np.count_nonzero(leaving) + np.count_nonzero(entering))


def _cost(markets: Markets, today: int, leaving: FloatArray, entering: FloatArray) -> float:
    legs = np.count_nonzero(leaving) + np.count_nonzero(entering)
    assets = np.array(markets.assets)
    swapped = sum(abs(float((entering - leaving)[assets == asset].sum())) for asset in set(assets) - {RESERVE})
    return float(legs * GAS_PER_LEG * markets.gas_unit_usd[today] + SWAP_COST * swapped)


def equal_weight(markets: Markets, today: int, _: FloatArray) -> FloatArray:
    usable = np.isfinite(known_rates(markets, today))
    return np.asarray(usable / max(int(usable.sum()), 1))


def chase_week(markets: Markets, today: int, held: FloatArray) -> FloatArray:
    rates, wanted = known_rates(markets, today), np.zeros_like(held)
    if np.isfinite(rates).any():
        wanted[int(np.nanargmax(rates))] = 1.0
    return wanted


RULES: Final[dict[str, Rule]] = {
    "ours": decide,
    "equal weight": equal_weight,
    "highest 7-day mean": chase_week,
}
