"""What a plan costs: gas per kind of move, swap fees, and after how many days a gain has paid for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from domain.market import MarketSnapshot
from domain.plan import MoveKind
from domain.units import EXACT, value_usd

# Upper bounds measured on the local chain with Aave v3.0.1, SwapRouter02 and OpenZeppelin vaults; exact approvals
# included. A first Aave supply mined alone used 190,622 gas, a swap 131 k. The Safe batch of one withdraw, swap,
# supply and deposit used 491,857 gas, below the 650,000 that this table says.
BATCH_GAS_UNITS: Final = 60_000
"""Base transaction, Safe.execTransaction and MultiSend."""
GAS_UNITS: Final[Mapping[MoveKind, int]] = MappingProxyType(
    {
        MoveKind.SUPPLY: 170_000,
        MoveKind.WITHDRAW: 130_000,
        MoveKind.DEPOSIT: 160_000,
        MoveKind.REDEEM: 140_000,
        MoveKind.SWAP: 130_000,
    }
)
PIPS_PER_ONE: Final = 1_000_000
SWAP_IMPACT_PIPS: Final = 500
"""Allowance for price impact on top of the pool's fee; the quote decides before anything is signed."""
NATIVE_DECIMALS: Final = 18


def gas_units(kinds: Iterable[MoveKind]) -> int:
    """Gas of one atomic batch of these moves; 0 for no moves, because nothing is sent."""
    moves = sum(GAS_UNITS[kind] for kind in kinds)
    return moves + BATCH_GAS_UNITS if moves else 0


def gas_cost_usd(kinds: Iterable[MoveKind], snapshot: MarketSnapshot, *, native_price_usd: Decimal) -> Decimal:
    """Exact USD cost at the snapshot's base fee plus priority fee."""
    wei = gas_units(kinds) * (snapshot.base_fee_wei + snapshot.priority_fee_wei)
    return value_usd(wei, decimals=NATIVE_DECIMALS, price_usd=native_price_usd)


def swap_cost_fraction(fee_pips: int) -> float:
    """Share of what is swapped that fee and price impact take; 100 pips are one basis point."""
    return (fee_pips + SWAP_IMPACT_PIPS) / PIPS_PER_ONE


def swap_cost_usd(value: Decimal, fee_pips: int) -> Decimal:
    """The same on a USD value, in exact numbers."""
    return EXACT.multiply(value, EXACT.divide(Decimal(fee_pips + SWAP_IMPACT_PIPS), Decimal(PIPS_PER_ONE)))


def break_even_days(cost_usd: float, gain_usd_per_day: float) -> float | None:
    """Days until the gain has paid the cost; 0 for no cost, None when it never does."""
    if cost_usd <= 0:
        return 0.0
    return cost_usd / gain_usd_per_day if gain_usd_per_day > 0 else None
