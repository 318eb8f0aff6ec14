"""From weights to amounts: the only place where a float becomes an integer; floor, remainder stays in cash.

Every amount is funded by what earlier moves are sure to deliver, so that no move can ask for more than is there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Final

from domain.errors import InvariantBroken
from domain.market import Catalog, MarketSnapshot, Strategy, StrategyKind
from domain.plan import Candidate, CandidateKind, Move, MoveKind, Weight
from domain.policy import Policy
from domain.portfolio import Portfolio, net_asset_value_usd
from domain.units import BPS_PER_ONE
from tools.access import broken_peg, cheapest_venue, leavable
from tools.plan_draft import Draft
from tools.swap_floors import exit_minimum_out, fair_floor, minimum_out

REDEEM_MARGIN_BPS: Final = 1
"""A vault rounds down twice; what is redeemed is counted on only up to this."""
DEPOSITS: Final = frozenset({MoveKind.SUPPLY, MoveKind.DEPOSIT})
MITIGATIONS: Final = frozenset({CandidateKind.REDUCE, CandidateKind.EXIT, CandidateKind.EXIT_TO_RESERVE})


def round_to_weights(shares: Mapping[str, float]) -> tuple[Weight, ...]:
    """Shares of net asset value as whole basis points, rounded down; zero weights are left out."""
    floored = {strategy: math.floor(share * BPS_PER_ONE) for strategy, share in shares.items()}
    return tuple(Weight(strategy=strategy, weight_bps=bps) for strategy, bps in sorted(floored.items()) if bps > 0)


def plan_moves(
    candidate: Candidate, *, portfolio: Portfolio, snapshot: MarketSnapshot, catalog: Catalog, policy: Policy
) -> tuple[Move, ...]:
    """Exits, then swaps through the reserve token, then deposits; swaps still without minimum_out.

    Empty for HOLD. Raises StaleOrDisputed when a held token has no price, but never for a mitigation: an exit needs
    no oracle.
    """
    balances = {token.id: portfolio.cash_of(token.id) for token in catalog.tokens}
    draft = Draft(portfolio, snapshot, catalog, policy, balances)
    if candidate.kind in MITIGATIONS:
        _plan_mitigation(draft, candidate)
    elif candidate.kind is not CandidateKind.HOLD:
        _plan_allocation(draft, candidate)
    return tuple(draft.moves)


def with_minimum_outs(
    moves: Sequence[Move],
    quotes: Mapping[int, int],
    *,
    snapshot: MarketSnapshot,
    catalog: Catalog,
    policy: Policy,
    is_exit: bool,
) -> tuple[Move, ...]:
    """The moves with every swap's minimum_out set, always above 0. Raises like swap_floors.minimum_out.

    `quotes` maps a swap's index in `moves` to the quoted amount out. Deposits need no change: plan_moves funded them
    with the floor that becomes the minimum here, so `snapshot` must be the one the moves were planned with.
    An exit leaves out a swap whose pool pays too little, and keeps the token.
    """
    if is_exit and any(move.kind in DEPOSITS for move in moves):
        raise InvariantBroken("an exit must not deposit: its swaps are floored by the quote, not by what was planned")
    set_minimum = exit_minimum_out if is_exit else minimum_out
    floored: list[Move] = []
    for index, move in enumerate(moves):
        if move.kind is not MoveKind.SWAP:
            floored.append(move)
            continue
        least = set_minimum(move, quotes.get(index), snapshot=snapshot, catalog=catalog, policy=policy)
        if least is not None:
            floored.append(move.model_copy(update={"minimum_out": least}))
    return tuple(floored)


def _plan_mitigation(draft: Draft, candidate: Candidate) -> None:
    catalog = draft.catalog
    freed: dict[str, int] = {}
    for strategy_id in candidate.exits:
        strategy = catalog.strategy(strategy_id)
        held = draft.portfolio.position_of(strategy_id)
        wanted = -(-held // 2) if candidate.kind is CandidateKind.REDUCE else held
        freed[strategy.token] = freed.get(strategy.token, 0) + _leave(draft, strategy, wanted)
    if not candidate.to_reserve:
        return
    for token in catalog.tokens:
        is_broken = broken_peg(token.id, draft.snapshot, catalog, draft.policy) is not None
        amount = draft.balances[token.id] if is_broken else freed.get(token.id, 0)
        if token.id != catalog.reserve_token and amount:
            _swap(draft, token.id, catalog.reserve_token, amount, is_priced=False)


def _plan_allocation(draft: Draft, candidate: Candidate) -> None:
    draft.net_value = Fraction(net_asset_value_usd(draft.portfolio, draft.snapshot, draft.catalog))
    targets = {weight.strategy: weight.weight_bps for weight in candidate.weights}
    wanted: list[tuple[Strategy, int]] = []
    for strategy in draft.catalog.strategies:
        held = draft.portfolio.position_of(strategy.id)
        target = _target_amount(draft, strategy, targets.get(strategy.id, 0))
        if target == held or draft.is_dust(strategy.token, abs(target - held)):
            continue
        if target < held:
            _leave(draft, strategy, held - target)
        elif not _is_closed(draft, strategy):
            wanted.append((strategy, target - held))
    _swap_to_fund(draft, wanted)
    for strategy, amount in wanted:
        _enter(draft, strategy, min(amount, draft.spendable(strategy.token)))


def _target_amount(draft: Draft, strategy: Strategy, weight_bps: int) -> int:
    return draft.amount(strategy.token, draft.net_value * weight_bps / BPS_PER_ONE) if weight_bps else 0


def _is_closed(draft: Draft, strategy: Strategy) -> bool:
    rate = draft.snapshot.rate(strategy.id)
    return rate is None or rate.is_paused


def _swap_to_fund(draft: Draft, wanted: list[tuple[Strategy, int]]) -> None:
    """Sell what is idle while the reserve is short or the token above its cap, then buy what the deposits lack.

    What leaves positions pays first: taken from the reserve instead, the same value would be moved twice.
    """
    reserve = draft.catalog.reserve_token
    needs: dict[str, int] = {}
    for strategy, amount in wanted:
        needs[strategy.token] = needs.get(strategy.token, 0) + amount
    others = [token.id for token in draft.catalog.tokens if token.id != reserve]
    lacking = {token: needs.get(token, 0) - draft.balances[token] for token in others}
    buys = {token: draft.value(token, lack) for token, lack in lacking.items() if lack > 0}
    idle = {token: draft.value(token, -lack) for token, lack in lacking.items() if lack < 0}
    spending = sum(buys.values(), draft.value(reserve, needs.get(reserve, 0)))
    short = spending + draft.value(reserve, draft.kept() - draft.balances[reserve])
    _sell_idle(draft, idle, short=short, spending=spending)
    entered = [token for token in needs if token in lacking]
    if entered:
        # The optimizer may count on idle cash staying idle while the reserve's own issuer is above its cap.
        largest = max(entered, key=lambda token: (draft.value(token, needs[token]), token))
        excess = draft.above_cap(reserve) - sum(buys.values())
        buys[largest] = buys.get(largest, Fraction(0)) + max(excess, Fraction(0))
    for token, value in sorted(buys.items(), key=lambda item: (-item[1], item[0])):
        amount = min(draft.amount(reserve, value), draft.spendable(reserve))
        if not draft.is_dust(reserve, amount):
            _swap(draft, reserve, token, amount)


def _sell_idle(draft: Draft, idle: Mapping[str, Fraction], *, short: Fraction, spending: Fraction) -> None:
    """Largest first. Only stable tokens fill the reserve: selling others is a decision about price risk."""
    for token, value in sorted(idle.items(), key=lambda item: (-item[1], item[0])):
        missing = max(short, min(draft.freed(token), spending)) if draft.catalog.token(token).is_stable else Fraction(0)
        wished = max(draft.above_cap(token), missing)
        if wished > 0:
            sold = _sell(draft, token, draft.amount(token, min(value, max(wished, draft.least_value()))))
            short, spending = short - sold, spending - sold


def _sell(draft: Draft, token: str, amount: int) -> Fraction:
    """Swap into the reserve; returns the USD value that left, 0 for dust."""
    if draft.is_dust(token, amount) or not _swap(draft, token, draft.catalog.reserve_token, amount):
        return Fraction(0)
    return draft.value(token, amount)


def _swap(draft: Draft, token_in: str, token_out: str, amount: int, *, is_priced: bool = True) -> bool:
    """Plan a swap on the cheapest venue of the pair; False when there is none or nothing to swap."""
    max_fee_bps = draft.policy.slippage.max_trade_slippage_bps if is_priced else BPS_PER_ONE
    venue = cheapest_venue(token_in, token_out, draft.catalog, max_fee_bps=max_fee_bps)
    if venue is None or amount <= 0:
        return False
    move = Move(kind=MoveKind.SWAP, token_in=token_in, token_out=token_out, amount_in=amount, venue=venue.id)
    floor = fair_floor(move, snapshot=draft.snapshot, catalog=draft.catalog, policy=draft.policy) if is_priced else 0
    draft.add(move, delivered=floor)
    return True


def _leave(draft: Draft, strategy: Strategy, wanted: int) -> int:
    """Plan a withdrawal of at most what can leave; returns what is sure to arrive, in base units of the token."""
    held = draft.portfolio.position_of(strategy.id)
    amount = min(wanted, leavable(strategy.id, draft.portfolio, draft.snapshot))
    if amount <= 0:
        return 0
    if strategy.kind is StrategyKind.AAVE_V3:
        move, delivered = _exit_move(MoveKind.WITHDRAW, strategy, amount, is_whole=amount == held), amount
    else:
        move, delivered = _redeem(draft, strategy, amount, held)
    if delivered:
        draft.add(move, delivered=delivered)
    return delivered


def _redeem(draft: Draft, strategy: Strategy, amount: int, held: int) -> tuple[Move, int]:
    owned = sum(position.shares for position in draft.portfolio.positions if position.strategy == strategy.id)
    shares = owned if amount == held else owned * amount // held
    move = _exit_move(MoveKind.REDEEM, strategy, held * shares // owned if owned else 0, is_whole=amount == held)
    delivered = move.amount_in * (BPS_PER_ONE - REDEEM_MARGIN_BPS) // BPS_PER_ONE if shares else 0
    return move.model_copy(update={"shares": shares}), delivered


def _exit_move(kind: MoveKind, strategy: Strategy, amount: int, *, is_whole: bool) -> Move:
    token = strategy.token
    return Move(kind=kind, token_in=token, token_out=token, amount_in=amount, strategy=strategy.id, is_whole=is_whole)


def _enter(draft: Draft, strategy: Strategy, amount: int) -> None:
    if draft.is_dust(strategy.token, amount):
        return
    kind = MoveKind.SUPPLY if strategy.kind is StrategyKind.AAVE_V3 else MoveKind.DEPOSIT
    token = strategy.token
    move = Move(kind=kind, token_in=token, token_out=token, amount_in=amount, strategy=strategy.id)
    draft.add(move, delivered=0)
