"""A plan's swap becomes one per leg of its route where that pays, and stays one swap wherever anything is unknown."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from bench.routing import tick_pool
from domain.market import QuotedSwap, Venue
from domain.plan import Move, MoveKind
from domain.pools import TickPool
from graph.plan_terms import quote_swaps, route_swaps
from tests.builders import address, make_catalog, make_policy, make_price, make_snapshot
from tools.allocation import with_minimum_outs
from tools.routing.routing import pool_output
from tools.routing.swap_split import split_swaps, swap_gas_cost

USDC = 10**6
LARGE = 700_000
PAIR = frozenset(("usdc", "weth"))
CATALOG = make_catalog()
SNAPSHOT = make_snapshot(CATALOG)
POLICY = make_policy()
DEEP = tick_pool("usdc-weth-500", fee_pips=500, depth_usd=400e6, seed=1)
OTHER = tick_pool("usdc-weth-100", fee_pips=100, depth_usd=300e6, seed=1)
DEAR = tick_pool("usdc-weth-3000", fee_pips=3_000, depth_usd=900e6, seed=1).model_copy(update={"fee_pips": 3_100})


def swap(usd: int) -> Move:
    return Move(kind=MoveKind.SWAP, token_in="usdc", token_out="weth", amount_in=usd * USDC, venue="usdc-weth-500")


def split(moves: list[Move], *pools: TickPool, is_exit: bool = False, snapshot=SNAPSHOT) -> tuple[Move, ...]:
    return split_swaps(moves, {PAIR: pools}, snapshot=snapshot, catalog=CATALOG, policy=POLICY, is_exit=is_exit)


def test_a_large_swap_becomes_one_swap_for_each_venue_of_its_route() -> None:
    legs = split([swap(LARGE)], DEEP, OTHER)

    assert [leg.venue for leg in legs] == [DEEP.venue, OTHER.venue]
    assert sum(leg.amount_in for leg in legs) == LARGE * USDC
    assert {leg.kind for leg in legs} == {MoveKind.SWAP}


def test_a_small_swap_keeps_its_venue() -> None:
    assert split([swap(10_000)], DEEP, DEAR) == (swap(10_000),)


def test_a_split_pays_more_than_its_gas_costs() -> None:
    cost = swap_gas_cost("weth", SNAPSHOT, CATALOG)
    pools = {pool.venue: pool for pool in (DEEP, OTHER)}

    legs = split([swap(LARGE)], DEEP, OTHER)

    paid = sum(pool_output(pools[leg.venue], "usdc", leg.amount_in) for leg in legs)
    assert paid - cost > max(pool_output(pool, "usdc", LARGE * USDC) for pool in pools.values())


def test_other_moves_stay_where_they_are() -> None:
    supply = Move(kind=MoveKind.SUPPLY, token_in="dai", token_out="dai", amount_in=1, strategy="aave-dai")

    moves = split([supply, swap(LARGE), supply], DEEP, OTHER)

    assert (moves[0], moves[-1], len(moves)) == (supply, supply, 4)


def test_venues_above_the_allowed_slippage_serve_exits_only() -> None:
    """The policy allows 30 basis points, the third venue takes 31 as its fee."""
    normal = split([swap(LARGE)], DEEP, DEAR)
    leaving = split([swap(8_000_000)], DEEP, DEAR, is_exit=True)

    assert normal == (swap(LARGE),)
    assert {leg.venue for leg in leaving} == {DEEP.venue, DEAR.venue}


def test_a_route_with_a_leg_below_its_floor_is_not_taken() -> None:
    """Oracles say that ether is a tenth cheaper than all pools do: no leg could meet its minimum."""
    prices = tuple(make_price(token, price) for token, price in {"usdc": "1", "weth": "3150"}.items())

    assert split([swap(LARGE)], DEEP, OTHER, snapshot=make_snapshot(CATALOG, prices=prices)) == (swap(LARGE),)


@pytest.mark.parametrize("missing", ["weth", "usdc"])
def test_a_swap_whose_gas_has_no_price_stays_one(missing: str) -> None:
    known = {"usdc": "1", "weth": "3500"}
    prices = tuple(make_price(token, price) for token, price in known.items() if token != missing)
    snapshot = make_snapshot(CATALOG, prices=prices)
    move = swap(LARGE)
    back = move.model_copy(update={"token_in": "weth", "token_out": "usdc", "amount_in": 600 * 10**18})

    assert split([back], DEEP, OTHER, snapshot=snapshot, is_exit=True) == (back,)


def test_more_than_all_pools_can_take_stays_one_swap_for_the_quote_to_refuse() -> None:
    move = swap(10**9)

    assert split([move], DEEP, OTHER) == (move,)
    assert split([move.model_copy(update={"amount_in": 2**200})], DEEP)[0].amount_in == 2**200


def test_a_pair_without_pool_states_stays_one_swap() -> None:
    assert split_swaps([swap(10)], {}, snapshot=SNAPSHOT, catalog=CATALOG, policy=POLICY, is_exit=False) == (swap(10),)


def test_a_split_that_would_bring_gas_near_the_policys_limit_is_not_made() -> None:
    """Two swaps and the base cost 320,000 gas: 23.52 USD at 21 gwei and 3,500 USD, twice that in a doubled market."""
    enough, short = (make_policy(economics={"max_gas_cost_usd": limit}) for limit in ("47.04", "47.03"))
    terms = {"snapshot": SNAPSHOT, "catalog": CATALOG}

    assert len(split_swaps([swap(LARGE)], {PAIR: (DEEP, OTHER)}, policy=enough, is_exit=False, **terms)) == 2
    assert len(split_swaps([swap(LARGE)], {PAIR: (DEEP, OTHER)}, policy=short, is_exit=False, **terms)) == 1
    assert len(split_swaps([swap(LARGE)], {PAIR: (DEEP, OTHER)}, policy=short, is_exit=True, **terms)) == 2


def test_a_plan_is_never_split_beyond_what_one_transaction_carries() -> None:
    moves = [swap(LARGE)] * 17

    assert len(split(moves[:16], DEEP, OTHER, is_exit=True)) == 32
    assert split(moves, DEEP, OTHER, is_exit=True) == tuple(moves)


def test_gas_of_one_more_swap_is_rounded_up_in_the_token_that_is_bought() -> None:
    """130,000 gas at 21 gwei are 0.00273 ether; at 3,500 USD 9.555 USDC."""
    assert swap_gas_cost("weth", SNAPSHOT, CATALOG) == 2_730_000_000_000_000
    assert swap_gas_cost("usdc", SNAPSHOT, CATALOG) == 9_555_000


@dataclass
class TwoVenues:
    """A market with two pools of one pair; counts how often they are read."""

    reads: int = 0

    def pools(self, token_a: str, token_b: str) -> tuple[TickPool, ...]:
        self.reads += 1
        return (DEEP, OTHER)

    def quote(self, *, venue: str, token_in: str, token_out: str, amount_in: int) -> QuotedSwap:
        pool = DEEP if venue == DEEP.venue else OTHER
        paid = pool_output(pool, token_in, amount_in)
        fields = {"venue": venue, "token_in": token_in, "token_out": token_out, "amount_in": amount_in}
        return QuotedSwap(**fields, amount_out=paid, block_number=100)


def test_every_leg_is_quoted_and_gets_a_minimum_of_its_own() -> None:
    second = Venue(id=OTHER.venue, pool=address(0x404), token_0="usdc", token_1="weth", fee_pips=100)
    catalog = CATALOG.model_copy(update={"venues": (*CATALOG.venues, second)})
    market, terms = TwoVenues(), {"snapshot": SNAPSHOT, "catalog": catalog, "policy": POLICY, "is_exit": False}

    legs = route_swaps([swap(LARGE), swap(1)], market, **terms)
    floored = with_minimum_outs(legs, quote_swaps(legs, market), **terms)

    assert [leg.venue for leg in floored] == [DEEP.venue, OTHER.venue, OTHER.venue]
    assert all(leg.minimum_out > 0 for leg in floored)
    assert market.reads == 1


def test_pools_of_a_pair_with_one_venue_are_not_read() -> None:
    market = TwoVenues()

    legs = route_swaps([swap(1)], market, snapshot=SNAPSHOT, catalog=CATALOG, policy=POLICY, is_exit=False)

    assert (legs, market.reads) == ((swap(1),), 0)
