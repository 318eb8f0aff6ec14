"""Economics: the forecast's lower bound pays the costs with the required margin, and gas stays within its caps."""

from __future__ import annotations

from domain.units import EXACT
from domain.verdict import Economics
from guards.case import Case
from guards.finding import Row, Ruler, measured
from guards.measures import gas_usd

RULER = Ruler("economics")


def check_economics(case: Case) -> tuple[Row, ...]:
    evidence = case.evidence
    limits, snapshot = evidence.policy.economics, evidence.snapshot
    days = measured(evidence.economics.break_even_days) if evidence.economics else None
    gas_price = snapshot.base_fee_wei + snapshot.priority_fee_wei
    needed = evidence.simulation.gas_used * gas_price
    return (
        _check_net_gain(evidence.economics, case),
        RULER.at_most("break_even", "batch", observed=days, limit=limits.max_break_even_days, unit="days"),
        RULER.at_most("gas_price", "head", observed=gas_price, limit=limits.max_gas_price_wei, unit="wei"),
        RULER.at_most("fee_cap", "envelope", observed=needed, limit=evidence.plan.fee_cap_wei, unit="wei"),
        RULER.at_most("gas_cost", "envelope", observed=gas_usd(case), limit=limits.max_gas_cost_usd, unit="usd"),
    )


def _check_net_gain(economics: Economics | None, case: Case) -> Row:
    gain = measured(economics.lower_gain_usd) if economics else None
    cost = measured(economics.cost_usd) if economics else None
    net = None if gain is None or cost is None else EXACT.subtract(gain, cost)
    limit = case.evidence.policy.economics.min_net_gain_usd
    return RULER.at_least("net_gain", "batch", observed=net, limit=limit, unit="usd")
