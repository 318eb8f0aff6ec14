"""Is the batch a way out? Judged from its calls and the simulated book, never from what the plan calls itself.

An exit takes positions into their own token, or tokens into the reserve token, and increases nothing else.
So it raises no exposure but to the reserve, which the policy declares the safe place. Measured stress losses are
not compared: they are fractions of a net asset value that the exit's own slippage lowers, and would block it.
"""

from __future__ import annotations

from typing import Final

from domain.verdict import Evidence
from guards.actions import Action, ActionKind, read_actions
from guards.finding import measured
from guards.measures import Change, changes, entered_strategies, has_grown, left_strategies

EXIT_KINDS: Final = frozenset({ActionKind.APPROVE, ActionKind.WITHDRAW, ActionKind.REDEEM, ActionKind.SWAP})


def is_exit(evidence: Evidence) -> bool:
    """True only when everything about the batch is explained and points outwards."""
    actions = read_actions(evidence.batch, evidence.catalog)
    if not evidence.batch.is_complete or len(actions) != len(evidence.batch.calls):
        return False
    return (
        all(_points_out(action, evidence) for action in actions)
        and _reduces_something(evidence)
        and not any(_grows_elsewhere(change, evidence) for change in changes(evidence))
    )


def _points_out(action: Action, evidence: Evidence) -> bool:
    if action.kind is ActionKind.SWAP:
        return action.token_out is not None and action.token_out.id == evidence.catalog.reserve_token
    return action.kind in EXIT_KINDS


def _reduces_something(evidence: Evidence) -> bool:
    """A position, or cash of a token that is not the reserve: holding a broken token is a position in it."""
    cash_falls = any(
        change.strategy is None and change.token != evidence.catalog.reserve_token and change.after < change.before
        for change in changes(evidence)
    )
    return bool(left_strategies(evidence)) or cash_falls


def _grows_elsewhere(change: Change, evidence: Evidence) -> bool:
    if not has_grown(change, evidence):
        return False
    own_tokens = {evidence.catalog.strategy(strategy).token for strategy in left_strategies(evidence)}
    return change.strategy is not None or change.token not in own_tokens | {evidence.catalog.reserve_token}


def reduces_risk(evidence: Evidence) -> bool:
    """No position is entered and the worst stress loss falls: what REDUCING still allows besides exits."""
    worst_before, worst_after = _worst_stress(evidence, after=False), _worst_stress(evidence, after=True)
    if worst_before is None or worst_after is None:
        return False
    return not entered_strategies(evidence) and worst_after < worst_before


def _worst_stress(evidence: Evidence, *, after: bool) -> float | None:
    report = evidence.risk_after if after else evidence.risk_before
    losses = [stress.loss for stress in report.stress] if report else []
    return None if any(measured(loss) is None for loss in losses) else max(losses, default=None)
