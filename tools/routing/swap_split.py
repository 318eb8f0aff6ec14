"""Splits the swaps of a plan over the venues of their pair, where that pays for its gas and no leg misses its floor."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Final

from domain.errors import Infeasible
from domain.market import Catalog, MarketSnapshot
from domain.plan import Move, MoveKind
from domain.policy import Policy
from domain.pools import TickPool
from tools.access import PIPS_PER_BPS
from tools.costs import GAS_UNITS, NATIVE_DECIMALS, gas_cost_usd
from tools.routing.routing import MAX_AMOUNT_IN, MAX_POOLS, Route, split_swap
from tools.swap_floors import fair_floor
from tools.transactions.batch import MAX_CALLS

CALLS_PER_MOVE: Final = 2
"""An approval and the action."""

Pair = frozenset[str]


def split_swaps(
    moves: Sequence[Move],
    pools: Mapping[Pair, Sequence[TickPool]],
    *,
    snapshot: MarketSnapshot,
    catalog: Catalog,
    policy: Policy,
    is_exit: bool,
) -> tuple[Move, ...]:
    """The moves, a swap replaced by one for each leg of its best route, amounts adding up exactly.

    `pools` holds the states of a pair's venues by its two tokens; a swap whose pair is missing there, whose gas cannot
    be priced, or whose route does not exist stays as planned. In normal times venues above the allowed slippage are
    not used, nor a route with a leg below its floor: every leg must pass on its own. All swaps stay as planned when
    the split plan would be too long for one transaction, or bring its gas near the policy's limit. Raises
    StaleOrDisputed for pool states of different blocks.
    """
    split: list[Move] = []
    for move in moves:
        usable = _usable(move, pools, policy, is_exit=is_exit)
        route = _route(move, usable, snapshot, catalog)
        legs = [move.model_copy(update={"venue": leg.venue, "amount_in": leg.amount_in}) for leg in route.legs]
        outputs = [leg.amount_out for leg in route.legs]
        is_sound = is_exit or all(
            paid >= fair_floor(leg, snapshot=snapshot, catalog=catalog, policy=policy)
            for leg, paid in zip(legs, outputs, strict=True)
        )
        split += legs if legs and is_sound else [move]
    fits = CALLS_PER_MOVE * len(split) <= MAX_CALLS
    return tuple(split if fits and (is_exit or _is_affordable(split, snapshot, catalog, policy)) else moves)


def swap_gas_cost(token: str, snapshot: MarketSnapshot, catalog: Catalog) -> int | None:
    """What one more swap costs in gas now, in base units of the token, rounded up; None when a price is missing.

    The native token at its highest price, the other at its lowest: costs are rounded against ourselves.
    """
    native = [price.price_usd for price in snapshot.prices_of(catalog.native_token)]
    price = snapshot.price_usd(token)
    if not native or price is None:
        return None
    wei = GAS_UNITS[MoveKind.SWAP] * (snapshot.base_fee_wei + snapshot.priority_fee_wei)
    usd = Fraction(wei, 10**NATIVE_DECIMALS) * Fraction(max(native))
    return math.ceil(usd / Fraction(price) * Fraction(10) ** catalog.token(token).decimals)


def _is_affordable(moves: Sequence[Move], snapshot: MarketSnapshot, catalog: Catalog, policy: Policy) -> bool:
    """Whether gas could double until the plan is sent and still be within the policy's limit."""
    limit = policy.economics.max_gas_cost_usd
    if not isinstance(limit, Decimal):
        return True
    prices = [price.price_usd for price in snapshot.prices_of(catalog.native_token)]
    return bool(prices) and 2 * gas_cost_usd((m.kind for m in moves), snapshot, native_price_usd=max(prices)) <= limit


def _usable(
    move: Move, pools: Mapping[Pair, Sequence[TickPool]], policy: Policy, *, is_exit: bool
) -> Sequence[TickPool]:
    """Cheapest first; none for a move that is no swap, or of more than any pool could take."""
    if move.kind is not MoveKind.SWAP or not 0 < move.amount_in <= MAX_AMOUNT_IN:
        return ()
    max_fee_pips = policy.slippage.max_trade_slippage_bps * PIPS_PER_BPS
    found = pools.get(frozenset((move.token_in, move.token_out)), ())
    cheap = [pool for pool in found if is_exit or pool.fee_pips <= max_fee_pips]
    return sorted(cheap, key=lambda pool: (pool.fee_pips, pool.venue))[:MAX_POOLS]


def _route(move: Move, pools: Sequence[TickPool], snapshot: MarketSnapshot, catalog: Catalog) -> Route:
    """Without legs where nothing better than the plan's own venue is known."""
    cost = swap_gas_cost(move.token_out, snapshot, catalog)
    if not pools or cost is None:
        return Route((), 0)
    try:
        return split_swap(
            pools,
            token_in=move.token_in,
            token_out=move.token_out,
            amount_in=move.amount_in,
            gas_costs={pool.venue: cost for pool in pools},
        )
    except Infeasible:
        return Route((), 0)
