"""One mined batch with the books around it, and whether it was a way out."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from domain.market import Catalog
from domain.policy import Policy
from tests.redteam.audit_books import Book, Line
from tests.redteam.audit_calls import ENTRIES, LEAVINGS, Deed, Step
from tests.redteam.audit_chain import Sent

BPS = 10_000
SLACK = Fraction(1, 1_000)
"""Relative. Between the block that the guards judged and the one that was mined interest accrues; a limit passed by
more than that is a violation."""


class Effect(NamedTuple):
    """What earlier batches have used of the rolling windows, as the chain shows it."""

    time: int
    moved: Fraction
    lost: Fraction
    gas: Fraction


class Deal(NamedTuple):
    """One mined batch with the books around it. `seen` is the block whose prices the run decided on."""

    sent: Sent
    steps: tuple[Step, ...]
    before: Book
    after: Book
    seen: Book

    def grown(self, policy: Policy) -> set[Line]:
        """Lines that rose by more than a block's interest."""
        tolerance = policy.simulation.max_delta_tolerance_bps
        return {
            line
            for line, amount in self.after.lines.items()
            if amount > -(-self.before.lines.get(line, 0) * (BPS + tolerance) // BPS)
        }

    def fallen(self) -> dict[Line, int]:
        falls = {line: amount - self.after.lines.get(line, 0) for line, amount in self.before.lines.items()}
        return {line: fall for line, fall in falls.items() if fall > 0}

    def entered(self, policy: Policy) -> set[str]:
        named = {step.strategy.id for step in self.steps if step.strategy and step.deed in ENTRIES}
        return named | {strategy for _, strategy in self.grown(policy) if strategy}


def is_exit(deal: Deal, catalog: Catalog, policy: Policy) -> bool:
    """Every step points outwards, something is left, and nothing grows but the reserve or a left position's token."""
    outwards = all(
        step.deed in LEAVINGS | {Deed.APPROVE}
        or (step.deed is Deed.SWAP and step.token_out is not None and step.token_out.id == catalog.reserve_token)
        for step in deal.steps
    )
    named = {step.strategy.id for step in deal.steps if step.strategy and step.deed in LEAVINGS}
    left = {line for line in deal.fallen() if line[1] in named}
    sold = any(not strategy and token != catalog.reserve_token for token, strategy in deal.fallen())
    allowed = {(catalog.reserve_token, ""), *((token, "") for token, _ in left)}
    return outwards and bool(deal.steps) and (bool(left) or sold) and deal.grown(policy) <= allowed
