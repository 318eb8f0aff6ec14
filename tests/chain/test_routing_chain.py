"""Splits computed from pool states against Uniswap's own bytecode: quoted by its quoters and paid by the router."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest
from eth_utils.crypto import keccak

from chain.transactor import Read
from chain.world import World
from chain.world_artifacts import PACKAGES, Artifact
from chain.world_site import DEPLOY_GAS
from chain.world_uniswap import FOREVER, MINT, ZERO
from collectors.pools import read_pools
from domain.errors import Infeasible
from domain.market import Venue
from domain.plan import Move, MoveKind
from domain.pools import PairPool, TickPool
from graph.plan_terms import quote_swaps, route_swaps
from tests.builders_evidence import make_limits
from tests.chain.market import Market
from tests.chain.test_guards import Desk, bytes_and_money
from tests.chain.test_reader import connect
from tools.allocation import with_minimum_outs
from tools.routing.pair_pool import pair_pool_output
from tools.routing.routing import pool_output, split_swap
from tools.routing.tick_pool import tick_pool_output
from tools.routing.uniswap_v3_math import sqrt_ratio_at_tick

pytestmark = pytest.mark.chain

USDC = 10**6
SEED = 20_261_123
SWAPS = 24
ORDERS_USD = (10_000, 100_000, 500_000, 1_000_000, 3_000_000)
TOKEN_USD = {"weth": 3_500, "wbtc": 60_000}
PAIR_CODE_HASH = "96e8ac4277198ff8b6f785478aa9a39f403cb768dd02cbee326c3e7da348845f"  # UniswapV2Library.pairFor
MIXED_QUOTER = "@uniswap/swap-router-contracts/artifacts/contracts/lens/MixedRouteQuoterV1.sol/MixedRouteQuoterV1.json"
QUOTE_PAIR = "quoteExactInputSingleV2((address,address,uint256))"


@pytest.fixture
def market(world: World) -> Market:
    return Market(world)


def read(world: World, venues: Sequence[Venue]) -> tuple[TickPool, ...]:
    client = connect(world)
    return read_pools(client, client.header(), venues)


def assert_quotes_agree(market: Market, pools: Sequence[TickPool], *, up_to_usd: int = 3_000_000) -> None:
    for pool in pools:
        for token_in, token_out in ((pool.token_0, pool.token_1), (pool.token_1, pool.token_0)):
            unit = 10 ** market.catalog.token(token_in).decimals
            for usd in (1, *(usd for usd in ORDERS_USD if usd <= up_to_usd)):
                amount = usd * unit // TOKEN_USD.get(token_in, 1) + 7
                quoted = market.quote(token_in, token_out, amount=amount, fee_pips=pool.fee_pips)
                assert pool_output(pool, token_in, amount) == quoted, (pool.venue, token_in, amount)


def open_pool(market: Market, fee_pips: int, spacing: int, *, side_usd: int, position_count: int) -> Venue:
    """A new USDC-WETH pool: positions nested around the price, each end an initialized tick."""
    world, catalog = market.world, market.catalog
    manager, issuer = world.manifest.position_manager, world.manifest.actors.issuer
    old = next(venue for venue in catalog.venues if venue.id == "usdc-weth-500")
    (state,) = read(world, [old])
    pair = (catalog.token(old.token_0).address, catalog.token(old.token_1).address, fee_pips)
    create = "createAndInitializePoolIfNecessary(address,address,uint24,uint160)"
    market.transactor.send(issuer, manager, create, *pair, state.sqrt_price_x96, gas=15_000_000)
    middle = state.tick // spacing
    for step in range(1, position_count + 1):
        ticks = ((middle - 3 * step) * spacing, (middle + 5 * step) * spacing)
        side = side_usd // position_count
        amounts = [
            side * 10 ** catalog.token(token).decimals // TOKEN_USD.get(token, 1)
            for token in (old.token_0, old.token_1)
        ]
        market.transactor.send(issuer, manager, MINT, (*pair, *ticks, *amounts, 0, 0, issuer, FOREVER))
    market.transactor.mine()
    address = market.transactor.read_addresses(
        Read(world.manifest.uniswap_factory, "getPool(address,address,uint24)", pair)
    )[0]
    return old.model_copy(update={"id": f"usdc-weth-{fee_pips}", "pool": address, "fee_pips": fee_pips})


def four_venues(market: Market) -> tuple[Venue, ...]:
    tight = open_pool(market, 100, 1, side_usd=4_000_000, position_count=12)
    wide = open_pool(market, 10_000, 200, side_usd=30_000_000, position_count=9)
    return (*market.catalog.venues_between("usdc", "weth"), tight, wide)


def test_every_pool_pays_what_the_quoter_says_in_both_directions(market: Market) -> None:
    assert_quotes_agree(market, read(market.world, market.catalog.venues))


def test_many_ticks_are_walked_as_the_contract_walks_them(market: Market) -> None:
    pools = read(market.world, four_venues(market)[2:])

    assert min(len(pool.ticks) for pool in pools) >= 18
    assert_quotes_agree(market, pools, up_to_usd=1_000_000)


def test_a_price_that_rests_on_a_tick_is_walked_both_ways(market: Market) -> None:
    """A falling price that stops on an initialized tick leaves the tick one lower than its price says."""
    venue = open_pool(market, 100, 1, side_usd=4_000_000, position_count=12)
    (pool,) = read(market.world, [venue])
    below = max(entry.tick for entry in pool.ticks if entry.tick <= pool.tick)
    push_to_tick(market, pool, below)

    (after,) = read(market.world, [venue])

    assert after.tick == below - 1
    assert_quotes_agree(market, [after], up_to_usd=1_000_000)


def push_to_tick(market: Market, pool: TickPool, tick: int) -> None:
    pair = (market.catalog.token(pool.token_0).address, market.catalog.token(pool.token_1).address)
    amount = 10**6 * 10 ** market.catalog.token(pool.token_0).decimals
    order = (*pair, pool.fee_pips, market.trader, amount, 1, sqrt_ratio_at_tick(tick))
    swap = "exactInputSingle((address,address,uint24,address,uint256,uint256,uint160))"
    market.transactor.send(market.trader, market.catalog.contracts.swap_router, swap, order)
    market.transactor.mine()


def test_one_swap_after_another_through_a_ragged_pool_is_followed_to_the_digit(market: Market) -> None:
    """Odd amounts over positions of random width and depth; the pool is read again before each swap."""
    random = np.random.default_rng(SEED)
    venue = open_pool(market, 10_000, 200, side_usd=3_000_000, position_count=2)
    scatter_positions(market, venue, spacing=200, random=random)
    for step in range(SWAPS):
        token_in, token_out = ("usdc", "weth") if step % 2 else ("weth", "usdc")
        unit = 10 ** market.catalog.token(token_in).decimals
        amount = int(10 ** random.uniform(-2, 6) * unit) // TOKEN_USD.get(token_in, 1) + 1
        (pool,) = read(market.world, [venue])

        received = market.swap(token_in, token_out, amount=amount, fee_pips=venue.fee_pips)

        assert pool_output(pool, token_in, amount) == received, (step, amount)


def scatter_positions(market: Market, venue: Venue, *, spacing: int, random: np.random.Generator) -> None:
    (pool,) = read(market.world, [venue])
    manager, issuer = market.world.manifest.position_manager, market.world.manifest.actors.issuer
    tokens = [market.catalog.token(token) for token in (venue.token_0, venue.token_1)]
    for _ in range(25):
        lower, upper = (pool.tick // spacing + step for step in (-random.integers(0, 40), random.integers(1, 40)))
        usd = int(10 ** random.uniform(2, 6))
        amounts = [usd * 10**token.decimals // TOKEN_USD.get(token.id, 1) for token in tokens]
        ticks = (int(lower) * spacing, int(upper) * spacing)
        order = (*[token.address for token in tokens], venue.fee_pips, *ticks, *amounts, 0, 0, issuer, FOREVER)
        market.transactor.send(issuer, manager, MINT, order)
    market.transactor.mine()


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("token_in", ["usdc", "weth"])
def test_the_router_pays_what_the_route_says(market: Market, count: int, token_in: str) -> None:
    token_out = "weth" if token_in == "usdc" else "usdc"
    venues = four_venues(market)[:count]
    unit = 10 ** market.catalog.token(token_in).decimals

    for usd in (10_000, 300_000, 3_000_000):
        amount = usd * unit // TOKEN_USD.get(token_in, 1)
        pools = read(market.world, venues)
        route = split_swap(pools, token_in=token_in, token_out=token_out, amount_in=amount)
        fees = {venue.id: venue.fee_pips for venue in venues}
        received = [
            market.swap(token_in, token_out, amount=leg.amount_in, fee_pips=fees[leg.venue]) for leg in route.legs
        ]
        assert route.amount_in == amount
        assert received == [leg.amount_out for leg in route.legs], (usd, route)


def test_a_swap_beyond_what_was_read_is_refused_not_guessed(market: Market) -> None:
    venue = open_pool(market, 100, 1, side_usd=1_000_000, position_count=2)
    (pool,) = read(market.world, [venue])

    with pytest.raises(Infeasible, match="leaves its known ticks"):
        tick_pool_output(pool, 10**13, zero_for_one=pool.sells_token_0("usdc"))


def test_a_pair_pays_what_uniswaps_own_quoter_of_pairs_says(market: Market) -> None:
    """The reserves are put at the address where the quoter looks for the pair; the arithmetic is its own bytecode."""
    first, second = sorted(("usdc", "weth"), key=lambda token: market.catalog.token(token).address)
    reserves = {"usdc": 8_000_000_123_457, "weth": 2_285_714_285_714_285_714_333}
    pool = PairPool(
        venue="pair",
        token_0=first,
        token_1=second,
        fee_pips=3_000,
        block_number=1,
        reserve_0=reserves[first],
        reserve_1=reserves[second],
    )
    quoter = deploy_pair_quoter(market, pool)
    pair = (market.catalog.token("usdc").address, market.catalog.token("weth").address)

    for amount in (1, 999, 10**9, 123_456_789_012, 3 * 10**12, 10**15):
        quoted = market.integer(quoter, QUOTE_PAIR, (*pair, amount))
        assert pair_pool_output(pool, amount, zero_for_one=first == "usdc") == quoted


def deploy_pair_quoter(market: Market, pool: PairPool) -> str:
    world, issuer = market.world, market.world.manifest.actors.issuer
    raw = json.loads((PACKAGES / MIXED_QUOTER).read_text())
    artifact = Artifact("MixedRouteQuoterV1", "(address,address,address)", raw["bytecode"], {})
    factory = world.catalog.contracts.quoter  # any address may stand for the factory of pairs
    code = artifact.init_code((world.manifest.uniswap_factory, factory, ZERO), {})
    quoter = market.transactor.deploy(issuer, code, label=artifact.name, gas=DEPLOY_GAS)
    market.transactor.mine()
    tokens = b"".join(bytes.fromhex(world.catalog.token(token).address[2:]) for token in (pool.token_0, pool.token_1))
    seed = b"\xff" + bytes.fromhex(factory[2:]) + keccak(tokens) + bytes.fromhex(PAIR_CODE_HASH)
    world.node.rpc.call("anvil_setCode", "0x" + keccak(seed)[12:].hex(), reserves_code(pool))
    return quoter


def reserves_code(pool: PairPool) -> str:
    """EVM code that answers every call with (reserve_0, reserve_1, 0), as getReserves() does."""
    words = [value.to_bytes(32, "big").hex() for value in (pool.reserve_0, pool.reserve_1)]
    return f"0x7f{words[0]}6000527f{words[1]}60205260606000f3"


def test_a_plans_large_swap_is_split_and_every_leg_passes_the_guards(world: World) -> None:
    """The whole way of the product: pools read, legs routed, quoted and floored, bytes built, simulated and judged."""
    desk = Desk(world)
    desk.policy = make_limits(slippage={"max_day_slippage_usd": 5_000, "max_week_slippage_usd": 5_000})
    order = Move(kind=MoveKind.SWAP, token_in="usdc", token_out="dai", amount_in=500_000 * USDC, venue="usdc-dai-100")
    terms = {"snapshot": desk.snapshot, "catalog": desk.catalog, "policy": desk.policy, "is_exit": False}

    legs = route_swaps([order], desk.reader, **terms)
    quotes = quote_swaps(legs, desk.reader)
    moves = with_minimum_outs(legs, quotes, **terms)
    evidence = desk.evidence(list(moves))

    alone = quote_swaps([order], desk.reader)[0]
    assert [leg.venue for leg in legs] == ["usdc-dai-100", "usdc-dai-500"]
    assert sum(leg.amount_in for leg in legs) == order.amount_in
    assert sum(quotes.values()) > alone
    assert bytes_and_money(evidence) == set()
    assert evidence.after.cash_of("dai") - evidence.before.cash_of("dai") == sum(quotes.values())
