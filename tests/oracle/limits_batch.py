"""What the batch is: bound to its plan, on the allowlist, and simulated with the effects that it says."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import Final

from domain.market import Strategy, StrategyKind
from domain.transaction import NATIVE
from tests.oracle.actions import ACTIONS, EVERYTHING, EXITS, Action, registered
from tests.oracle.book import Facts
from tests.oracle.calldata import Call
from tests.oracle.exact import BPS
from tests.oracle.remembered import digest_of_plan, digest_of_policy, digest_of_snapshot
from tests.oracle.sheet import Sheet

RECIPIENTS: Final = ("onBehalfOf", "to", "receiver", "owner", "recipient")
MUST_BE_ZERO: Final = ("referralCode", "sqrtPriceLimitX96")


def judge_binding(facts: Facts, sheet: Sheet) -> None:
    evidence = facts.evidence
    plan = evidence.plan
    minimums = tuple(swap.minimum_out for swap in facts.swaps)
    sheet.require("batch_mismatch", facts.reads_as_judged and minimums == plan.minimum_outs)
    sheet.require("policy_digest", plan.policy_digest == digest_of_policy(evidence.policy))
    sheet.require("snapshot_digest", plan.snapshot_digest == digest_of_snapshot(evidence.snapshot))
    sheet.require("plan_expired", evidence.now < plan.expires_at)
    _judge_blocks(facts, sheet)


def _judge_blocks(facts: Facts, sheet: Sheet) -> None:
    """One height has one block, the book before is the snapshot's, and no rate is of elsewhere or later."""
    evidence, snapshot, simulation = facts.evidence, facts.evidence.snapshot, facts.evidence.simulation
    is_same = snapshot.block_hash == simulation.block_hash
    sheet.require("block_mismatch", is_same or snapshot.block_number != simulation.block_number)
    sheet.require("block_mismatch", evidence.before.block_number == snapshot.block_number)
    for rate in snapshot.rates:
        is_ours = rate.chain_id == evidence.catalog.chain_id and rate.block_number <= snapshot.block_number
        sheet.require("block_mismatch", is_ours)


def judge_allowlist(facts: Facts, sheet: Sheet) -> None:
    evidence, catalog, reading = facts.evidence, facts.evidence.catalog, facts.reading
    places = (evidence.plan, evidence.batch, evidence.before, evidence.after)
    chains = {place.chain_id for place in places} | {evidence.simulation.chain_id, evidence.snapshot.chain_id}
    accounts = {place.account for place in places}
    sheet.require("chain_id", chains == {catalog.chain_id} and accounts == {catalog.account})
    sheet.require("undecoded", facts.is_complete and bool(reading.calls))
    contracts = {token.address for token in catalog.tokens} | {strategy.contract for strategy in catalog.strategies}
    contracts |= {catalog.contracts.aave_pool, catalog.contracts.swap_router}
    for call, action in zip(reading.calls, facts.actions, strict=True):
        sheet.require("contract", call.target in contracts)
        is_listed = registered(call, catalog) and call.signature is not None and call.signature.name in ACTIONS
        sheet.require("selector", is_listed)
        sheet.require("delegatecall", not call.is_delegatecall)
        sheet.require("native_value", call.value == 0)
        if is_listed:
            _judge_arguments(facts, sheet, call, action)
    _judge_allowances(facts, sheet)


def _judge_arguments(facts: Facts, sheet: Sheet, call: Call, action: Action | None) -> None:
    arguments = call.arguments or {}
    is_known = action is not None and (action.bought is None or action.venue is not None)
    sheet.require("argument", is_known and not any(arguments.get(name) for name in MUST_BE_ZERO))
    if action is None:
        return
    catalog = facts.evidence.catalog
    sheet.require_all("recipient", (arguments[name] == catalog.account for name in RECIPIENTS if name in arguments))
    if action.name == "approve":
        takers = {s.contract for s in catalog.strategies if s.token == action.token.id}
        sheet.require("spender", action.taker in takers | {catalog.contracts.swap_router})


def _judge_allowances(facts: Facts, sheet: Sheet) -> None:
    """Each taking finds exactly its amount approved; nothing stays approved, walked or simulated."""
    approved: Counter[tuple[str, str]] = Counter()
    for action in facts.known_actions:
        key = (action.token.id, action.taker)
        if action.name == "approve":
            approved[key] = action.amount
        elif action.name not in EXITS:
            sheet.require("approval_amount", approved.pop(key, 0) == action.amount)
    sheet.require("approval_amount", not any(approved.values()))
    sheet.require("leftover_approval", not any(left.amount for left in facts.evidence.simulation.leftover_approvals))


def judge_simulation(facts: Facts, sheet: Sheet) -> None:
    evidence, simulation = facts.evidence, facts.evidence.simulation
    lag = evidence.head_block_number - simulation.block_number
    sheet.require("simulation_failed", simulation.succeeded and simulation.gas_used > 0)
    sheet.require("simulation_digest", simulation.batch_digest == digest_of_plan(evidence.plan))
    sheet.at_most("simulation_stale", (lag, 1) if lag >= 0 else None, "simulation", "max_age_blocks")
    expected = _expected_changes(facts)
    _judge_deltas(facts, sheet, expected)
    _judge_strangers(facts, sheet)
    _judge_lines(facts, sheet, expected)
    gas_price = evidence.snapshot.base_fee_wei + evidence.snapshot.priority_fee_wei
    if facts.is_exit and gas_price > 0:
        sheet.require("exit_fee_cap", evidence.plan.fee_cap_wei <= 30 * simulation.gas_used * gas_price)


