"""What it costs and may cost: economics, slippage, budgets and the human's consent."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from fractions import Fraction
from unicodedata import category, normalize

from domain.market import Token
from domain.verdict import Approval, ApprovalStatus, Economics
from tests.oracle.actions import Action
from tests.oracle.book import Facts
from tests.oracle.exact import BPS, MICROSECONDS, Measure, Rational, age, money, pair_of_statistic, unit_price
from tests.oracle.remembered import digest_of_plan
from tests.oracle.sheet import Sheet, plus

WEI_DECIMALS = 18


def judge_economics(facts: Facts, sheet: Sheet) -> None:
    evidence, snapshot = facts.evidence, facts.evidence.snapshot
    gain, days = _net_gain(evidence.economics), _break_even(evidence.economics)
    sheet.at_least("net_gain", gain, "economics", "min_net_gain_usd")
    sheet.at_most("break_even", days, "economics", "max_break_even_days")
    gas_price = snapshot.base_fee_wei + snapshot.priority_fee_wei
    sheet.at_most("gas_price", (gas_price, 1), "economics", "max_gas_price_wei")
    sheet.require("fee_cap", evidence.simulation.gas_used * gas_price <= evidence.plan.fee_cap_wei)
    sheet.money_at_most("gas_cost", fee_cap_usd(facts), "economics", "max_gas_cost_usd")


def _net_gain(economics: Economics | None) -> Measure:
    if economics is None or economics.lower_gain_usd is None or economics.cost_usd is None:
        return None
    gain, cost = pair_of_statistic(economics.lower_gain_usd), pair_of_statistic(economics.cost_usd)
    return gain[0] * cost[1] - cost[0] * gain[1], gain[1] * cost[1]


def _break_even(economics: Economics | None) -> Measure:
    if economics is None or economics.break_even_days is None:
        return None
    return pair_of_statistic(economics.break_even_days)


def fee_cap_usd(facts: Facts) -> Rational | None:
    """At the native token's highest price: costs are rounded against ourselves."""
    prices = facts.prices.get(facts.evidence.catalog.native_token, [])
    highest = max((price.price_usd for price in prices), default=None)
    return None if highest is None else facts.evidence.plan.fee_cap_wei * unit_price(highest, WEI_DECIMALS)


def judge_slippage(facts: Facts, sheet: Sheet) -> None:
    for swap in facts.swaps:
        sheet.require("min_out_zero", swap.minimum_out > 0)
    if facts.is_exit:
        _judge_floors(facts, sheet)
        return
    shortfalls = [_judge_trade(facts, sheet, swap) for swap in facts.swaps]
    budget = facts.evidence.budget
    for window, used in (("day", budget.slippage_day_usd), ("week", budget.slippage_week_usd)):
        lost = plus(money(used), *shortfalls)
        sheet.money_at_most(f"{window}_slippage", lost, "slippage", f"max_{window}_slippage_usd")


def _judge_trade(facts: Facts, sheet: Sheet, swap: Action) -> Rational | None:
    """The minimum out below the oracle's value of what is sold; its shortfall in money, never below 0."""
    sold, bought = _oracle_value(facts, swap.token.id, swap.amount), None
    if swap.bought is not None:
        bought = _oracle_value(facts, swap.bought.id, swap.minimum_out)
    below = None if sold is None or bought is None else sold - bought
    relative = None if below is None or not sold else (below * BPS, sold)
    sheet.at_most("trade_slippage", relative, "slippage", "max_trade_slippage_bps")
    return None if below is None else max(0, below)


def _oracle_value(facts: Facts, token_id: str, amount: int) -> Rational | None:
    prices = [price for price in facts.prices.get(token_id, []) if price.source == "oracle"]
    return amount * unit_price(prices[0].price_usd, facts.tokens[token_id].decimals) if prices else None


