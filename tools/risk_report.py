"""One portfolio's whole risk, as guards judge it; what cannot be measured stays None and is never guessed."""

from __future__ import annotations

from typing import Final

import numpy as np

from domain.errors import StaleOrDisputed
from domain.market import Catalog, MarketHistory, MarketSnapshot
from domain.plan import Candidate
from domain.policy import Policy
from domain.portfolio import Holding, Portfolio, value_holdings
from domain.risk import RiskReport, StressLoss
from tools.allocation import plan_moves
from tools.history import FloatArray, daily_returns
from tools.implied import portfolio_after
from tools.risk.risk_metrics import max_drawdown, volatility
from tools.risk.tail_choice import chosen_tail
from tools.stress import stress_losses

LEVELS: Final = (0.95, 0.99)
NEGLIGIBLE_SHARE: Final = 0.0001
"""Holdings below one basis point do not shorten the sample: dust sent by a stranger must not blind us."""


def assess_portfolio(
    portfolio: Portfolio,
    *,
    snapshot: MarketSnapshot,
    history: MarketHistory,
    catalog: Catalog,
    policy: Policy,
    subject: str,
) -> RiskReport:
    """Tails at 95 and 99 % over policy.risk.horizon_days, volatility, drawdown, stress, concentration of today's book.

    Tails come from the estimator that tools/risk/tail_choice.py names for what the book holds and how long it was seen.
    Never raises for missing data: an unpriced holding leaves every field empty, a short history the estimates.
    """
    try:
        holdings = value_holdings(portfolio, snapshot, catalog)
    except StaleOrDisputed:
        return _unknown(subject)
    total = float(sum(holding.value_usd for holding in holdings))
    if total <= 0:
        return _unknown(subject)
    returns = portfolio_returns(holdings, history, catalog)
    pegged = _is_pegged(holdings, total, catalog)
    tails = (
        chosen_tail(returns, is_pegged=pegged, level=level, horizon_days=policy.risk.horizon_days) for level in LEVELS
    )
    drawdown = max_drawdown(returns)
    return RiskReport(
        subject=subject,
        net_asset_value_usd=total,
        tails=tuple(tail for tail in tails if tail is not None),
        volatility=volatility(returns),
        max_drawdown=drawdown.depth if drawdown else None,
        stress=_stress(portfolio, snapshot, catalog, history, policy.stress.utilization_days),
        herfindahl=sum((float(holding.value_usd) / total) ** 2 for holding in holdings),
    )


def assess_weights(
    candidate: Candidate,
    *,
    portfolio: Portfolio,
    snapshot: MarketSnapshot,
    history: MarketHistory,
    catalog: Catalog,
    policy: Policy,
) -> RiskReport:
    """The same for the book that a candidate's moves would leave; subject is the candidate's id."""
    try:
        moves = plan_moves(candidate, portfolio=portfolio, snapshot=snapshot, catalog=catalog, policy=policy)
        after = portfolio_after(portfolio, moves, snapshot=snapshot, catalog=catalog, policy=policy)
    except StaleOrDisputed:
        return _unknown(candidate.id)
    return assess_portfolio(
        after, snapshot=snapshot, history=history, catalog=catalog, policy=policy, subject=candidate.id
    )


def portfolio_returns(holdings: tuple[Holding, ...], history: MarketHistory, catalog: Catalog) -> FloatArray:
    """Daily returns of today's shares held constant, shape (n_days - 1,); NaN where any holding's is unknown."""
    total = float(sum(holding.value_usd for holding in holdings))
    lines = _significant(holdings, total)
    invested = [(line.strategy, line) for line in lines if line.strategy is not None]
    cash = [line for line in lines if line.strategy is None]
    matrix = daily_returns(
        history,
        catalog,
        strategy_ids=[strategy for strategy, _ in invested],
        tokens=[line.token for line in cash],
    )
    shares = np.array([float(line.value_usd) / total for line in (*(line for _, line in invested), *cash)])
    return np.asarray(matrix.values @ shares)


def _significant(holdings: tuple[Holding, ...], total: float) -> list[Holding]:
    return [holding for holding in holdings if float(holding.value_usd) >= NEGLIGIBLE_SHARE * total]


def _is_pegged(holdings: tuple[Holding, ...], total: float, catalog: Catalog) -> bool:
    """Whether all that counts in the book is meant to be worth one dollar."""
    return all(catalog.token(holding.token).is_stable for holding in _significant(holdings, total))


def _stress(
    portfolio: Portfolio, snapshot: MarketSnapshot, catalog: Catalog, history: MarketHistory, utilization_days: int
) -> tuple[StressLoss, ...]:
    try:
        return stress_losses(portfolio, snapshot, catalog, utilization_days=utilization_days, history=history)
    except StaleOrDisputed:
        return ()


def _unknown(subject: str) -> RiskReport:
    return RiskReport(
        subject=subject,
        net_asset_value_usd=None,
        tails=(),
        volatility=None,
        max_drawdown=None,
        stress=(),
        herfindahl=None,
    )
