"""What the decoded calls must do to the account, token contract by token contract, and what the simulation saw.

Amounts in calldata are exact; swaps and redemptions pay at least something; interest may only add.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from domain.market import Strategy
from domain.portfolio import Portfolio
from domain.units import BPS_PER_ONE, divide_down, to_base_units, to_tokens
from guards.actions import Action, ActionKind
from guards.case import Case, once
from guards.measures import actions


class Expectation(NamedTuple):
    """Bounds of the account's net change in one token contract, in its base units; None is open upwards."""

    lowest: int
    highest: int | None


class _Flow(NamedTuple):
    """One action's effect on one contract: at least `amount`; exactly that unless open."""

    contract: str
    amount: int
    is_open: bool = False


@once
def expected_deltas(case: Case) -> Mapping[str, Expectation]:
    """Per token contract, with the policy's tolerance of the gross amount on both sides."""
    gross: dict[str, int] = defaultdict(int)
    net: dict[str, int] = defaultdict(int)
    is_open: dict[str, bool] = defaultdict(bool)
    for action in actions(case):
        for flow in _flows(action, case):
            gross[flow.contract] += abs(flow.amount)
            net[flow.contract] += flow.amount
            is_open[flow.contract] |= flow.is_open
    tolerance = {contract: tolerated(amount, case) for contract, amount in gross.items()}
    return {
        contract: Expectation(amount - tolerance[contract], None if is_open[contract] else amount + tolerance[contract])
        for contract, amount in net.items()
    }


@once
def simulated_deltas(case: Case) -> Mapping[tuple[str, str], int]:
    """Net change per holder and token contract."""
    net: dict[tuple[str, str], int] = defaultdict(int)
    for delta in case.evidence.simulation.deltas:
        net[delta.holder, delta.token] += delta.amount
    return net


def delta_of(case: Case, holder: str, contract: str) -> int:
    return simulated_deltas(case).get((holder, contract), 0)


def tolerated(amount: int, case: Case) -> int:
    return amount * case.evidence.policy.simulation.max_delta_tolerance_bps // BPS_PER_ONE


def _flows(action: Action, case: Case) -> tuple[_Flow, ...]:
    token = action.token.address
    if action.kind is ActionKind.SWAP:
        return (_Flow(token, -action.amount), _Flow(action.bought.address, action.minimum_out, is_open=True))
    return () if action.strategy is None else _strategy_flows(action, action.strategy, case)


def _strategy_flows(action: Action, strategy: Strategy, case: Case) -> tuple[_Flow, ...]:
    """Receipt changes stay open upwards: an aToken mints accrued interest in the same event."""
    token, receipt, before = action.token.address, strategy.receipt, case.evidence.before
    if action.kind is ActionKind.SUPPLY:
        return (_Flow(token, -action.amount), _Flow(receipt, action.amount, is_open=True))
    if action.kind is ActionKind.WITHDRAW:
        amount = (
            max(before.position_of(strategy.id), paid_for_all(strategy, case)) if action.is_whole else action.amount
        )
        return (_Flow(token, amount, is_open=action.is_whole), _Flow(receipt, -amount, is_open=True))
    if action.kind is ActionKind.DEPOSIT:
        shares = _expected_shares(action.amount, strategy, case)
        return (_Flow(token, -action.amount), _Flow(receipt, shares, is_open=True))
    assets = _expected_assets(action.amount, strategy, before)
    return (_Flow(token, assets, is_open=True), _Flow(receipt, -action.amount))


def paid_for_all(strategy: Strategy, case: Case) -> int:
    """What the reserve paid out where the calls withdraw all of it: more than was held, when somebody gave receipts."""
    is_whole = any(action.is_whole and action.strategy == strategy for action in actions(case))
    token = case.evidence.catalog.token(strategy.token)
    return -delta_of(case, strategy.receipt, token.address) if is_whole else 0


def _expected_shares(assets: int, strategy: Strategy, case: Case) -> int:
    """At the snapshot's share price; without one any number of shares passes here, and freshness denies."""
    rate = case.evidence.snapshot.rate(strategy.id)
    if rate is None:
        return 0
    tokens = to_tokens(assets, case.evidence.catalog.token(strategy.token).decimals)
    return to_base_units(divide_down(tokens, rate.share_price), strategy.receipt_decimals)


def _expected_assets(shares: int, strategy: Strategy, before: Portfolio) -> int:
    """The same fraction of the position that is redeemed of its shares."""
    held = shares_of(before).get(strategy.id, 0)
    return before.position_of(strategy.id) * min(shares, held) // held if held else 0


def shares_of(portfolio: Portfolio) -> Mapping[str, int]:
    """Receipt tokens per strategy."""
    shares: dict[str, int] = defaultdict(int)
    for position in portfolio.positions:
        shares[position.strategy] += position.shares
    return shares


def known_holders(case: Case) -> frozenset[str]:
    """Where a catalogued token may come to rest: with us, in a receipt contract, a vault or a pool."""
    catalog = case.evidence.catalog
    receipts = {strategy.receipt for strategy in catalog.strategies}
    return frozenset({catalog.account} | receipts | {venue.pool for venue in catalog.venues})
