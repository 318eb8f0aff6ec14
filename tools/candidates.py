"""The targets that agents may choose from, each with its exact moves' costs and its gain against holding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from domain.errors import Infeasible, StaleOrDisputed
from domain.market import Catalog, Forecast, MarketHistory, MarketSnapshot, Strategy
from domain.plan import Candidate, CandidateKind, Move, MoveKind
from domain.policy import Policy
from domain.portfolio import Portfolio, value_holdings
from domain.units import value_usd
from tools.allocation import plan_moves, round_to_weights
from tools.allocation_problem import Profile, build_problem, with_tighter_tail
from tools.balanced_targets import balanced_targets
from tools.costs import break_even_days, gas_cost_usd, swap_cost_usd
from tools.feasibility import Outcome, measure_outcome, refusals, tail_excess, turnover_share
from tools.history import DAYS_PER_YEAR
from tools.implied import portfolio_after, swap_fee_pips
from tools.market import Market
from tools.optimizer import optimize
from tools.rate_impact import diluted_apr

PROFILES: Final[Mapping[CandidateKind, Profile]] = {
    CandidateKind.OPTIMAL: Profile(risk_aversion=0.5),
    CandidateKind.CAUTIOUS: Profile(risk_aversion=3.0, turnover_scale=0.5, cap_scale=0.8),
    CandidateKind.DIVERSIFIED: Profile(risk_aversion=0.5),
}
MAX_BINDING: Final = 8
MAX_TIGHTENINGS: Final = 4
"""The program caps the sample's tail, guards judge its interval's upper end: so often is the cap lowered to fit."""


def propose_candidates(
    *,
    portfolio: Portfolio,
    snapshot: MarketSnapshot,
    history: MarketHistory,
    forecasts: tuple[Forecast, ...],
    catalog: Catalog,
    policy: Policy,
    excluded: frozenset[str] = frozenset(),
) -> tuple[Candidate, ...]:
    """HOLD first, then OPTIMAL, CAUTIOUS and DIVERSIFIED where they exist and move something.

    A candidate that no allocation satisfies, or whose gas exceeds the policy, is left out and HOLD's `binding` says
    why. `excluded` strategies are never increased. Raises StaleOrDisputed when a held token has no price.
    """
    market = Market(portfolio, snapshot, history, forecasts, catalog, policy, excluded)
    found: list[Candidate] = []
    reasons: list[str] = []
    if market.net_value_usd > 0:
        for kind, profile in PROFILES.items():
            try:
                candidate = _propose(market, kind, profile)
            except Infeasible as error:
                reasons.append(f"{kind.value}: {error}")
                continue
            if candidate is not None:
                found.append(candidate)
    return (_hold(market, reasons), *found)


def deterministic_choice(candidates: Sequence[Candidate], policy: Policy) -> Candidate:
    """What the optimizer alone would take: the best lower-bound gain after costs within the economics' limits."""
    hold = next(candidate for candidate in candidates if candidate.kind is CandidateKind.HOLD)
    worthwhile = [candidate for candidate in candidates if is_worthwhile(candidate, policy)]
    return max(worthwhile, key=lambda candidate: candidate.lower_gain_usd - candidate.cost_usd, default=hold)


def is_worthwhile(candidate: Candidate, policy: Policy) -> bool:
    """Whether a candidate moves and pays for itself as the economics guard will ask."""
    if candidate.kind is CandidateKind.HOLD or candidate.break_even_days is None:
        return False
    limit = policy.economics.max_break_even_days
    net = candidate.lower_gain_usd - candidate.cost_usd
    is_in_time = not isinstance(limit, Decimal) or candidate.break_even_days <= float(limit)
    return is_in_time and net >= float(policy.economics.min_net_gain_usd)


def _hold(market: Market, reasons: Sequence[str]) -> Candidate:
    current = _sizes(market, market.portfolio)
    return Candidate(
        id="hold",
        kind=CandidateKind.HOLD,
        weights=round_to_weights(current),
        expected_apr=_earnings(market, current),
        lower_apr=_earnings(market, current, at_lower_bound=True),
        turnover=0.0,
        cost_usd=0.0,
        gain_usd=0.0,
        lower_gain_usd=0.0,
        break_even_days=0.0,
        binding=tuple(reasons),
    )


def _propose(market: Market, kind: CandidateKind, profile: Profile) -> Candidate | None:
    """None when the best is to move nothing. Raises Infeasible when guards would refuse what it does."""
    targets = balanced_targets(market) if kind is CandidateKind.DIVERSIFIED else None
    problem = build_problem(market, profile, targets=targets)
    for _ in range(MAX_TIGHTENINGS):
        solution = optimize(problem)
        draft = _hold(market, ()).model_copy(
            update={"id": kind.value, "kind": kind, "weights": round_to_weights(solution.weights)}
        )
        outcome = _play(market, draft)
        if not outcome.moves:
            return None
        excess = tail_excess(outcome.report, market.policy)
        if excess <= 1.0:
            break
        problem = with_tighter_tail(problem, solution, excess)
    refused = refusals(market, outcome)
    if refused:
        raise Infeasible(f"moves left after rounding and dust would still exceed {', '.join(refused)}")
    binding = solution.binding[:MAX_BINDING]
    proof = {
        "binding": tuple(name for name, _ in binding),
        "shadow_prices": tuple(price for _, price in binding),
        "certificate": solution.certificate,
    }
    return _priced(market, draft.model_copy(update=proof), outcome)


