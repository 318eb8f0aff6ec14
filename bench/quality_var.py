"""VaR and CVaR of tomorrow, forecast day by day from the past alone, and what Kupiec and Christoffersen say of them.

With a second folder, history comes from the first and only the days of the second are scored.
`python -m bench.quality_var` prints the table, and the same of every asset by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from bench.figures import Figure
from tests.market_data import PRICES, data_folder, read_table
from tools.history import FloatArray
from tools.risk.filtered_tail import VolatilityFilter, walk_forward_tails
from tools.risk.price_series import price_returns
from tools.risk.risk_backtest import (
    MIN_DAYS,
    LikelihoodRatio,
    ShortfallRatio,
    breaches_of,
    christoffersen_independence,
    conditional_coverage,
    holm_rejections,
    kupiec,
    shortfall_ratio,
)
from tools.risk.tail_choice import filter_for, was_pegged

LEVELS: Final = (0.95, 0.99)
WARMUP_DAYS: Final = 500
SINCE: Final = pd.Timestamp("2020-01-01")
SOURCES: Final = ("yahoo", "cmc", "cryptocompare", "binance", "coingecko")
"""The first that has the day speaks; the last stamps its prices a day late."""
STABLES: Final = {"USDC": 1 / 3, "USDT": 1 / 3, "DAI": 1 / 3}
BOOKS: Final[Mapping[str, Mapping[str, float]]] = {
    "BTC": {"BTC": 1.0},
    "ETH": {"ETH": 1.0},
    "50 BTC / 50 ETH": {"BTC": 0.5, "ETH": 0.5},
    "stables equal weight": STABLES,
    "40 stables / 30 / 30": {**{asset: 0.4 * weight for asset, weight in STABLES.items()}, "BTC": 0.3, "ETH": 0.3},
}


class Score(NamedTuple):
    """One book at one level."""

    book: str
    estimator: str
    level: float
    days: int
    breaches: int
    coverage: LikelihoodRatio
    independence: LikelihoodRatio
    both: LikelihoodRatio
    shortfall: ShortfallRatio | None


class Prices(NamedTuple):
    """Closing prices by day and asset, NaN where unknown, and which days of which asset are scored."""

    close: pd.DataFrame
    is_scored: pd.DataFrame


def var_figures(history: Path, scored: Path | None = None) -> list[Figure]:
    """The tables are printed, their totals returned; nothing is returned for what had nothing to score.

    With a second folder its assets that no scored book holds have a table and totals of their own, and closes that
    are in no table are counted.
    """
    if scored is not None and not (scored / PRICES).is_file():
        return []
    prices = read_prices(history, scored)
    scores, others = list(var_scores(prices)), list[Score]()
    if not scores:
        print(f"skipped: no book has {WARMUP_DAYS} days of history and enough days to score")
        return []
    print(score_table(scores))
    if scored is not None:
        others = [score for score in asset_scores(prices) if score.book not in _days_of(scores)]
        if others:
            print(f"\nassets in none of these books\n{score_table(others)}")
        _print_left_out(prices, _days_of([*scores, *others]))
    return [*_totals(scores, ""), *_totals(others, "_other_assets")]


def _totals(scores: list[Score], kind: str) -> list[Figure]:
    """Without a row none: no test was rejected of none is no result. Likewise for intervals."""
    ratios = [score.shortfall for score in scores if score.shortfall is not None]
    held, few = sum(ratio.contains_one for ratio in ratios), f"{len(scores) - len(ratios)} rows have below 5"
    rows = f"{len(scores)} rows, each with Kupiec and Christoffersen's independence, 5 % after Holm"
    tests = [
        Figure(f"var_tests{kind}", 2 * len(scores), "tests", note=rows),
        Figure(f"var_rejections{kind}", rejections(scores), "tests", 0),
    ]
    intervals = [Figure(f"es_intervals_containing_1{kind}", held, "intervals", len(ratios), few)]
    return [*(tests if scores else []), *(intervals if ratios else [])]


def _days_of(scores: list[Score]) -> dict[str, int]:
    """Of each asset in these rows, the most days on which one of them was scored."""
    days: dict[str, int] = {}
    for score in scores:
        for asset in BOOKS.get(score.book, {score.book: 1.0}):
            days[asset] = max(days.get(asset, 0), score.days)
    return days


def _print_left_out(prices: Prices, days: Mapping[str, int]) -> None:
    given = {str(asset): int(count) for asset, count in prices.is_scored.sum().items()}
    left = [f"{name} {n - days.get(name, 0)} of {n}" for name, n in given.items() if n > days.get(name, 0)]
    if left:
        needs = f"{WARMUP_DAYS} days before them, a price the day before, {MIN_DAYS} such days"
        print(f"closes not scored, for want of {needs}: {', '.join(left)}")


def read_prices(history: Path, scored: Path | None = None) -> Prices:
    """Of several sources for one day the preferred one; without `scored` every day since 2020 is."""
    known = _closes(history)
    if scored is None:
        return Prices(known, known.notna() & (known.index >= SINCE).reshape(-1, 1))
    later = _closes(scored)
    close = later.combine_first(known).asfreq("D")
    return Prices(close, later.reindex_like(close).notna())


def var_scores(prices: Prices) -> Iterator[Score]:
    """Of every book whose assets are scored on enough days; of single assets where no book of the table is there."""
    scores = [score for name, weights in BOOKS.items() for score in _scores_of(name, weights, prices)]
    yield from scores or asset_scores(prices)


def asset_scores(prices: Prices) -> Iterator[Score]:
    """Of every asset by itself that is scored on enough days."""
    for asset in sorted(asset for asset in prices.close.columns if prices.is_scored[asset].any()):
        yield from _scores_of(str(asset), {str(asset): 1.0}, prices)


def rejections(scores: list[Score]) -> int:
    """Of Kupiec's and Christoffersen's tests, 5 % after Holm over all of them."""
    p_values = [test.p_value for score in scores for test in (score.coverage, score.independence)]
    return sum(holm_rejections(p_values))


def score_table(scores: list[Score]) -> str:
    """One line a book and level, as docs/numbers.md shows it."""
    lines = ["| book, level | estimator | days | breaches % | Kupiec p | independence p | both p | CVaR ratio |"]
    lines += ["|---|---|---|---|---|---|---|---|"]
    for score in scores:
        ratio = score.shortfall
        depth = f"{ratio.value:.2f} [{ratio.lower:.2f}, {ratio.upper:.2f}]" if ratio else "too few"
        lines.append(
            f"| {score.book}, {score.level:.0%} | {score.estimator} | {score.days} "
            f"| {100 * score.breaches / score.days:.2f} | {score.coverage.p_value:.2f} "
            f"| {score.independence.p_value:.2f} | {score.both.p_value:.2f} | {depth} |"
        )
    return "\n".join(lines)


def _scores_of(name: str, weights: Mapping[str, float], prices: Prices) -> Iterator[Score]:
    assets = list(weights)
    if not set(assets) <= set(prices.close.columns):
        return
    close = prices.close[assets].astype(float)
    matrix = price_returns(list(pd.DatetimeIndex(close.index).to_pydatetime()), close.to_numpy(), assets)
    book = matrix @ np.array(list(weights.values()))
    known = ~np.isnan(book)
    returns, scored = book[known], prices.is_scored[assets].all(axis=1).to_numpy()[1:][known]
    first = max(WARMUP_DAYS, int(np.argmax(scored)))
    judged = scored[first:]
    if np.count_nonzero(judged) < MIN_DAYS:
        return
    before = close.to_numpy()[1:][known][:first]
    volatility = filter_for(is_pegged=all(was_pegged(column) for column in before.T))
    tails = walk_forward_tails(returns, levels=LEVELS, volatility=volatility, first=first)
    for number, level in enumerate(LEVELS):
        yield _score(name, volatility, level, returns[first:][judged], tails[judged, number])


def _score(name: str, volatility: VolatilityFilter, level: float, returns: FloatArray, tails: FloatArray) -> Score:
    breaches = breaches_of(returns, tails[:, 0])
    return Score(
        book=name,
        estimator=volatility.name,
        level=level,
        days=returns.size,
        breaches=int(np.count_nonzero(breaches)),
        coverage=kupiec(breaches, level=level),
        independence=christoffersen_independence(breaches),
        both=conditional_coverage(breaches, level=level),
        shortfall=shortfall_ratio(returns, tails[:, 0], tails[:, 1]),
    )


def _closes(folder: Path) -> pd.DataFrame:
    """Positive closes by day and asset without holes in the days; of repeated days the preferred source's."""
    table = read_table(folder, PRICES, ("date", "asset", "close", "source"))
    table = table.assign(rank=table["source"].map({source: rank for rank, source in enumerate(SOURCES)}))
    is_price = np.isfinite(table["close"]) & (table["close"] > 0)
    if not is_price.all():
        print(f"left out: {int((~is_price).sum())} of {len(table)} closes of {folder} are not above 0 and finite")
    table = table[is_price].sort_values("rank", kind="stable", na_position="last")
    table = table.drop_duplicates(["date", "asset"], keep="first")
    return table.pivot(index="date", columns="asset", values="close").sort_index().asfreq("D")


def _print_all() -> None:
    prices = read_prices(data_folder())
    for scores in (list(var_scores(prices)), list(asset_scores(prices))):
        print(f"{score_table(scores)}\n{rejections(scores)} of {2 * len(scores)} tests rejected\n")


if __name__ == "__main__":
    _print_all()
