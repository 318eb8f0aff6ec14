"""What observe must react to in held positions, and the ways out that are computed without any model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final

import numpy as np

from domain.errors import InvariantBroken
from domain.market import Catalog, MarketHistory, MarketSnapshot, RateObservation, Strategy
from domain.plan import Candidate, CandidateKind, Move, MoveKind, Weight
from domain.policy import Policy
from domain.portfolio import Portfolio
from domain.run import RiskEvent
from domain.units import BPS_PER_ONE, value_usd
from tools.access import broken_peg
from tools.allocation import plan_moves
from tools.costs import gas_cost_usd
from tools.history import series_of
from tools.plan_draft import DUST_USD

FALL_WINDOW_DAYS: Final = 7
MAX_SHARE_PRICE_FALL: Final = 0.005
CANDIDATE_IDS: Final = {
    CandidateKind.REDUCE: "reduce",
    CandidateKind.EXIT: "exit",
    CandidateKind.EXIT_TO_RESERVE: "exit-to-reserve",
}


def detect_events(
    *, portfolio: Portfolio, snapshot: MarketSnapshot, history: MarketHistory, catalog: Catalog, policy: Policy
) -> tuple[RiskEvent, ...]:
    """Events of held positions worth more than dust, and of broken stable tokens held as cash outside the reserve.

    A token that is not priced raises no event here: valuing the portfolio already refuses it.
    """
    events: list[RiskEvent] = []
    for strategy in catalog.strategies:
        if _matters(portfolio.position_of(strategy.id), strategy.token, snapshot, catalog):
            events += _strategy_events(strategy, snapshot, history, catalog, policy)
    for token in catalog.tokens:
        is_held = _matters(portfolio.cash_of(token.id), token.id, snapshot, catalog)
        if is_held and token.id != catalog.reserve_token:
            events += _peg_events(token.id, token.id, snapshot, catalog, policy)
    return tuple(events)


def mitigation_candidates(
    events: Sequence[RiskEvent], *, portfolio: Portfolio, snapshot: MarketSnapshot, catalog: Catalog, policy: Policy
) -> tuple[Candidate, ...]:
    """REDUCE, EXIT and EXIT_TO_RESERVE where they move something; only HOLD when nothing can leave now."""
    subjects = {event.subject for event in events}
    exits = tuple(s.id for s in catalog.strategies if s.id in subjects and portfolio.position_of(s.id))
    drafts = [_draft(kind, exits) for kind in CANDIDATE_IDS]
    found = []
    for draft in drafts:
        moves = plan_moves(draft, portfolio=portfolio, snapshot=snapshot, catalog=catalog, policy=policy)
        if moves:
            found.append(_priced(draft, moves, portfolio, snapshot, catalog))
    hold = _draft(CandidateKind.HOLD, ())
    return tuple(found) or (_priced(hold, (), portfolio, snapshot, catalog),)


def can_mitigate(
    events: Sequence[RiskEvent], *, portfolio: Portfolio, snapshot: MarketSnapshot, catalog: Catalog, policy: Policy
) -> bool:
    """Whether a way out of any event moves something now. What is stuck stays, and keeps nothing else waiting."""
    if not events:
        return False
    offered = mitigation_candidates(events, portfolio=portfolio, snapshot=snapshot, catalog=catalog, policy=policy)
    return any(candidate.kind is not CandidateKind.HOLD for candidate in offered)


def default_mitigation(candidates: Sequence[Candidate], policy: Policy) -> Candidate:
    """The policy's default action, or the strongest one offered when that moves nothing."""
    if not candidates:
        raise InvariantBroken("a mitigation was asked for without any candidate")
    wanted = next((c for c in candidates if c.kind.value == policy.mitigation.default_action), None)
    return wanted or candidates[-1]


def _strategy_events(
    strategy: Strategy, snapshot: MarketSnapshot, history: MarketHistory, catalog: Catalog, policy: Policy
) -> Iterator[RiskEvent]:
    yield from _peg_events(strategy.token, strategy.id, snapshot, catalog, policy)
    rate = snapshot.rate(strategy.id)
    if rate is None:
        return
    yield from _utilization_events(rate, policy)
    yield from _fall_events(rate, history)
    if rate.is_paused:
        yield RiskEvent(kind="paused", subject=strategy.id, observed="paused", limit="open")


