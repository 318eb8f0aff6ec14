"""Would guards refuse what a candidate does? Measured on its own moves as guards measure, before it is proposed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from domain.plan import Move, MoveKind
from domain.policy import Policy, RiskLimits
from domain.portfolio import Portfolio, value_holdings
from domain.risk import Estimate, RiskReport
from domain.stress import scenario_set
from domain.units import BPS_PER_ONE, value_usd
from tools.caps import exceeded_shares
from tools.market import Market, number
from tools.risk_report import assess_portfolio

TOLERANCE: Final = 1e-12
"""Of a share in floats; guards compare exactly, and caps keep half a percent of distance."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The book that moves leave, and its measured risk."""

    moves: tuple[Move, ...]
    after: Portfolio
    report: RiskReport


def measure_outcome(market: Market, moves: tuple[Move, ...], after: Portfolio, *, subject: str) -> Outcome:
    report = assess_portfolio(
        after,
        snapshot=market.snapshot,
        history=market.history,
        catalog=market.catalog,
        policy=market.policy,
        subject=subject,
    )
    return Outcome(moves, after, report)


def refusals(market: Market, outcome: Outcome) -> tuple[str, ...]:
    """Names of the limits that the outcome breaks or leaves unknown; empty when guards have no reason to deny."""
    return (
        *exceeded_shares(market, outcome.after),
        *_moved_too_much(market, outcome),
        *_risk_refusals(outcome.report, market.policy.risk),
        *_stress_refusals(market, outcome),
    )


def tail_excess(report: RiskReport, policy: Policy) -> float:
    """The upper end of the worst measured risk as a multiple of its limit; 0 where nothing is limited or known."""
    limits = policy.risk
    bounded = [(estimate, number(limit)) for _, estimate, limit in _measures(report, limits) if estimate]
    return max((estimate.upper / limit for estimate, limit in bounded if limit > 0), default=0.0)


def turnover_share(market: Market, moves: Sequence[Move], after: Portfolio) -> float:
    """Value that leaves a position or a cash line, at least what is sold of any one token, over net asset value."""
    later: dict[tuple[str, str | None], float] = defaultdict(float)
    for line in value_holdings(after, market.snapshot, market.catalog):
        later[line.token, line.strategy] += float(line.value_usd) / market.net_value_usd
    falls = sum(max(share - later.get(key, 0.0), 0.0) for key, share in market.shares.items())
    return max(falls, max(_sold_shares(market, moves).values(), default=0.0))


def _sold_shares(market: Market, moves: Sequence[Move]) -> dict[str, float]:
    sold: dict[str, float] = defaultdict(float)
    for move in moves:
        if move.kind is MoveKind.SWAP:
            price = market.snapshot.price_usd(move.token_in) or Decimal(0)
            decimals = market.catalog.token(move.token_in).decimals
            worth = value_usd(move.amount_in, decimals=decimals, price_usd=price)
            sold[move.token_in] += float(worth) / market.net_value_usd
    return sold


def _moved_too_much(market: Market, outcome: Outcome) -> Iterator[str]:
    policy, nav = market.policy, market.net_value_usd
    moved = turnover_share(market, outcome.moves, outcome.after)
    if moved > number(policy.exposure.max_run_turnover_share) + TOLERANCE:
        yield "turnover"
    if moved * nav > number(policy.budgets.max_transaction_value_usd) + TOLERANCE * nav:
        yield "transaction-value"
    sold = sum(_sold_shares(market, outcome.moves).values()) * nav
    lost = sold * policy.slippage.max_trade_slippage_bps / BPS_PER_ONE
    if lost > number(policy.slippage.max_day_slippage_usd) + TOLERANCE * nav:
        yield "swaps"


def _risk_refusals(report: RiskReport, limits: RiskLimits) -> Iterator[str]:
    for name, estimate, limit in _measures(report, limits):
        if estimate is None or estimate.sample_size < limits.min_sample_days_count:
            yield f"{name}:sample"
        elif estimate.confidence < float(limits.min_interval_confidence_share):
            yield f"{name}:confidence"
        elif estimate.upper > number(limit):
            yield name


def _measures(report: RiskReport, limits: RiskLimits) -> Iterator[tuple[str, Estimate | None, Decimal | str]]:
    tail_95, tail_99 = report.tail(0.95), report.tail(0.99)
    yield "var-95", tail_95.var if tail_95 else None, limits.max_var_95_share
    yield "var-99", tail_99.var if tail_99 else None, limits.max_var_99_share
    yield "cvar-95", tail_95.cvar if tail_95 else None, limits.max_cvar_95_share
    yield "cvar-99", tail_99.cvar if tail_99 else None, limits.max_cvar_99_share
    yield "volatility", report.volatility, limits.max_volatility_share
    yield "drawdown", report.max_drawdown, limits.max_drawdown_share


def _stress_refusals(market: Market, outcome: Outcome) -> Iterator[str]:
    losses = {(hit.family, hit.subject): hit for hit in outcome.report.stress}
    for key in sorted(scenario_set(outcome.after, market.catalog)):
        hit = losses.get(key)
        limit = number(getattr(market.policy.stress, f"max_{key[0]}_loss_share"))
        if hit is None or hit.loss > limit:
            yield f"stress:{hit.scenario if hit else key[0]}"
