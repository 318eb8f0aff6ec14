"""Do scores fall before pools close and pegs break? Every day of stable markets, scored with what was known that day.

A calm day is one without trouble; trouble is a pool lent out to 99 % or a token 5 % below its dollar.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from app.settings import CONFIG_DIRECTORY, PROTOCOL_SCORES_FILE, load_risk_facts
from bench.figures import Figure
from domain.risk_facts import Factor, FactorGroup, RiskFacts
from tests.market_data import PRICES, WRAPPED, read_rates, read_table
from tools.history import FloatArray
from tools.markets.market_analyzer import CURVELESS_KINK
from tools.markets.protocol_assessment import assess_protocols
from tools.markets.protocol_factors import TREND_DAYS, ProtocolReadings

AHEAD_DAYS: Final = 7
CLOSED: Final = 0.99
LOST_PEG: Final = 0.95
SMALLEST_USD: Final = 1e6
ALARM_BELOW: Final = 50.0
GROUPS: Final = (FactorGroup.MARKET, FactorGroup.LIQUIDITY)
UNKNOWN_FACTORS: Final = frozenset({Factor.SHARE_PRICE})


class Market(NamedTuple):
    """Daily columns of one market; prices are NaN where nobody recorded them."""

    name: str
    days: pd.DatetimeIndex
    utilization: FloatArray
    deposits_usd: FloatArray
    price: FloatArray
    is_scored: FloatArray


def score_quality(data: Path, test: Path | None) -> list[Figure]:
    """How well scores rank days by the trouble that follows, and what a score below 50 catches.

    Beside utilization alone and peg distance alone, ranked the same way and with as many alarms.
    """
    facts = load_risk_facts(CONFIG_DIRECTORY / PROTOCOL_SCORES_FILE)
    markets = list(read_markets(data, test))
    rows = np.array([row for market in markets for row in _calm_days(market, facts)]).reshape(-1, 4)
    score, utilization, distance, trouble = rows.T
    given = int(sum(market.is_scored.sum() for market in markets))
    print(
        f"scores before trouble: {given - trouble.size} of {given} stable market days not scored: in trouble already, "
        f"below {SMALLEST_USD:,.0f} USD, without a reading, a market's first {TREND_DAYS} or its last"
    )
    if not 0.0 < trouble.sum() < trouble.size:
        print(f"skipped: scores before trouble; it followed {trouble.sum():.0f} of {trouble.size} calm market days")
        return []
    alarms = int((score < ALARM_BELOW).sum())
    note = f"{trouble.mean():.2%} of {trouble.size} calm market days; {alarms} alarms each"
    figures = []
    for name, danger in (("score", -score), ("score_utilization_alone", utilization), ("score_peg_alone", distance)):
        chosen = trouble[np.argsort(-danger, kind="stable")[:alarms]]
        figures += [
            Figure(f"{name}_auc", float(roc_auc_score(trouble, danger)), "area", 0.5, note),
            Figure(f"{name}_alarm_recall", float(chosen.sum() / trouble.sum()), "of days before trouble"),
            Figure(f"{name}_alarm_precision", float(chosen.mean()) if alarms else 0.0, "of alarms"),
        ]
    return figures


def _calm_days(market: Market, facts: RiskFacts) -> Iterator[tuple[float, float, float, float]]:
    """Score, utilization, distance from the peg, and whether trouble follows within a week."""
    for day in range(TREND_DAYS, market.days.size - 1):
        used, price = market.utilization[day], market.price[day]
        ahead = slice(day + 1, day + 1 + AHEAD_DAYS)
        window = market.deposits_usd[day + 1 - TREND_DAYS : day + 1]
        is_small = np.isnan(window).all() or np.nanmedian(window) < SMALLEST_USD
        if is_small or np.isnan(used) or not market.is_scored[day] or used >= CLOSED or price < LOST_PEG:
            continue
        trouble = (market.utilization[ahead] >= CLOSED).any() or (market.price[ahead] < LOST_PEG).any()
        distance = 0.0 if np.isnan(price) else abs(price - 1.0)
        yield score_day(market, day, facts), used, distance, float(trouble)


def score_day(market: Market, day: int, facts: RiskFacts) -> float:
    """The lower of market and liquidity part; full where neither is known well enough to speak."""
    used, price = float(market.utilization[day]), float(market.price[day])
    readings = ProtocolReadings(
        protocol="market",
        day=market.days[day].date(),
        peg_deviation=None if np.isnan(price) else price - 1.0,
        deposits_usd=market.deposits_usd[day + 1 - TREND_DAYS : day + 1],
        withdrawable_share=max(1.0 - used, 0.0),
        utilization=used,
        kink=CURVELESS_KINK,
        not_applicable=UNKNOWN_FACTORS,
    )
    (found,) = assess_protocols([readings], facts)
    known = [found.parts[group].score for group in GROUPS]
    return min((score for score in known if score is not None), default=100.0)


def read_markets(data: Path, test: Path | None) -> Iterator[Market]:
    rates = _stacked(read_rates(data), None if test is None else read_rates(test))
    closes = _closes(data, test)
    for name, rows in rates[rates["group"] == "stable"].groupby("market"):
        asset = rows["asset"].iloc[0]
        daily = rows.drop_duplicates("date", keep="last").set_index("date").sort_index().asfreq("D")
        token = WRAPPED.get(asset, asset)
        price = closes[token].reindex(daily.index) if token in closes else pd.Series(np.nan, index=daily.index)
        yield Market(
            name=str(name),
            days=pd.DatetimeIndex(daily.index),
            utilization=np.maximum(daily["utilization"].to_numpy(dtype=np.float64), 0.0),
            deposits_usd=np.maximum(daily["supplied_usd"].to_numpy(dtype=np.float64), 0.0),
            price=np.asarray(price, dtype=np.float64),
            is_scored=daily["is_scored"].fillna(0.0).to_numpy(dtype=np.float64),
        )


def _stacked(history: pd.DataFrame, scored: pd.DataFrame | None) -> pd.DataFrame:
    """With a folder of its own to score, the history is only what the first days look back on."""
    if scored is None:
        return history.assign(is_scored=1.0)
    return pd.concat([history.assign(is_scored=0.0), scored.assign(is_scored=1.0)], ignore_index=True)


def _closes(data: Path, test: Path | None) -> pd.DataFrame:
    folders = [folder for folder in (data, test) if folder is not None and (folder / PRICES).is_file()]
    tables = [read_table(folder, PRICES, ("date", "asset", "source", "close")) for folder in folders]
    if not tables:
        return pd.DataFrame()
    prices = pd.concat(tables, ignore_index=True)
    recorded = prices[prices["source"] == "cmc"]
    return recorded.pivot_table(index="date", columns="asset", values="close", aggfunc="last")