def _judge_floors(facts: Facts, sheet: Sheet) -> None:
    """By two healthy oracles for each swap; else per pool, by what the simulation saw it pay, with the tolerance."""
    policy = facts.evidence.policy
    minimums: Counter[tuple[str, str]] = Counter()
    for swap in facts.swaps:
        if swap.venue is None or swap.bought is None:
            continue
        sold_at, bought_at = _healthy(facts, swap.token), _healthy(facts, swap.bought)
        if sold_at is None or bought_at is None:
            minimums[swap.venue.pool, swap.bought.address] += swap.minimum_out
            continue
        sold = swap.amount * unit_price(sold_at, swap.token.decimals)
        bought = swap.minimum_out * unit_price(bought_at, swap.bought.decimals)
        sheet.require("emergency_floor", bought * BPS >= sold * (BPS - policy.slippage.emergency_floor_bps))
    for (pool, contract), minimum in minimums.items():
        paid = -facts.net[pool, contract]
        kept = BPS - policy.slippage.emergency_floor_bps - policy.simulation.max_delta_tolerance_bps
        sheet.require("emergency_floor", paid > 0 and minimum >= paid * kept // BPS)


def _healthy(facts: Facts, token: Token) -> Decimal | None:
    """The first price of the source `oracle`, where it is of an age that passes and, of a stable token, on the peg."""
    told = [price for price in facts.prices.get(token.id, []) if price.source == "oracle"]
    if not told:
        return None
    policy, passed = facts.evidence.policy, age(facts.evidence.now, told[0].observed_at)
    oldest = token.feed_heartbeat_seconds + policy.freshness.max_price_age_over_heartbeat_seconds
    if passed is None or passed > oldest * MICROSECONDS:
        return None
    off = abs(Fraction(told[0].price_usd) - 1) * BPS
    is_off = token.is_stable and off > policy.mitigation.max_peg_deviation_bps
    return None if is_off else told[0].price_usd


def judge_budgets(facts: Facts, sheet: Sheet) -> None:
    budget, moved = facts.evidence.budget, facts.moved
    sheet.require("ledger_corrupt", budget.is_intact)
    loss = None
    if facts.nav_before is not None and facts.nav_after is not None:
        loss = max(0, facts.nav_before - facts.nav_after)
    spent: tuple[tuple[str, Rational | None, str], ...] = (
        ("transaction_value", moved, "max_transaction_value_usd"),
        ("day_value", plus(moved, money(budget.value_day_usd)), "max_day_value_usd"),
        ("week_value", plus(moved, money(budget.value_week_usd)), "max_week_value_usd"),
        ("day_loss", plus(loss, money(budget.loss_day_usd)), "max_day_loss_usd"),
        ("week_loss", plus(loss, money(budget.loss_week_usd)), "max_week_loss_usd"),
        ("day_gas", plus(fee_cap_usd(facts), money(budget.gas_day_usd)), "max_day_gas_usd"),
    )
    for code, observed, key in spent:
        sheet.money_at_most(code, observed, "budgets", key)
    sheet.at_most("runs_per_hour", (budget.runs_hour_count, 1), "budgets", "max_hour_runs_count")


def judge_approval(facts: Facts, sheet: Sheet) -> bool:
    """Whether the verdict waits for a human. An answer that is there is judged, asked for or not."""
    sheet.money_at_most("approval_threshold", facts.moved, "approval", "min_value_without_approval_usd")
    threshold = sheet.rows.pop()
    approval = facts.evidence.approval
    if approval is None or approval.status is ApprovalStatus.PENDING:
        sheet.rows.append(threshold._replace(passed=facts.moved is not None))
        return facts.moved is not None and not threshold.passed
    sheet.rows.append(threshold._replace(passed=True))
    _judge_answer(facts, sheet, approval)
    return False


def _judge_answer(facts: Facts, sheet: Sheet, approval: Approval) -> None:
    plan, rules = facts.evidence.plan, facts.evidence.policy.approval
    is_same = approval.batch_digest == digest_of_plan(plan) and approval.run_id == plan.run_id
    sheet.require("approval_digest", is_same)
    sheet.require("approval_denied", approval.status is not ApprovalStatus.DENIED)
    sheet.require("approval_used", approval.status is not ApprovalStatus.USED)
    sheet.require("approval_expired", facts.evidence.now < approval.expires_at)
    answered_by = _identity(approval.answered_by or "")
    sheet.require("approval_role", approval.role == "approver" and answered_by != "")
    is_other = answered_by != _identity(approval.requested_by)
    sheet.require("four_eyes", is_other or not rules.requires_four_eyes)


def _identity(name: str) -> str:
    """A name as names are compared: NFKC and case folded until nothing changes, no format characters, no spaces."""
    while (folded := normalize("NFKC", name).casefold()) != name:
        name = folded
    return "".join(each for each in name if category(each) != "Cf").strip()
