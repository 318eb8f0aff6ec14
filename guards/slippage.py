"""Slippage: minimum outs against the oracle, per trade and over rolling windows; exits carry the emergency floor."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import Final

from domain.market import Token
from domain.oracle import healthy_oracle_price
from domain.units import BPS_PER_ONE, EXACT, divide_up, scale_down_bps
from guards.actions import Action
from guards.asymmetry import is_exit
from guards.case import Case
from guards.deltas import delta_of
from guards.finding import Quantity, Row, Ruler
from guards.measures import oracle_value, slippage_usd, swaps

RULER = Ruler("slippage")
UNIT: Final = "base units"


def check_slippage(case: Case) -> tuple[Row, ...]:
    trades = swaps(case)
    zero = tuple(row for swap in trades for row in _check_minimum(swap))
    if is_exit(case):
        return zero + tuple(_check_exit(case))
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


def _check_exit(case: Case) -> Iterator[Row]:
    """Healthy oracles set the floor of a swap; the quote of its pool does where one of them cannot be rested on.

    A swap that reaches neither is no loss of the way out: the position can be left into its own token.
    """
    quoted: dict[tuple[str, str], int] = defaultdict(int)
    for number, swap in enumerate(swaps(case), start=1):
        if swap.venue is None:
            continue  # refused for its argument
        floor = _oracle_floor(swap, swap.bought, case)
        if floor is None:
            quoted[swap.venue.pool, swap.bought.address] += swap.minimum_out
            continue
        subject = f"swap {number} in {swap.venue.pool}"
        yield RULER.at_least("emergency_floor", subject, observed=swap.minimum_out, limit=floor, unit=UNIT)
    for (pool, token), minimum in quoted.items():
        yield _check_quoted_floor(pool, token, minimum, case)


def _oracle_floor(swap: Action, bought: Token, case: Case) -> int | None:
    """Oracle value of what is sold less the emergency floor, in base units of what is bought, rounded up."""
    sold_usd, bought_usd = _healthy_price(swap.token, case), _healthy_price(bought, case)
    if sold_usd is None or bought_usd is None:
        return None
    kept_bps = BPS_PER_ONE - case.evidence.policy.slippage.emergency_floor_bps
    units = Fraction(10) ** (bought.decimals - swap.token.decimals)
    return ceil(swap.amount * sold_usd / bought_usd * units * kept_bps / BPS_PER_ONE)


def _healthy_price(token: Token, case: Case) -> Fraction | None:
    evidence = case.evidence
    price = healthy_oracle_price(token, evidence.snapshot, evidence.policy, now=evidence.now)
    return None if price is None else Fraction(price)


def _check_quoted_floor(pool: str, token: str, minimum: int, case: Case) -> Row:
    """All minimum outs of one pool against what the simulation saw it pay.

    The simulation's own tolerance is granted too, since a market that improves between quote and send must not block.
    """
    limits = case.evidence.policy
    allowed = min(limits.slippage.emergency_floor_bps + limits.simulation.max_delta_tolerance_bps, BPS_PER_ONE)
    paid = max(-delta_of(case, pool, token), 0)
    observed, floor = (minimum, scale_down_bps(paid, allowed)) if paid else (None, 0)
    return RULER.at_least("emergency_floor", pool, observed=observed, limit=floor, unit=UNIT)
