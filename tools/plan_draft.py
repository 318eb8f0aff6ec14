"""The sheet a plan is drafted on: moves so far, and the balances that they are sure to leave."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Final

from domain.errors import InvariantBroken, StaleOrDisputed
from domain.market import Catalog, MarketSnapshot
from domain.plan import Move, MoveKind
from domain.policy import Policy
from domain.portfolio import Portfolio

CAP_MARGIN: Final = Fraction(995, 1000)
"""Caps are approached to half a percent: prices and rounding move before the guards measure."""
DUST_NAV_FRACTION: Final = Fraction(1, 1000)
DUST_USD: Final = Fraction(10)
WITHDRAWALS: Final = frozenset({MoveKind.WITHDRAW, MoveKind.REDEEM})


@dataclass(slots=True)
class Draft:
    """Moves planned so far and the balances they are sure to leave."""

    portfolio: Portfolio
    snapshot: MarketSnapshot
    catalog: Catalog
    policy: Policy
    balances: dict[str, int]
    net_value: Fraction = Fraction(0)
    moves: list[Move] = field(default_factory=list)

    def value(self, token: str, amount: int) -> Fraction:
        return amount * _price(token, self.snapshot) / self._scale(token)

    def amount(self, token: str, value: Fraction) -> int:
        return math.floor(value * self._scale(token) / _price(token, self.snapshot))

    def _scale(self, token: str) -> Fraction:
        return Fraction(10) ** self.catalog.token(token).decimals

    def least_value(self) -> Fraction:
        """USD below which a move is dust."""
        return max(self.net_value * DUST_NAV_FRACTION, DUST_USD)

    def is_dust(self, token: str, amount: int) -> bool:
        return self.value(token, amount + 1) < self.least_value()

    def add(self, move: Move, *, delivered: int) -> None:
        """Record a move; `delivered` is the least it brings in token_out."""
        if move.kind not in WITHDRAWALS:
            self.balances[move.token_in] = self.balances.get(move.token_in, 0) - move.amount_in
        self.balances[move.token_out] = self.balances.get(move.token_out, 0) + delivered
        if self.balances[move.token_in] < 0:
            raise InvariantBroken(f"{move.kind.value} of {move.amount_in} {move.token_in} exceeds what is held")
        self.moves.append(move)

    def spendable(self, token: str) -> int:
        """Base units that may be spent; the reserve keeps the policy's minimum."""
        return max(self.balances[token] - (self.kept() if token == self.catalog.reserve_token else 0), 0)

    def kept(self) -> int:
        """The reserve's minimum in base units, rounded up."""
        share = self.policy.exposure.min_reserve_share
        if not isinstance(share, Decimal):
            return 0
        return self.amount(self.catalog.reserve_token, self.net_value * Fraction(share)) + 1

    def above_cap(self, token: str) -> Fraction:
        """USD value of a token, cash and positions, above what the policy lets it and its issuer have."""
        exposure = self.policy.exposure
        limits = [exposure.max_issuer_share]
        limits += [exposure.max_token_share] if token != self.catalog.reserve_token else []
        caps = [limit for limit in limits if isinstance(limit, Decimal)]
        if not caps:
            return Fraction(0)
        held = self.balances[token] + sum(self._invested(s.id) for s in self.catalog.strategies if s.token == token)
        return self.value(token, held) - self.net_value * Fraction(min(caps)) * CAP_MARGIN

    def freed(self, token: str) -> Fraction:
        """USD value that the moves so far take out of positions in the token."""
        left = (move.amount_in for move in self.moves if move.kind in WITHDRAWALS and move.token_in == token)
        return self.value(token, sum(left))

    def _invested(self, strategy_id: str) -> int:
        """Base units in the strategy before the plan's deposits."""
        left = sum(move.amount_in for move in self.moves if move.strategy == strategy_id)
        return self.portfolio.position_of(strategy_id) - left


def _price(token: str, snapshot: MarketSnapshot) -> Fraction:
    """The lowest source, as guards value holdings."""
    price = snapshot.price_usd(token)
    if price is None:
        raise StaleOrDisputed(f"token {token} has no price at block {snapshot.block_number}")
    return Fraction(price)
