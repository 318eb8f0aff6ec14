"""Is the batch a way out? Judged from its calls and the simulated book, never from what the plan calls itself.

An exit takes positions into their own token, or tokens into the reserve token, and brings nothing else; a gift that
came meanwhile is no transfer of the batch. So it raises no exposure but to the reserve, the policy's safe place.
Measured stress losses are not compared: as fractions of what the exit's own slippage lowers they would block it.
"""

from __future__ import annotations

from typing import Final

from domain.risk import RiskReport
from guards.actions import Action, ActionKind
from guards.case import Case, once
from guards.deltas import delta_of
from guards.measures import actions, changes, entered_strategies, left_strategies

EXIT_KINDS: Final = frozenset({ActionKind.APPROVE, ActionKind.WITHDRAW, ActionKind.REDEEM})
"""Whatever they take; a swap points out when it buys the reserve token."""


@once
def is_exit(case: Case) -> bool:
    """True only when everything about the batch is explained and points outwards."""
    batch = case.evidence.batch
    if not batch.is_complete or len(actions(case)) != len(batch.calls):
        return False
    return (
        all(_points_out(action, case) for action in actions(case))
        and _reduces_something(case)
        and not _brings_something_else(case)
    )


def _points_out(action: Action, case: Case) -> bool:
    if action.kind is ActionKind.SWAP:
        return action.bought.id == case.evidence.catalog.reserve_token
    return action.kind in EXIT_KINDS


def _reduces_something(case: Case) -> bool:
    """A position, or cash of a token that is not the reserve: holding a broken token is a position in it."""
    reserve = case.evidence.catalog.reserve_token
    cash_falls = any(c.strategy is None and c.token != reserve and c.after < c.before for c in changes(case))
    return bool(left_strategies(case)) or cash_falls


def _brings_something_else(case: Case) -> bool:
    """Of anything listed but the reserve token and what the left strategies pay back.

    Aave mints receipts of a position that falls by less than the interest it credits: a left position's may rise.
    """
    catalog, account = case.evidence.catalog, case.evidence.catalog.account
    left = [catalog.strategy(strategy) for strategy in left_strategies(case)]
    paid_back = {strategy.token for strategy in left} | {catalog.reserve_token}
    others = [token.address for token in catalog.tokens if token.id not in paid_back]
    others += [strategy.receipt for strategy in catalog.strategies if strategy not in left]
    return any(delta_of(case, account, contract) > 0 for contract in others)


def reduces_risk(case: Case) -> bool:
    """No position is entered and the worst stress loss falls: what REDUCING still allows besides exits."""
    worst_before, worst_after = _worst_stress(case.evidence.risk_before), _worst_stress(case.evidence.risk_after)
    if worst_before is None or worst_after is None:
        return False
    return not entered_strategies(case) and worst_after < worst_before


def _worst_stress(report: RiskReport | None) -> float | None:
    return max((stress.loss for stress in report.stress), default=None) if report else None
