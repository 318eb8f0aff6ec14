"""Slippage: minimum outs against the oracle, per trade and over rolling windows; exits carry the emergency floor."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal

from domain.units import BPS_PER_ONE, EXACT, divide_up, scale_down_bps
from guards.actions import Action
from guards.asymmetry import is_exit
from guards.case import Case
from guards.deltas import delta_of
from guards.finding import Quantity, Row, Ruler
from guards.measures import oracle_value, slippage_usd, swaps

RULER = Ruler("slippage")


def check_slippage(case: Case) -> tuple[Row, ...]:
    trades = swaps(case)
    zero = tuple(row for swap in trades for row in _check_minimum(swap))
    if is_exit(case):
        return zero + tuple(_check_emergency_floor(case))
    return zero + tuple(_check_trade(swap, case) for swap in trades) + tuple(_check_windows(case))


def _check_minimum(swap: Action) -> Iterator[Row]:
    unit = f"{swap.bought.id} base units"
    yield RULER.at_least("min_out_zero", _pair(swap), observed=swap.minimum_out, limit=1, unit=unit)


def _pair(swap: Action) -> str:
    return f"{swap.token.id} to {swap.bought.id}"


def _check_trade(swap: Action, case: Case) -> Row:
    """How far the minimum out lies below the oracle's value of what is sold; unknown without an oracle price."""
    limit = case.evidence.policy.slippage.max_trade_slippage_bps
    paid = oracle_value(swap.token, swap.amount, case)
    floor = oracle_value(swap.bought, swap.minimum_out, case)
    below = None
    if paid is not None and floor is not None and paid > 0:
        below = divide_up(EXACT.multiply(EXACT.subtract(paid, floor), Decimal(BPS_PER_ONE)), paid)
    return RULER.at_most("trade_slippage", _pair(swap), observed=below, limit=limit, unit="bps")


def _check_windows(case: Case) -> Iterator[Row]:
    ours = slippage_usd(case)
    for code, subject, used, limit in windows(case):
        total = None if ours is None else EXACT.add(used, ours)
        yield RULER.at_most(code, subject, observed=total, limit=limit, unit="usd")


def windows(case: Case) -> tuple[tuple[str, str, Decimal, Quantity | str], ...]:
    """What each rolling window has used, against the most that it may have."""
    limits, used = case.evidence.policy.slippage, case.evidence.budget
    return (
        ("day_slippage", "24 hours", used.slippage_day_usd, limits.max_day_slippage_usd),
        ("week_slippage", "7 days", used.slippage_week_usd, limits.max_week_slippage_usd),
    )


def _check_emergency_floor(case: Case) -> Iterator[Row]:
    """Per pool: all minimum outs against what the simulation saw the pool pay.

    The oracle does not count here: where it is stale or the peg is broken it would close the only way out. The
    simulation's own tolerance is granted too, since a market that improves between quote and send must not.
    """
    limits = case.evidence.policy
    allowed = min(limits.slippage.emergency_floor_bps + limits.simulation.max_delta_tolerance_bps, BPS_PER_ONE)
    for (pool, token), minimum in _minimums_by_pool(case).items():
        paid = max(-delta_of(case, pool, token), 0)
        observed, floor = (minimum, scale_down_bps(paid, allowed)) if paid else (None, 0)
        yield RULER.at_least("emergency_floor", pool, observed=observed, limit=floor, unit="base units")


def _minimums_by_pool(case: Case) -> dict[tuple[str, str], int]:
    minimums: dict[tuple[str, str], int] = defaultdict(int)
    for swap in swaps(case):
        if swap.venue is not None:
            minimums[swap.venue.pool, swap.bought.address] += swap.minimum_out
    return minimums
