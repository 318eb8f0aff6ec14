"""The split of one order over pools: exact, optimal, worth its gas, and never a guess from bad input."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.routing import MAX_GAP_BP, Timing, cases, convex_optimum, pair_pool, tick_pool, within_reach
from domain.errors import Infeasible, InvariantBroken, StaleOrDisputed, UnknownSubject
from domain.pools import PairPool, TickPool
from tools.routing.pair_pool import pair_pool_output
from tools.routing.routing import MAX_POOLS, Pool, Route, pool_output, pool_segments, split_swap, whole_amounts
from tools.routing.water_filling import Filling

USDC = 10**6
MILLION = 10**6 * USDC


def pair(venue: str, reserve_0: int, reserve_1: int, fee_pips: int = 3_000) -> PairPool:
    fields = {"venue": venue, "fee_pips": fee_pips, "reserve_0": reserve_0, "reserve_1": reserve_1}
    return PairPool(token_0="usdc", token_1="weth", block_number=1, **fields)


def sell(pools: list[Pool], amount_in: int, gas_cost: int = 0) -> Route:
    costs = {pool.venue: gas_cost for pool in pools}
    return split_swap(pools, token_in="usdc", token_out="weth", amount_in=amount_in, gas_costs=costs)


def four_pools() -> list[Pool]:
    return list(cases()[-1].pools)


@st.composite
def pool_sets(draw: st.DrawFn, widest: int = 10**14) -> list[Pool]:
    count = draw(st.integers(1, 4))
    reserves = st.integers(10**23 // widest, widest)
    fees = st.sampled_from([100, 500, 3_000, 10_000])
    return [pair(f"pair-{row}", draw(reserves), draw(reserves) * 10**8, draw(fees)) for row in range(count)]


def test_equal_pools_take_equal_parts() -> None:
    route = sell([pair("a", MILLION, 10**20), pair("b", MILLION, 10**20)], 10_000 * USDC)

    assert sorted(leg.amount_in for leg in route.legs) == [5_000 * USDC, 5_000 * USDC]


def test_a_pair_pays_by_the_constant_product_less_three_tenths_of_a_percent() -> None:
    """997 * 100 * 10^6 / (1000 * 10^6 + 997 * 100) = 99.69..., UniswapV2Library.getAmountOut."""
    pool = pair("a", 10**6, 10**6)

    assert pair_pool_output(pool, 100, zero_for_one=True) == 99


def test_no_split_of_a_small_order_pays_more_than_its_rounding() -> None:
    """Every integer split of 400 units over two pools, at what the contracts pay."""
    pools = [pair("a", 3_000, 500_000), pair("b", 7_000, 1_100_000, 500)]
    best = max(pool_output(pools[0], "usdc", part) + pool_output(pools[1], "usdc", 400 - part) for part in range(401))

    assert best - sell(pools, 400).amount_out <= 2


@pytest.mark.parametrize("number", [1, 6, 11, 15])
def test_route_pays_the_convex_optimum(number: int) -> None:
    pytest.importorskip("cvxpy", reason="the peer is a development package")
    case = cases()[number]

    near = [segment for pool in case.pools for segment in within_reach(pool, case.amount_in)]

    optimum = convex_optimum(near, case.amount_in)

    gap_bp = Timing(0.0, 0.0, 0.0, sell(list(case.pools), case.amount_in).amount_out, optimum).gap_bp
    assert abs(gap_bp) < MAX_GAP_BP


@given(pool_sets(), st.integers(10**6, 10**14))
@settings(max_examples=60)
def test_legs_add_up_and_no_single_pool_pays_more(pools: list[Pool], amount_in: int) -> None:
    route = sell(pools, amount_in)

    best_single = max(pool_output(pool, "usdc", amount_in) for pool in pools)
    assert route.amount_in == amount_in
    assert route.amount_out >= best_single * (1 - 1e-12) - len(pools)
    for leg in route.legs:
        assert leg.amount_out == pool_output(pools[int(leg.venue[-1])], "usdc", leg.amount_in) > 0


@given(pool_sets(), st.integers(10**6, 10**14), st.integers(0, 10**20))
@settings(max_examples=60)
def test_pools_used_are_the_best_of_all_choices_after_gas(pools: list[Pool], amount_in: int, gas_cost: int) -> None:
    net = []
    for count in range(1, len(pools) + 1):
        for chosen in combinations(pools, count):
            route = sell(list(chosen), amount_in)
            net.append(route.amount_out - gas_cost * len(route.legs))

    route = sell(pools, amount_in, gas_cost)

    assert route.gas_cost == gas_cost * len(route.legs)
    assert route.amount_out - route.gas_cost >= max(net) - abs(max(net)) * 1e-9 - 10


@given(pool_sets(widest=10**18), st.integers(1, 10**14), st.integers(0, 10**24))
@settings(max_examples=80)
def test_at_any_scale_a_route_exists_where_a_pool_pays_and_is_no_worse(
    pools: list[Pool], amount_in: int, gas_cost: int
) -> None:
    """Dust included, where rounding decides, and gas that is worth billions of times the order."""
    best_single = max(pool_output(pool, "usdc", amount_in) for pool in pools)

    if not best_single:
        with pytest.raises(Infeasible, match="too few to buy one of weth"):
            sell(pools, amount_in, gas_cost)
        return
    route = sell(pools, amount_in, gas_cost)

    assert route.is_paid()
    assert route.net() >= best_single - gas_cost - best_single // 10**9


def test_dear_gas_leaves_one_pool_and_a_dear_venue_is_left_out() -> None:
    pools = four_pools()

    free, dear = sell(pools, MILLION), sell(pools, MILLION, gas_cost=10**24)
    without = split_swap(pools, token_in="usdc", token_out="weth", amount_in=MILLION, gas_costs={"tier-3000": 10**24})

    assert (len(free.legs), len(dear.legs)) == (4, 1)
    assert [leg.venue for leg in dear.legs] == ["tier-500"]
    assert "tier-3000" not in {leg.venue for leg in without.legs}
    assert len(without.legs) == 3


def test_a_larger_order_never_pays_less() -> None:
    pools = four_pools()

    paid = [sell(pools, step * MILLION // 8).amount_out for step in range(1, 30)]

    assert paid == sorted(paid)


def test_a_pool_that_runs_dry_leaves_the_rest_to_the_others() -> None:
    """The order is many times what the narrow pool can take, and it is cheaper as long as it lasts."""
    narrow = tick_pool("narrow", fee_pips=100, depth_usd=40e6, seed=3)
    room = sum(segment.room for segment in pool_segments(narrow, "usdc"))
    deep = pair("deep", 10**9 * USDC, 10**27 // 3_500 * 9 // 10)

    route = sell([narrow, deep], 30 * MILLION)

    amounts = {leg.venue: leg.amount_in for leg in route.legs}
    assert amounts["narrow"] == pytest.approx(room, rel=1e-8)
    assert sum(amounts.values()) == 30 * MILLION


@pytest.mark.parametrize("token_in", ["usdc", "weth"])
def test_ranges_pay_what_the_contract_pays(token_in: str) -> None:
    """The water-filling sees the same pool as the exact walk, to the precision of floats."""
    pool = tick_pool("tier", fee_pips=500, depth_usd=200e6, seed=9)
    amount = 2 * MILLION if token_in == "usdc" else 600 * 10**18
    left, paid = float(amount), 0.0
    for start, stop, slope in pool_segments(pool, token_in):
        part = min(left, slope * (stop - start))
        left -= part
        paid += part / (start * (start + part / slope))

    assert left == 0
    assert pool_output(pool, token_in, amount) == pytest.approx(paid, rel=1e-10)


def test_route_is_the_same_whatever_the_order_of_the_pools() -> None:
    pools = four_pools()

    assert sell(pools, MILLION) == sell(pools[::-1], MILLION)


def test_shares_become_integers_and_a_full_pool_gets_no_remainder() -> None:
    roomy = Filling(1.0, [2.7, 5.9, 1.2], [], [False, False, False], 0.0)
    half_full = Filling(1.0, [6e9, 4e9], [], [True, False], 0.0)

    assert whole_amounts(roomy, 10) == [3, 6, 1]
    assert whole_amounts(half_full, 10**10) == [6 * 10**9 - 6, 4 * 10**9 + 6]


def test_more_than_all_pools_can_take_is_infeasible() -> None:
    narrow = tick_pool("narrow", fee_pips=100, depth_usd=40e6, seed=3)

    with pytest.raises(Infeasible, match=r"venues narrow together take about [0-9]+ base units of usdc, not"):
        sell([narrow], 10**9 * USDC)


def test_pools_without_liquidity_are_infeasible() -> None:
    empty = tick_pool("narrow", fee_pips=100, depth_usd=40e6, seed=3)
    empty = TickPool.model_validate({**empty.model_dump(), "liquidity": 0, "ticks": ()})

    with pytest.raises(Infeasible, match="take about 0 base units"):
        sell([empty], USDC)


def test_an_order_too_small_to_be_paid_is_infeasible() -> None:
    with pytest.raises(Infeasible, match="1 base units of usdc are too few to buy one of weth"):
        sell([pair("a", 10**12, 10**6)], 1)


@pytest.mark.parametrize("amount_in", [0, -5, 2**128, 1e10 + 0.5, float("nan")])
def test_amounts_outside_their_range_are_refused(amount_in: int) -> None:
    with pytest.raises(
        InvariantBroken, match=f"amount_in of usdc must be a whole number within 1..2.128-1, got {amount_in}"
    ):
        sell([pair("a", MILLION, 10**20)], amount_in)


def test_pools_that_cannot_be_one_route_are_refused() -> None:
    first, twin = pair("a", MILLION, 10**20), pair("a", MILLION, 10**20)
    later = pair("b", MILLION, 10**20).model_copy(update={"block_number": 2})
    foreign = pair("c", MILLION, 10**20).model_copy(update={"token_1": "dai"})
    many = [pair(f"p-{row}", MILLION, 10**20) for row in range(MAX_POOLS + 1)]

    with pytest.raises(InvariantBroken, match=r"every venue may be named once, got \['a', 'a'\]"):
        sell([first, twin], USDC)
    with pytest.raises(StaleOrDisputed, match=r"pools\[1\] b is of block 2, pools\[0\] of 1"):
        sell([first, later], USDC)
    with pytest.raises(UnknownSubject, match="venue c trades usdc and dai, not weth"):
        sell([first, foreign], USDC)
    with pytest.raises(InvariantBroken, match=r"a route needs 1..10 pools, got 11"):
        sell(many, USDC)
    with pytest.raises(InvariantBroken, match=r"a route needs 1..10 pools, got 0"):
        sell([], USDC)


@pytest.mark.parametrize("gas_cost", [-1, float("nan"), float("inf"), 0.5])
def test_gas_that_is_no_whole_number_from_zero_is_refused(gas_cost: int) -> None:
    with pytest.raises(InvariantBroken, match=f"gas cost of a must be a whole number from 0, got {gas_cost}"):
        sell([pair("a", MILLION, 10**20)], USDC, gas_cost=gas_cost)


def test_an_order_beyond_what_floats_can_subtract_names_the_room_there_is() -> None:
    narrow = tick_pool("narrow", fee_pips=100, depth_usd=40e6, seed=3)

    with pytest.raises(Infeasible) as ordinary:
        sell([narrow], 10**17)
    with pytest.raises(Infeasible) as huge:
        sell([narrow], 10**30)

    assert str(huge.value) == str(ordinary.value).replace(str(10**17), str(10**30))


def test_one_token_twice_is_refused() -> None:
    with pytest.raises(InvariantBroken, match="a swap needs two tokens, got usdc twice"):
        split_swap([pair("a", MILLION, 10**20)], token_in="usdc", token_out="usdc", amount_in=1)


@pytest.mark.parametrize("token_in", ["usdc", "weth"])
@pytest.mark.parametrize("spacing_known", [1, 60])
def test_a_swap_through_every_tick_there_is_is_infeasible(token_in: str, spacing_known: int) -> None:
    """With spacing 1 all ticks are known, so that the walk ends at the ends of TickMath; else before them."""
    fee_pips = {1: 100, 60: 3_000}[spacing_known]
    narrow = tick_pool("narrow", fee_pips=fee_pips, depth_usd=40e6, seed=3)

    with pytest.raises(Infeasible, match=r"venue narrow cannot take 1[0]* base units: the swap leaves its known ticks"):
        pool_output(narrow, token_in, 10**37)


def test_nothing_sold_pays_nothing() -> None:
    assert [pool_output(pool, "usdc", 0) for pool in four_pools()] == [0, 0, 0, 0]


def test_a_full_pair_takes_no_more() -> None:
    with pytest.raises(Infeasible, match="its reserve 1000 is at most"):
        pair_pool_output(pair("a", 1_000, 1_000), 2**112, zero_for_one=True)


def test_many_equal_pools_with_gas_are_decided_in_time() -> None:
    """The worst case of the search: nothing tells the pools apart, and about half of them pay their gas."""
    pools: list[Pool] = [pair_pool(f"p-{row}", reserve_usd=5_000_000) for row in range(MAX_POOLS)]

    route = sell(pools, MILLION, gas_cost=15 * 10**17)

    assert 1 < len(route.legs) < MAX_POOLS