class Changes:
    """What the calls say about the account's balance of each token contract."""

    def __init__(self) -> None:
        self.net: Counter[str] = Counter()
        self.gross: Counter[str] = Counter()
        self.is_open: set[str] = set()

    def add(self, contract: str, amount: int, *, is_open: bool = False) -> None:
        self.net[contract] += amount
        self.gross[contract] += abs(amount)
        if is_open:
            self.is_open.add(contract)

    def lowest(self, contract: str, tolerance_bps: int) -> int:
        return self.net[contract] - self.gross[contract] * tolerance_bps // BPS


def _expected_changes(facts: Facts) -> Changes:
    changes = Changes()
    for action in facts.known_actions:
        if action.strategy is not None:
            _expect_position(facts, changes, action, action.strategy)
        elif action.bought is not None:
            changes.add(action.token.address, -action.amount)
            changes.add(action.bought.address, action.minimum_out, is_open=True)
    return changes


def _expect_position(facts: Facts, changes: Changes, action: Action, strategy: Strategy) -> None:
    """Interest may add to what an aToken shows; shares of a vault are burned exactly."""
    token, receipt = action.token.address, strategy.receipt
    held = facts.before.lines["position", strategy.id]
    match action.name:
        case "supply":
            changes.add(token, -action.amount)
            changes.add(receipt, action.amount, is_open=True)
        case "deposit":
            changes.add(token, -action.amount)
            changes.add(receipt, _shares_for(facts, strategy, action), is_open=True)
        case "redeem":
            shares = facts.before.shares[strategy.id]
            changes.add(token, held * min(action.amount, shares) // shares if shares else 0, is_open=True)
            changes.add(receipt, -action.amount)
        case "withdraw":
            is_whole = action.amount == EVERYTHING
            amount = max(held, _paid_by_reserve(facts, strategy)) if is_whole else action.amount
            changes.add(token, amount, is_open=is_whole)
            changes.add(receipt, -amount, is_open=True)


def _paid_by_reserve(facts: Facts, strategy: Strategy) -> int:
    """More than the position, where somebody gave receipts since it was read: they leave with the whole."""
    return -facts.net[strategy.receipt, facts.tokens[strategy.token].address]


def _shares_for(facts: Facts, strategy: Strategy, action: Action) -> int:
    """At the snapshot's share price, rounded down; without one nothing is expected."""
    rate = facts.rate_of(strategy.id)
    if rate is None:
        return 0
    scale = Fraction(10**strategy.receipt_decimals, 10**action.token.decimals)
    return int(action.amount * scale / Fraction(rate.share_price))


def _judge_deltas(facts: Facts, sheet: Sheet, expected: Changes) -> None:
    account, bps = facts.evidence.catalog.account, facts.evidence.policy.simulation.max_delta_tolerance_bps
    touched = set(expected.net) | {token for holder, token in facts.net if holder == account}
    for contract in touched:
        change, said = facts.net[account, contract], expected.net[contract]
        tolerance = expected.gross[contract] * bps // BPS
        is_below = change < expected.lowest(contract, bps)
        is_above = change > said + tolerance and contract in expected.net and contract not in expected.is_open
        sheet.require("unplanned_outflow", not is_below)
        sheet.require("delta_mismatch", not is_above)


def _judge_strangers(facts: Facts, sheet: Sheet) -> None:
    catalog = facts.evidence.catalog
    known = {catalog.account, *(s.receipt for s in catalog.strategies), *(v.pool for v in catalog.venues)}
    watched = {token.address for token in catalog.tokens} | {NATIVE}
    gains = (delta for delta in facts.evidence.simulation.deltas if delta.amount > 0)
    sheet.require_all("outflow_to_stranger", (gain.holder in known or gain.token not in watched for gain in gains))


def _judge_lines(facts: Facts, sheet: Sheet, expected: Changes) -> None:
    """Cash, shares and native money afterwards are what the transfers leave, and no more left than there was."""
    evidence = facts.evidence
    account = evidence.catalog.account
    native = evidence.before.native_wei, evidence.after.native_wei
    _judge_line(facts, sheet, facts.net[account, NATIVE], *native)
    for token in facts.tokens.values():
        line = ("cash", token.id)
        _judge_line(facts, sheet, facts.net[account, token.address], facts.before.lines[line], facts.after.lines[line])
    for strategy in facts.strategies.values():
        change = facts.net[account, strategy.receipt]
        least = change
        if strategy.kind is StrategyKind.AAVE_V3 and strategy.receipt in expected.net:
            # The event of a burn says the amount less the interest that accrued: the calls know better.
            least = min(change, expected.lowest(strategy.receipt, evidence.policy.simulation.max_delta_tolerance_bps))
        before, after = facts.before.shares[strategy.id], facts.after.shares[strategy.id]
        wholes = (a for a in facts.known_actions if a.name == "withdraw" and a.amount == EVERYTHING)
        is_emptied = any(action.strategy == strategy for action in wholes)
        given = max(0, _paid_by_reserve(facts, strategy) - before) if is_emptied else 0
        _judge_line(facts, sheet, change, before, after, least=least, given=given)


def _judge_line(
    facts: Facts, sheet: Sheet, change: int, before: int, after: int, *, least: int | None = None, given: int = 0
) -> None:
    tolerance = before * facts.evidence.policy.simulation.max_delta_tolerance_bps // BPS
    is_kept = after >= before + (change if least is None else least) - tolerance
    sheet.require("delta_mismatch", is_kept and before + given + change >= -tolerance)
