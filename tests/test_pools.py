"""Pool states refuse what no contract could hold, and the collector reads them whole or not at all."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from bench.routing import pair_pool, tick_pool
from collectors.answers import Question
from collectors.pools import REACH_TICKS, read_pools
from domain import abi
from domain.errors import StaleOrDisputed, UnknownSubject
from domain.market import Venue
from domain.pools import MAX_RESERVE, MAX_TICK, MIN_TICK, PairPool, PoolState, TickPool
from tests.fakes_chain import HEAD, FakeReads
from tools.routing.uniswap_v3_math import sqrt_ratio_at_tick

POOL = tick_pool("tier", fee_pips=500, depth_usd=400e6, seed=1)
VENUE = Venue(id="tier", pool="0x" + "11" * 20, token_0="usdc", token_1="weth", fee_pips=500)
SPACING = 10
EMPTY_TICK = (0, 0, 0, 0, 0, 0, 0, True)


def changed(pool: PoolState, **fields: object) -> dict[str, object]:
    return {**pool.model_dump(), **fields}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"sqrt_price_x96": 0}, "sqrt_price_x96"),
        ({"sqrt_price_x96": float("nan")}, "sqrt_price_x96"),
        ({"liquidity": 2**128}, "liquidity"),
        ({"liquidity": -1}, "liquidity"),
        ({"fee_pips": 1_000_000}, "fee_pips"),
        ({"tick_spacing": 0}, "tick_spacing"),
        ({"token_1": "usdc"}, "venue tier must trade two tokens, both are usdc"),
        ({"tick": POOL.tick + 2}, "tick of tier must be that of its price"),
        ({"tick": POOL.tick - 2}, "tick of tier must be that of its price"),
        ({"ticks": POOL.ticks[::-1]}, r"ticks\[1\] of tier must be above"),
        ({"ticks": (*POOL.ticks, POOL.ticks[-1])}, r"ticks\[200\] of tier must be above"),
        ({"lowest_tick": POOL.ticks[0].tick + SPACING}, r"ticks\[0\] of tier must be within"),
        ({"ticks": (), "lowest_tick": POOL.tick + 10}, "tick of tier must be within"),
        ({"liquidity": POOL.liquidity // 2}, r"liquidity of tier must be within 0..2\^128-1, it is -"),
    ],
)
def test_pool_that_no_contract_could_hold_is_refused(fields: dict[str, object], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        TickPool.model_validate(changed(POOL, **fields))


def test_tick_between_two_usable_ones_is_refused() -> None:
    row = {"tick": POOL.ticks[0].tick - 3, "liquidity_net": 0}

    with pytest.raises(ValidationError, match=r"ticks\[0\] of tier must be a multiple of 10"):
        TickPool.model_validate(changed(POOL, ticks=(row, *POOL.ticks)))


def test_price_that_fell_exactly_onto_a_tick_belongs_to_the_tick_below() -> None:
    ratio = sqrt_ratio_at_tick(POOL.tick)
    fields = {"sqrt_price_x96": ratio, "tick": POOL.tick - 1, "ticks": (), "liquidity": 1}

    pool = TickPool.model_validate(changed(POOL, **fields))

    assert pool.tick == POOL.tick - 1


@pytest.mark.parametrize("reserve", [0, MAX_RESERVE + 1, -1, 1.5])
def test_reserve_that_a_pair_cannot_hold_is_refused(reserve: float) -> None:
    with pytest.raises(ValidationError, match="reserve_0"):
        PairPool.model_validate(changed(pair_pool("pair", reserve_usd=1), reserve_0=reserve))


def test_token_that_is_not_traded_is_named() -> None:
    with pytest.raises(UnknownSubject, match="venue tier trades usdc and weth, not dai"):
        POOL.sells_token_0("dai")


def canned(pool: TickPool, *, spacing: int = SPACING) -> FakeReads:
    """A node that answers for the pool of VENUE as the contract would."""
    reads = FakeReads()
    reads.set(Question(VENUE.pool, abi.SLOT_0), pool.sqrt_price_x96, pool.tick, 0, 1, 1, 0, True)
    reads.set(Question(VENUE.pool, abi.LIQUIDITY), pool.liquidity)
    reads.set(Question(VENUE.pool, abi.TICK_SPACING), spacing)
    reads.set(Question(VENUE.pool, abi.POOL_FEE), pool.fee_pips)
    words: dict[int, int] = {}
    for entry in pool.ticks:
        word, bit = divmod(entry.tick // SPACING, 256)
        words[word] = words.get(word, 0) | 1 << bit
        gross = abs(entry.liquidity_net)
        reads.set(Question(VENUE.pool, abi.TICKS, (entry.tick,)), gross, entry.liquidity_net, *EMPTY_TICK[2:])
    for word in range(MIN_TICK // SPACING // 256, MAX_TICK // SPACING // 256 + 1):
        reads.set(Question(VENUE.pool, abi.TICK_BITMAP, (word,)), words.get(word, 0))
    return reads


def test_a_pool_is_read_with_every_tick_in_reach() -> None:
    (pool,) = read_pools(canned(POOL), HEAD, [VENUE])

    assert pool.ticks == POOL.ticks
    assert (pool.sqrt_price_x96, pool.tick, pool.liquidity) == (POOL.sqrt_price_x96, POOL.tick, POOL.liquidity)
    assert pool.block_number == HEAD.number
    assert pool.lowest_tick <= POOL.tick - REACH_TICKS < POOL.tick + REACH_TICKS <= pool.highest_tick


def test_ticks_beyond_the_last_word_are_not_claimed_to_be_known() -> None:
    (pool,) = read_pools(canned(POOL), HEAD, [VENUE])

    assert pool.lowest_tick % (256 * SPACING) == 0
    assert (pool.highest_tick + SPACING) % (256 * SPACING) == 0
    assert pool.highest_tick < MAX_TICK


@pytest.mark.parametrize(
    "question",
    [
        Question(VENUE.pool, abi.SLOT_0),
        Question(VENUE.pool, abi.TICK_BITMAP, (POOL.tick // SPACING // 256,)),
        Question(VENUE.pool, abi.TICKS, (POOL.ticks[5].tick,)),
    ],
)
def test_a_pool_that_does_not_answer_is_not_guessed(question: Question) -> None:
    reads = canned(POOL)
    reads.break_(question)

    with pytest.raises(StaleOrDisputed, match=f"does not answer {question.function.name} at block {HEAD.number}"):
        read_pools(reads, HEAD, [VENUE])


def test_another_fee_than_the_catalogs_is_disputed() -> None:
    reads = canned(POOL)
    reads.set(Question(VENUE.pool, abi.POOL_FEE), 3_000)

    with pytest.raises(StaleOrDisputed, match="venue tier must charge 500 pips, its pool charges 3000 pips"):
        read_pools(reads, HEAD, [VENUE])


def test_answers_that_contradict_each_other_are_disputed() -> None:
    reads = canned(POOL)
    reads.set(Question(VENUE.pool, abi.LIQUIDITY), POOL.liquidity // 2)

    with pytest.raises(StaleOrDisputed, match=r"pool of tier contradicts itself at block 100: .*liquidity of tier"):
        read_pools(reads, HEAD, [VENUE])


def test_no_venues_are_no_pools() -> None:
    assert read_pools(FakeReads(), HEAD, []) == ()
