"""Holds what one executed batch measures against the policy: the auditor's arithmetic, apart from the guards'."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from domain.market import Catalog
from domain.policy import Policy
from tests.redteam.audit_deals import SLACK, Deal, Effect, is_exit
from tests.redteam.audit_measures import Measure, amounts, effect_of, shares
from tests.redteam.audit_prices import broken_floors, stale_prices, unusable_prices
from tests.redteam.findings import Rule, Violation


def judge_limits(
    deal: Deal, catalog: Catalog, policy: Policy, *, past: Sequence[Effect]
) -> tuple[list[Violation], Effect]:
    """Violations, and what this batch used of the rolling windows.

    Each number is taken at the prices that the run saw and at those right before the batch: the policy lets a decision
    rest on prices as old as its snapshot, so only what both say is held against it.
    """
    effect = effect_of(deal, catalog)
    if not deal.sent.succeeded:
        return [], effect
    if is_exit(deal, catalog):
        return broken_floors(deal, catalog, policy), effect
    found = [*unusable_prices(deal, catalog, policy), *stale_prices(deal, catalog, policy)]
    views = [
        [*shares(deal, catalog, policy, prices), *amounts(deal, catalog, policy, prices, past=past, gas=effect.gas)]
        for prices in (deal.seen, deal.before)
    ]
    for measured in zip(*views, strict=True):
        found += _exceeding(measured, deal.sent.hash)
    return found, effect


def _exceeding(measured: Sequence[Measure], subject: str) -> list[Violation]:
    rule, about, _, limit = measured[0]
    if isinstance(limit, str):  # unlimited
        return []
    values = [value for *_, value, _ in measured]
    bound = Fraction(limit)
    is_floor = rule is Rule.RESERVE_SHARE
    broken = [
        value is None or (value < bound * (1 - SLACK) if is_floor else value > bound * (1 + SLACK)) for value in values
    ]
    if not all(broken):
        return []
    shown = ", ".join("unknown" if value is None else f"{float(value):.6g}" for value in values)
    return [Violation(rule, subject, f"{about} {shown}", f"{'at least' if is_floor else 'at most'} {limit}")]