def _peg_events(
    token: str, subject: str, snapshot: MarketSnapshot, catalog: Catalog, policy: Policy
) -> Iterator[RiskEvent]:
    """A pool that left the oracle is a dispute, which keeps entries out; only the oracle breaks a peg."""
    price = broken_peg(token, snapshot, catalog, policy)
    if price is not None:
        limit = f"{policy.mitigation.max_peg_deviation_bps} bps from 1 USD"
        yield RiskEvent(kind="peg_break", subject=subject, observed=f"{token} at {price} USD", limit=limit)


def _utilization_events(rate: RateObservation, policy: Policy) -> Iterator[RiskEvent]:
    limit, used = policy.mitigation.max_utilization_share, rate.utilization
    if isinstance(limit, Decimal) and used is not None and used > limit:
        yield RiskEvent(kind="utilization", subject=rate.strategy, observed=f"{used:.4f}", limit=str(limit))


def _fall_events(rate: RateObservation, history: MarketHistory) -> Iterator[RiskEvent]:
    """Share price now against its highest value of the last week."""
    recent = series_of(history.share_price, rate.strategy, len(history.days))[-FALL_WINDOW_DAYS:]
    known = recent[~np.isnan(recent)]
    peak = float(known.max()) if known.size else 0.0
    fall = 1.0 - float(rate.share_price) / peak if peak > 0 else 0.0
    if fall > MAX_SHARE_PRICE_FALL:
        yield RiskEvent(
            kind="share_price_fall",
            subject=rate.strategy,
            observed=f"{fall:.4f} below the peak of {FALL_WINDOW_DAYS} days",
            limit=str(MAX_SHARE_PRICE_FALL),
        )


def _matters(amount: int, token: str, snapshot: MarketSnapshot, catalog: Catalog) -> bool:
    price = snapshot.price_usd(token)
    if price is None:
        return amount > 0
    return value_usd(amount, decimals=catalog.token(token).decimals, price_usd=price) >= Decimal(int(DUST_USD))


def _draft(kind: CandidateKind, exits: tuple[str, ...]) -> Candidate:
    """A way out promises no gain: it is judged by what it avoids."""
    return Candidate(
        id=CANDIDATE_IDS.get(kind, "hold"),
        kind=kind,
        weights=(),
        exits=exits,
        to_reserve=kind is CandidateKind.EXIT_TO_RESERVE,
        expected_apr=0.0,
        lower_apr=0.0,
        turnover=0.0,
        cost_usd=0.0,
        gain_usd=0.0,
        lower_gain_usd=0.0,
        break_even_days=None,
    )


def _priced(
    draft: Candidate, moves: tuple[Move, ...], portfolio: Portfolio, snapshot: MarketSnapshot, catalog: Catalog
) -> Candidate:
    """With the weights it leaves, its turnover and its gas; unpriced holdings count nowhere."""
    values = {s.id: _value(portfolio.position_of(s.id), s.token, snapshot, catalog) for s in catalog.strategies}
    cash = sum(_value(balance.amount, balance.token, snapshot, catalog) for balance in portfolio.cash)
    total = sum(values.values()) + cash
    moved = 0.0
    for move in moves:
        worth = _value(move.amount_in, move.token_in, snapshot, catalog)
        if move.strategy is not None:
            values[move.strategy] -= worth
            moved += worth
        elif portfolio.cash_of(move.token_in) and move.kind is MoveKind.SWAP:
            moved += min(worth, _value(portfolio.cash_of(move.token_in), move.token_in, snapshot, catalog))
    native = snapshot.price_usd(catalog.native_token)
    gas = gas_cost_usd((m.kind for m in moves), snapshot, native_price_usd=native) if native else Decimal(0)
    return draft.model_copy(
        update={
            "weights": tuple(
                Weight(strategy=name, weight_bps=int(value / total * BPS_PER_ONE))
                for name, value in values.items()
                if total > 0 and value / total * BPS_PER_ONE >= 1
            ),
            "turnover": min(moved / total, 1.0) if total > 0 else 0.0,
            "cost_usd": float(gas),
        }
    )


def _value(amount: int, token: str, snapshot: MarketSnapshot, catalog: Catalog) -> float:
    price = snapshot.price_usd(token)
    return float(value_usd(amount, decimals=catalog.token(token).decimals, price_usd=price)) if price else 0.0
