"""From moves to one plan: each move's exact approval and action, in order, inside one envelope."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from domain.errors import InvariantBroken
from domain.market import Catalog, Strategy, StrategyKind
from domain.plan import Move, MoveKind, RebalancePlan
from domain.transaction import UnsignedCall
from tools.transactions import aave_v3, erc4626, uniswap_v3
from tools.transactions.safe import wrap_calls

MAX_CALLS: Final = 64
Builder = Callable[[Move, Strategy, Catalog], tuple[UnsignedCall, ...]]
STRATEGY_BUILDERS: Final[Mapping[MoveKind, tuple[StrategyKind, Builder]]] = {
    MoveKind.SUPPLY: (StrategyKind.AAVE_V3, aave_v3.supply),
    MoveKind.WITHDRAW: (StrategyKind.AAVE_V3, aave_v3.withdraw),
    MoveKind.DEPOSIT: (StrategyKind.ERC4626, erc4626.deposit),
    MoveKind.REDEEM: (StrategyKind.ERC4626, erc4626.redeem),
}


def build_plan(
    *,
    moves: Sequence[Move],
    run_id: str,
    candidate_id: str,
    catalog: Catalog,
    policy_digest: str,
    snapshot_digest: str,
    fee_cap_wei: int,
    expires_at: datetime,
) -> RebalancePlan:
    """Moves with the exact bytes that carry them out. Raises InvariantBroken for a move that cannot be encoded."""
    calls = tuple(call for move in moves for call in build_calls(move, catalog))
    if not 1 <= len(calls) <= MAX_CALLS:
        raise InvariantBroken(f"plan of run {run_id} must have 1 to {MAX_CALLS} calls, got {len(calls)}")
    return RebalancePlan(
        run_id=run_id,
        chain_id=catalog.chain_id,
        account=catalog.account,
        candidate=candidate_id,
        moves=tuple(moves),
        calls=calls,
        envelope=wrap_calls(calls, catalog),
        minimum_outs=tuple(move.minimum_out for move in moves if move.kind is MoveKind.SWAP),
        fee_cap_wei=fee_cap_wei,
        policy_digest=policy_digest,
        snapshot_digest=snapshot_digest,
        expires_at=expires_at,
    )


def build_calls(move: Move, catalog: Catalog) -> tuple[UnsignedCall, ...]:
    """The calls of one move, its approval first."""
    if move.kind is MoveKind.SWAP:
        return _build_swap(move, catalog)
    if move.strategy is None:
        raise InvariantBroken(f"{move.kind.value} of {move.token_in} names no strategy")
    strategy = catalog.strategy(move.strategy)
    kind, builder = STRATEGY_BUILDERS[move.kind]
    if strategy.kind is not kind:
        raise InvariantBroken(
            f"{move.kind.value} needs a {kind.value} strategy, {strategy.id} is {strategy.kind.value}"
        )
    return builder(move, strategy, catalog)


def _build_swap(move: Move, catalog: Catalog) -> tuple[UnsignedCall, ...]:
    venue = next((venue for venue in catalog.venues if venue.id == move.venue), None)
    if venue is None:
        raise InvariantBroken(f"swap of {move.token_in} to {move.token_out} names unknown venue {move.venue}")
    return uniswap_v3.swap(move, venue, catalog)
