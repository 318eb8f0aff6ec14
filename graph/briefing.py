"""What agents are shown: domain values as short JSON facts of numbers, ids and enums, rounded for reading.

No text from outside enters: a label that is not a plain identifier or number is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from domain.market import Catalog, Forecast, MarketSnapshot
from domain.plan import Candidate, Move, MoveKind
from domain.policy import Policy
from domain.portfolio import Portfolio, value_holdings
from domain.risk import RiskReport
from domain.run import RiskEvent
from domain.stress import StressFamily
from domain.units import decimal_text, to_tokens
from domain.verdict import Economics

Fact = dict[str, object]
RATE_DIGITS: Final = 4
MAX_BINDING: Final = 3
_PLAIN_LABEL: Final = re.compile(r"[A-Za-z0-9 _.:%<>=+-]{1,60}", re.ASCII)


def plain(label: str) -> str:
    """The label if it is plain, else a word that says that it was left out."""
    return label if _PLAIN_LABEL.fullmatch(label) else "withheld"


def _rate(value: float | None) -> float | None:
    return None if value is None else round(value, RATE_DIGITS)


def net_gain_usd(candidate: Candidate) -> float:
    """Gain at the forecast's lower bound over the policy's horizon, minus costs."""
    return candidate.lower_gain_usd - candidate.cost_usd


def brief_candidate(candidate: Candidate) -> Fact:
    return {
        "id": candidate.id,
        "kind": candidate.kind.value,
        "weights_bps": {weight.strategy: weight.weight_bps for weight in candidate.weights},
        "expected_apr": _rate(candidate.expected_apr),
        "lower_apr": _rate(candidate.lower_apr),
        "turnover": _rate(candidate.turnover),
        "lower_gain_usd": round(candidate.lower_gain_usd, 2),
        "cost_usd": round(candidate.cost_usd, 2),
        "net_usd": round(net_gain_usd(candidate), 2),
        "break_even_days": _days(candidate.break_even_days),
        "binding": [plain(name) for name in candidate.binding[:MAX_BINDING]],
    }


def _days(days: float | None) -> float | None:
    return None if days is None else round(days, 1)


def brief_strategies(forecasts: Iterable[Forecast], snapshot: MarketSnapshot, catalog: Catalog) -> Fact:
    """Per strategy: token, rate now, forecast and its lower bound."""
    return {
        forecast.strategy: {
            "token": catalog.strategy(forecast.strategy).token,
            "apr": _rate(rate.supply_apr) if (rate := snapshot.rate(forecast.strategy)) else None,
            "expected_apr": _rate(forecast.expected_apr),
            "lower_apr": _rate(forecast.lower_apr),
        }
        for forecast in forecasts
    }


def brief_forecast(forecast: Forecast) -> Fact:
    return {
        "strategy": forecast.strategy,
        "horizon_days": forecast.horizon_days,
        "expected_apr": _rate(forecast.expected_apr),
        "lower_apr": _rate(forecast.lower_apr),
        "upper_apr": _rate(forecast.upper_apr),
        "confidence": forecast.confidence,
        "sample_days": forecast.sample_days,
        "model": forecast.model,
    }


def brief_portfolio(portfolio: Portfolio, snapshot: MarketSnapshot, catalog: Catalog) -> Fact:
    """Net asset value and the share of every holding. Raises StaleOrDisputed like value_holdings."""
    holdings = value_holdings(portfolio, snapshot, catalog)
    total = sum(float(holding.value_usd) for holding in holdings)
    shares = {
        holding.strategy or f"cash-{holding.token}": _rate(float(holding.value_usd) / total)
        for holding in holdings
        if total > 0
    }
    return {"nav_usd": round(total, 2), "shares": shares}


def brief_policy(policy: Policy) -> Fact:
    """What bounds a choice between candidates; caps are already built into them."""
    return {
        "horizon_days": policy.economics.horizon_days,
        "min_net_gain_usd": float(policy.economics.min_net_gain_usd),
        "max_break_even_days": _limit(policy.economics.max_break_even_days),
    }


def _limit(limit: object) -> float | str:
    return "unlimited" if isinstance(limit, str) else float(str(limit))


def brief_limits(policy: Policy) -> Fact:
    limits = policy.risk
    return {
        "var_99": _limit(limits.max_var_99_share),
        "cvar_99": _limit(limits.max_cvar_99_share),
        "volatility": _limit(limits.max_volatility_share),
        "drawdown": _limit(limits.max_drawdown_share),
    }


def _stress_limit(policy: Policy, family: StressFamily) -> object:
    return _limit(getattr(policy.stress, f"max_{family}_loss_share"))


def brief_risk(report: RiskReport, policy: Policy) -> Fact:
    """One portfolio's measures at the end of their intervals that guards judge, and which limits it breaches."""
    tail = report.tail(0.99)
    measures = {
        "var_99": tail.var.upper if tail else None,
        "cvar_99": tail.cvar.upper if tail else None,
        "volatility": report.volatility.upper if report.volatility else None,
        "drawdown": report.max_drawdown.upper if report.max_drawdown else None,
    }
    bounds = brief_limits(policy)
    breaches = [name for name, value in measures.items() if _breaches(value, bounds[name])]
    if not report.stress or any(_breaches(hit.loss, _stress_limit(policy, hit.family)) for hit in report.stress):
        breaches.append("stress")
    measures["stress"] = worst_stress(report)
    return {**{name: _rate(value) for name, value in measures.items()}, "breaches": breaches}


def _breaches(value: float | None, limit: object) -> bool:
    return isinstance(limit, float) and (value is None or value > limit)


def worst_stress(report: RiskReport) -> float | None:
    return max((stress.loss for stress in report.stress), default=None)


def brief_events(events: Sequence[RiskEvent]) -> list[Fact]:
    return [
        {"kind": event.kind, "subject": event.subject, "observed": plain(event.observed), "limit": plain(event.limit)}
        for event in events
    ]


def brief_moves(moves: Sequence[Move], quotes: dict[int, int], catalog: Catalog) -> list[Fact]:
    """Amounts in tokens; a swap also with its quote and its minimum out."""
    return [_brief_move(move, quotes.get(index), catalog) for index, move in enumerate(moves)]


def _brief_move(move: Move, quote: int | None, catalog: Catalog) -> Fact:
    fact: Fact = {"kind": move.kind.value, "amount": _tokens(move.amount_in, move.token_in, catalog)}
    if move.kind is not MoveKind.SWAP:
        return {**fact, "token": move.token_in, "strategy": move.strategy}
    return {
        **fact,
        "token_in": move.token_in,
        "token_out": move.token_out,
        "venue": move.venue,
        "quote": None if quote is None else _tokens(quote, move.token_out, catalog),
        "minimum_out": _tokens(move.minimum_out, move.token_out, catalog),
    }


def _tokens(amount: int, token_id: str, catalog: Catalog) -> str:
    return decimal_text(round(to_tokens(amount, catalog.token(token_id).decimals), 4))


def brief_economics(candidate: Candidate, economics: Economics) -> Fact:
    gain, cost = economics.lower_gain_usd, economics.cost_usd
    return {
        "candidate": candidate.id,
        "lower_gain_usd": None if gain is None else round(gain, 2),
        "cost_usd": None if cost is None else round(cost, 2),
        "net_usd": None if gain is None or cost is None else round(gain - cost, 2),
        "break_even_days": _days(economics.break_even_days),
    }