def _play(market: Market, draft: Candidate) -> Outcome:
    """What the draft's own moves leave."""
    portfolio, snapshot, catalog, policy = market.portfolio, market.snapshot, market.catalog, market.policy
    moves = plan_moves(draft, portfolio=portfolio, snapshot=snapshot, catalog=catalog, policy=policy)
    after = portfolio_after(portfolio, moves, snapshot=snapshot, catalog=catalog, policy=policy)
    return measure_outcome(market, moves, after, subject=draft.id)


def _priced(market: Market, draft: Candidate, outcome: Outcome) -> Candidate:
    """The draft with what its own moves cost and earn."""
    before_sizes, sizes = _sizes(market, market.portfolio), _sizes(market, outcome.after)
    horizon_years = market.policy.economics.horizon_days / DAYS_PER_YEAR
    gain = _earnings(market, sizes) - _earnings(market, before_sizes)
    gain_usd, lower_gain_usd = (
        change * market.net_value_usd * horizon_years for change in (gain, _lower_gain(market, before_sizes, sizes))
    )
    cost_usd = _gas_usd(market, outcome.moves) + _swaps_usd(market, outcome.moves)
    return draft.model_copy(
        update={
            "expected_apr": _earnings(market, sizes),
            "lower_apr": _earnings(market, sizes, at_lower_bound=True),
            "turnover": turnover_share(market, outcome.moves, outcome.after),
            "cost_usd": cost_usd,
            "gain_usd": gain_usd,
            "lower_gain_usd": lower_gain_usd,
            "break_even_days": break_even_days(cost_usd, lower_gain_usd / market.policy.economics.horizon_days),
        }
    )


def _sizes(market: Market, portfolio: Portfolio) -> dict[str, float]:
    """Positions as shares of today's net asset value, so that a swap's cost does not hide in the denominator."""
    holdings = value_holdings(portfolio, market.snapshot, market.catalog)
    total = market.net_value_usd
    return {line.strategy: float(line.value_usd) / total for line in holdings if line.strategy and total > 0}


def _earnings(market: Market, sizes: Mapping[str, float], *, at_lower_bound: bool = False) -> float:
    """Yearly, as a share of net asset value; a strategy without a forecast or a reading adds nothing."""
    return sum(
        _earned(market, market.catalog.strategy(name), size, at_lower_bound=at_lower_bound)
        for name, size in sizes.items()
    )


def _earned(market: Market, strategy: Strategy, size: float, *, at_lower_bound: bool) -> float:
    forecast, rate = market.forecast_by_strategy.get(strategy.id), market.snapshot.rate(strategy.id)
    if forecast is None or rate is None:
        return 0.0
    added = (size - market.share_of(strategy)) * market.units_per_share(strategy.token)
    return size * diluted_apr(rate, forecast.lower_apr if at_lower_bound else forecast.expected_apr, added=added)


def _lower_gain(market: Market, before: Mapping[str, float], after: Mapping[str, float]) -> float:
    """Against ourselves: what grows earns its lower bound, what shrinks is missed at its expected rate."""
    gain = 0.0
    for name in sorted({*before, *after}):
        strategy, old, new = market.catalog.strategy(name), before.get(name, 0.0), after.get(name, 0.0)
        is_entry = new > old
        gain += _earned(market, strategy, new, at_lower_bound=is_entry)
        gain -= _earned(market, strategy, old, at_lower_bound=is_entry)
    return gain


def _gas_usd(market: Market, moves: Sequence[Move]) -> float:
    """Raises Infeasible above the policy's gas cost, StaleOrDisputed when the native token has no price."""
    price = market.snapshot.price_usd(market.catalog.native_token)
    if price is None:
        raise StaleOrDisputed(f"token {market.catalog.native_token} has no price, gas cannot be valued")
    cost = gas_cost_usd((move.kind for move in moves), market.snapshot, native_price_usd=price)
    limit = market.policy.economics.max_gas_cost_usd
    if isinstance(limit, Decimal) and cost > limit:
        raise Infeasible(f"gas of {len(moves)} moves costs {cost:.2f} USD, limit {limit} USD")
    return float(cost)


def _swaps_usd(market: Market, moves: Sequence[Move]) -> float:
    return float(sum(_swap_usd(market, move) for move in moves if move.kind is MoveKind.SWAP))


def _swap_usd(market: Market, move: Move) -> Decimal:
    price = market.snapshot.price_usd(move.token_in) or Decimal(0)
    worth = value_usd(move.amount_in, decimals=market.catalog.token(move.token_in).decimals, price_usd=price)
    return swap_cost_usd(worth, swap_fee_pips(move, market.catalog))
