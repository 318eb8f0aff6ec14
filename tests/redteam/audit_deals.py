"""One mined batch with the books around it, and whether it was a way out."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import NamedTuple

from domain.market import Catalog
from domain.policy import Policy
from tests.redteam.audit_books import Book, Line
from tests.redteam.audit_calls import ENTRIES, LEAVINGS, Deed, Step
from tests.redteam.audit_chain import TRANSFER, Log, Sent

BPS = 10_000
TRANSFER_TOPICS = 3  # signature, from, to
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

    def brought(self, catalog: Catalog) -> set[str]:
        """Listed contracts of which the batch's own transfers left the account more; a gift is none of them."""
        listed = {token.address for token in catalog.tokens} | {strategy.receipt for strategy in catalog.strategies}
        net: Counter[str] = Counter()
        for log in filter(_transfers, self.sent.logs):
            net[log.address] += log.amount * ((log.party(2) == catalog.account) - (log.party(1) == catalog.account))
        return {contract for contract in listed if net[contract] > 0}

    def fallen(self) -> dict[Line, int]:
        falls = {line: amount - self.after.lines.get(line, 0) for line, amount in self.before.lines.items()}
        return {line: fall for line, fall in falls.items() if fall > 0}

    def entered(self, policy: Policy) -> set[str]:
        named = {step.strategy.id for step in self.steps if step.strategy and step.deed in ENTRIES}
        return named | {strategy for _, strategy in self.grown(policy) if strategy}


def is_exit(deal: Deal, catalog: Catalog) -> bool:
    """Every step points outwards, something is left, and it brings nothing but the reserve and what is paid back."""
    outwards = all(
        step.deed in LEAVINGS | {Deed.APPROVE}
        or (step.deed is Deed.SWAP and step.token_out is not None and step.token_out.id == catalog.reserve_token)
        for step in deal.steps
    )
    named = {step.strategy.id for step in deal.steps if step.strategy and step.deed in LEAVINGS}
    left = {line for line in deal.fallen() if line[1] in named}
    sold = any(not strategy and token != catalog.reserve_token for token, strategy in deal.fallen())
    places = {catalog.token(catalog.reserve_token).address}
    places |= {
        place for token, name in left for place in (catalog.token(token).address, catalog.strategy(name).receipt)
    }
    return outwards and bool(deal.steps) and (bool(left) or sold) and deal.brought(catalog) <= places


def _transfers(log: Log) -> bool:
    return log.topics[:1] == (TRANSFER,) and len(log.topics) == TRANSFER_TOPICS
