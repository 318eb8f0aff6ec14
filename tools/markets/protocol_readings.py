"""From one snapshot and its history to what is known of each protocol today: the worst of its strategies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from domain.market import Catalog, MarketHistory, MarketSnapshot, RateObservation, Strategy, StrategyKind
from domain.risk_facts import Factor
from domain.units import value_usd
from tools.history import FloatArray, carry_forward, series_of
from tools.markets.market_analyzer import CURVELESS_KINK, up_to_now
from tools.markets.protocol_factors import TREND_DAYS, ProtocolReadings
from tools.protocol_risk import deepest_fall


def read_protocols(
    catalog: Catalog, snapshot: MarketSnapshot, history: MarketHistory, *, incidents: frozenset[str]
) -> tuple[ProtocolReadings, ...]:
    """One reading per protocol of the catalog, by name. `incidents` names protocols with one that is open.

    A factor of a protocol is unknown where it is unknown of any of its strategies. Deposits are valued at the prices of
    their own day, known only where supply and price of every strategy are. Never raises for missing readings.
    """
    protocols = sorted({strategy.protocol for strategy in catalog.strategies})
    return tuple(_read(protocol, catalog, snapshot, history, is_open=protocol in incidents) for protocol in protocols)


def _read(
    protocol: str, catalog: Catalog, snapshot: MarketSnapshot, history: MarketHistory, *, is_open: bool
) -> ProtocolReadings:
    strategies = [strategy for strategy in catalog.strategies if strategy.protocol == protocol]
    rates = [snapshot.rate(strategy.id) for strategy in strategies]
    vaults = [strategy for strategy in strategies if strategy.kind is StrategyKind.ERC4626]
    lending = [rate for rate in rates if rate is None or rate.borrowed is not None]
    fullest = max((rate for rate in lending if rate), key=_excess, default=None)
    return ProtocolReadings(
        protocol=protocol,
        day=snapshot.block_time.date(),
        is_stopped=_is_stopped(rates, is_open=is_open),
        peg_deviation=_worst_peg(strategies, snapshot, catalog),
        share_price_fall=_worst(vaults, lambda vault: _fall(vault, snapshot, history)),
        deposits_usd=_deposits_usd(strategies, snapshot, history, catalog),
        withdrawable_share=_least_withdrawable(rates),
        utilization=None if fullest is None or None in lending else fullest.utilization or 0.0,
        kink=_kink(fullest),
        rests_on=_rests_on(strategies, catalog),
        not_applicable=_not_applicable(strategies, lending=bool(lending), has_vault=bool(vaults), catalog=catalog),
    )


def _not_applicable(
    strategies: Iterable[Strategy], *, lending: bool, has_vault: bool, catalog: Catalog
) -> frozenset[Factor]:
    has_peg = any(catalog.token(strategy.token).is_stable for strategy in strategies)
    applies = {Factor.UTILIZATION: lending, Factor.SHARE_PRICE: has_vault, Factor.PEG: has_peg}
    return frozenset(factor for factor, does in applies.items() if not does)


def _rests_on(strategies: Sequence[Strategy], catalog: Catalog) -> frozenset[str]:
    """Those of the catalog's protocols that its strategies name as a shared factor."""
    own = {strategy.protocol for strategy in strategies}
    listed = {strategy.protocol for strategy in catalog.strategies}
    return frozenset(name for strategy in strategies for name in strategy.factors if name in listed - own)


def _is_stopped(rates: Sequence[RateObservation | None], *, is_open: bool) -> bool | None:
    if is_open or any(rate is not None and rate.is_paused for rate in rates):
        return True
    return None if None in rates else False


def _kink(rate: RateObservation | None) -> float:
    return rate.curve.optimal_utilization if rate is not None and rate.curve else CURVELESS_KINK


def _excess(rate: RateObservation) -> float:
    """How far up the steep part of its own curve a pool stands; below the kink, negative."""
    return ((rate.utilization or 0.0) - _kink(rate)) / (1.0 - _kink(rate))


def _worst(strategies: Sequence[Strategy], measure: Callable[[Strategy], float | None]) -> float | None:
    values = [measure(strategy) for strategy in strategies]
    known = [value for value in values if value is not None]
    return max(known) if known and len(known) == len(values) else None


def _worst_peg(strategies: Sequence[Strategy], snapshot: MarketSnapshot, catalog: Catalog) -> float | None:
    stable = {strategy.token for strategy in strategies if catalog.token(strategy.token).is_stable}
    prices = [snapshot.price_usd(token) for token in sorted(stable)]
    deviations = [float(price) - 1.0 for price in prices if price is not None]
    return max(deviations, key=abs) if deviations and len(deviations) == len(prices) else None


def _fall(vault: Strategy, snapshot: MarketSnapshot, history: MarketHistory) -> float | None:
    rate = snapshot.rate(vault.id)
    if rate is None:
        return None
    past = carry_forward(series_of(history.share_price, vault.id, len(history.days)))
    return deepest_fall(np.append(past, float(rate.share_price)), days=TREND_DAYS)


def _deposits_usd(
    strategies: Sequence[Strategy], snapshot: MarketSnapshot, history: MarketHistory, catalog: Catalog
) -> FloatArray:
    """One value per day up to now; NaN on days on which a strategy was not read or its token had no price."""
    lines = [_line_usd(strategy, snapshot, history, catalog) for strategy in strategies]
    return np.asarray(np.sum(lines, axis=0))


def _line_usd(strategy: Strategy, snapshot: MarketSnapshot, history: MarketHistory, catalog: Catalog) -> FloatArray:
    days, decimals = len(history.days), catalog.token(strategy.token).decimals
    rate, price = snapshot.rate(strategy.id), snapshot.price_usd(strategy.token)
    newest = None
    if rate is not None and price is not None:
        newest = float(value_usd(rate.supplied, decimals=decimals, price_usd=price))
    supplied = series_of(history.supplied, strategy.id, days) / 10.0**decimals
    return up_to_now(supplied * series_of(history.price_usd, strategy.token, days), newest, snapshot, history)


def _least_withdrawable(rates: Sequence[RateObservation | None]) -> float | None:
    if not rates or any(rate is None for rate in rates):
        return None
    return min(min(rate.withdrawable / rate.supplied, 1.0) if rate.supplied else 0.0 for rate in rates if rate)
