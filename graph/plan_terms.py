"""On which terms a plan is proposed: fresh quotes, what it costs at them, and the most that its gas may cost."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from domain.errors import StaleOrDisputed
from domain.market import Catalog, MarketSnapshot
from domain.plan import Candidate, Move, MoveKind
from domain.policy import Policy
from domain.ports import MarketReader
from domain.units import divide, to_base_units, value_usd
from domain.verdict import Economics
from tools.costs import NATIVE_DECIMALS, break_even_days, gas_cost_usd, gas_units
from tools.routing.swap_split import split_swaps

FEE_HEADROOM_NUMERATOR: Final = 3
FEE_HEADROOM_DENOMINATOR: Final = 2
"""The fee cap is half above the estimate: base fees move between proposal, approval and sending."""
EXIT_HEADROOM: Final = 4
"""What an exit's cap is above that: it must hold through a base fee that jumps while others run for the door."""


def route_swaps(
    moves: Sequence[Move],
    market: MarketReader,
    *,
    snapshot: MarketSnapshot,
    catalog: Catalog,
    policy: Policy,
    is_exit: bool,
) -> tuple[Move, ...]:
    """Swaps split over the venues of their pair where that pays."""
    pairs = {frozenset((move.token_in, move.token_out)) for move in moves if move.kind is MoveKind.SWAP}
    pools = {pair: market.pools(*sorted(pair)) for pair in pairs if len(catalog.venues_between(*sorted(pair))) > 1}
    return split_swaps(moves, pools, snapshot=snapshot, catalog=catalog, policy=policy, is_exit=is_exit)


def quote_swaps(moves: Sequence[Move], market: MarketReader) -> dict[int, int]:
    """Index of each swap -> what its venue would pay now, in base units of token_out."""
    return {
        index: market.quote(
            venue=move.venue, token_in=move.token_in, token_out=move.token_out, amount_in=move.amount_in
        ).amount_out
        for index, move in enumerate(moves)
        if move.kind is MoveKind.SWAP and move.venue is not None
    }


def fee_cap_wei(
    moves: Sequence[Move], *, snapshot: MarketSnapshot, catalog: Catalog, policy: Policy, is_exit: bool
) -> int:
    """The estimate with headroom, rounded up. An exit's is wide, and the policy's limits do not bound it."""
    gas, limits = gas_units(move.kind for move in moves), policy.economics
    gas_price_wei = 2 * snapshot.base_fee_wei + snapshot.priority_fee_wei
    if not is_exit and isinstance(limits.max_gas_price_wei, Decimal):
        gas_price_wei = min(gas_price_wei, int(limits.max_gas_price_wei))
    cap = -(-gas * gas_price_wei * FEE_HEADROOM_NUMERATOR // FEE_HEADROOM_DENOMINATOR)
    if is_exit:
        return EXIT_HEADROOM * cap
    if not isinstance(limits.max_gas_cost_usd, Decimal):
        return cap
    affordable = divide(limits.max_gas_cost_usd, _native_price_usd(snapshot, catalog))
    return min(cap, to_base_units(affordable, NATIVE_DECIMALS))


def fresh_economics(
    candidate: Candidate,
    moves: Sequence[Move],
    quotes: dict[int, int],
    *,
    snapshot: MarketSnapshot,
    catalog: Catalog,
    policy: Policy,
) -> Economics:
    """The candidate's lower-bound gain against gas and what the quotes lose to the oracle."""
    native_price = _native_price_usd(snapshot, catalog)
    gas = gas_cost_usd((move.kind for move in moves), snapshot, native_price_usd=native_price)
    lost = sum((_swap_loss(moves[index], quote, snapshot, catalog) for index, quote in quotes.items()), Decimal(0))
    cost = float(gas + lost)
    gain_per_day = candidate.lower_gain_usd / policy.economics.horizon_days
    return Economics(
        lower_gain_usd=candidate.lower_gain_usd,
        cost_usd=cost,
        break_even_days=break_even_days(cost, gain_per_day),
    )


def _swap_loss(move: Move, quote: int, snapshot: MarketSnapshot, catalog: Catalog) -> Decimal:
    """USD value sold minus USD value quoted, a gain counted as nothing."""
    sold = _value(move.token_in, move.amount_in, snapshot, catalog)
    return max(sold - _value(move.token_out, quote, snapshot, catalog), Decimal(0))


def _value(token: str, amount: int, snapshot: MarketSnapshot, catalog: Catalog) -> Decimal:
    price = snapshot.price_usd(token)
    if price is None:
        raise StaleOrDisputed(f"token {token} has no price at block {snapshot.block_number}")
    return value_usd(amount, decimals=catalog.token(token).decimals, price_usd=price)


def _native_price_usd(snapshot: MarketSnapshot, catalog: Catalog) -> Decimal:
    """The highest source, as the guard values gas: costs are rounded against ourselves."""
    prices = [price.price_usd for price in snapshot.prices_of(catalog.native_token)]
    if not prices:
        raise StaleOrDisputed(f"native token {catalog.native_token} has no price at block {snapshot.block_number}")
    return max(prices)
