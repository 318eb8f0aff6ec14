"""Prices and liquidity of Uniswap v3 pools at one block, as far from the price as a swap may go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from pydantic import ValidationError

from collectors.answers import Answers, Question, ask
from domain import abi
from domain.errors import StaleOrDisputed
from domain.market import Venue
from domain.pools import MAX_TICK, MIN_TICK, TickLiquidity, TickPool
from domain.ports import BlockHeader, ChainReads

REACH_TICKS: Final = 24_576
"""How far ticks are read each way: a factor of 11.7 in price, in whole words for every usual spacing."""
WORD_TICKS: Final = 256
"""Initialized ticks are bits of words of 256 (TickBitmap)."""
LIQUIDITY_NET: Final = 1
"""Its place among what ticks() returns."""


class _State(NamedTuple):
    """A pool's own numbers, and the words of its bitmap that are read: the last one excluded."""

    venue: Venue
    sqrt_price_x96: int
    tick: int
    liquidity: int
    spacing: int
    first_word: int
    end_word: int

    def bitmap(self) -> list[Question]:
        return [Question(self.venue.pool, abi.TICK_BITMAP, (word,)) for word in range(self.first_word, self.end_word)]


def read_pools(reads: ChainReads, header: BlockHeader, venues: Sequence[Venue]) -> tuple[TickPool, ...]:
    """Their states at the header's block, in the same order, by three reads for all of them.

    Raises ChainUnavailable, and StaleOrDisputed for a pool that does not answer, that charges another fee than its
    venue says, or whose answers contradict each other.
    """
    states = _read_states(reads, header, venues)
    words = ask(reads, (question for state in states for question in state.bitmap()), header)
    initialized = [_initialized_ticks(state, words, header) for state in states]
    questions = [
        [Question(state.venue.pool, abi.TICKS, (tick,)) for tick in ticks]
        for state, ticks in zip(states, initialized, strict=True)
    ]
    answers = ask(reads, (question for group in questions for question in group), header)
    pools = []
    for state, ticks, asked in zip(states, initialized, questions, strict=True):
        nets = [_answered(answers, question, header)[LIQUIDITY_NET] for question in asked]
        pools.append(_pool(state, ticks, nets, header))
    return tuple(pools)


def _read_states(reads: ChainReads, header: BlockHeader, venues: Sequence[Venue]) -> list[_State]:
    functions = (abi.SLOT_0, abi.LIQUIDITY, abi.TICK_SPACING, abi.POOL_FEE)
    questions = [[Question(venue.pool, function) for function in functions] for venue in venues]
    answers = ask(reads, (question for group in questions for question in group), header)
    states = []
    for venue, asked in zip(venues, questions, strict=True):
        slot_0, *rest = (_answered(answers, question, header) for question in asked)
        liquidity, spacing, fee_pips = (values[0] for values in rest)
        if fee_pips != venue.fee_pips or spacing <= 0:
            raise StaleOrDisputed(
                f"venue {venue.id} must charge {venue.fee_pips} pips, its pool charges {fee_pips} pips "
                f"and has a tick spacing of {spacing}"
            )
        first, end = _words(slot_0[1], spacing)
        states.append(_State(venue, slot_0[0], slot_0[1], liquidity, spacing, first, end))
    return states


def _words(tick: int, spacing: int) -> tuple[int, int]:
    """First and, excluded, last word to read; none beyond the ticks that exist."""
    first = max(tick - REACH_TICKS, MIN_TICK) // spacing // WORD_TICKS
    last = min(tick + REACH_TICKS, MAX_TICK) // spacing // WORD_TICKS
    return first, last + 1


def _initialized_ticks(state: _State, words: Answers, header: BlockHeader) -> list[int]:
    found = []
    for word, question in enumerate(state.bitmap(), start=state.first_word):
        bits = _answered(words, question, header)[0]
        found += [(word * WORD_TICKS + bit) * state.spacing for bit in range(WORD_TICKS) if bits >> bit & 1]
    return found


def _answered(answers: Answers, question: Question, header: BlockHeader) -> tuple[int, ...]:
    values = answers.integers(question)
    if not values:
        name = question.function.name
        raise StaleOrDisputed(f"pool {question.target} does not answer {name} at block {header.number}")
    return values


def _pool(state: _State, ticks: Sequence[int], nets: Sequence[int], header: BlockHeader) -> TickPool:
    venue, span = state.venue, state.spacing * WORD_TICKS
    try:
        return TickPool(
            venue=venue.id,
            token_0=venue.token_0,
            token_1=venue.token_1,
            fee_pips=venue.fee_pips,
            block_number=header.number,
            tick_spacing=state.spacing,
            sqrt_price_x96=state.sqrt_price_x96,
            tick=state.tick,
            liquidity=state.liquidity,
            ticks=tuple(TickLiquidity(tick=tick, liquidity_net=net) for tick, net in zip(ticks, nets, strict=True)),
            lowest_tick=max(state.first_word * span, MIN_TICK),
            highest_tick=min(state.end_word * span - state.spacing, MAX_TICK),
        )
    except ValidationError as error:
        reason = "; ".join(problem["msg"] for problem in error.errors())
        raise StaleOrDisputed(f"pool of {venue.id} contradicts itself at block {header.number}: {reason}") from error
