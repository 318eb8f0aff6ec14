"""Ways to change what was measured around a batch: risk, scores, economics, ledgers, trading state and consent."""

from __future__ import annotations

import math
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Final

from domain.risk import Estimate, RiskReport, StressLoss
from domain.stress import StressFamily
from domain.verdict import ApprovalStatus, Economics, Evidence, TradingState
from tests.builders_evidence import make_approval
from tests.oracle.sample import Changes, Mutations, changed


def change_estimate(rng: Random, evidence: Evidence) -> Evidence:
    report = evidence.risk_after
    if report is None:
        return evidence
    name = rng.choice(("volatility", "max_drawdown", "tails", "tails"))
    if name == "tails" and rng.random() < 0.1:
        tails = [changed(tail, var=tail.cvar, cvar=tail.var) for tail in report.tails]
        return _with_report(evidence, report, tails=tuple(tails))
    if name != "tails":
        estimate = getattr(report, name)
        return _with_report(evidence, report, **{name: estimate and _other_estimate(rng, evidence, estimate)})
    tails = list(report.tails)
    if not tails:
        return evidence
    index, part = rng.randrange(len(tails)), rng.choice(("var", "cvar"))
    estimate = getattr(tails[index], part)
    tails[index] = changed(tails[index], **{part: _other_estimate(rng, evidence, estimate) or estimate})
    return _with_report(evidence, report, tails=tuple(tails))


def _other_estimate(rng: Random, evidence: Evidence, estimate: Estimate) -> Estimate | None:
    limits = evidence.policy.risk
    size, coverage = limits.min_sample_days_count, float(limits.min_interval_confidence_share)
    own = [v for v in limits.__dict__.values() if isinstance(v, Decimal)]
    edge = float(rng.choice(own)) if own else 1.0
    changes: Changes = (
        {"upper": near_float(rng, edge)},
        {"upper": near_float(rng, edge), "value": edge, "lower": 0.0},
        {"lower": near_float(rng, estimate.value)},
        {"upper": near_float(rng, estimate.value)},
        {"sample_size": max(0, size + rng.choice((-1, 0, 1)))},
        {"confidence": min(max(near_float(rng, coverage), 1e-9), 0.999)},
        {"value": -estimate.value, "lower": -1.0},
        {"value": near_float(rng, float(estimate.lower)), "upper": edge},
    )
    return None if rng.random() < 0.03 else changed(estimate, **rng.choice(changes))


def near_float(rng: Random, number: float) -> float:
    return rng.choice((number, math.nextafter(number, -math.inf), math.nextafter(number, math.inf), -0.0, 1e300))


def change_report(rng: Random, evidence: Evidence) -> Evidence:
    """Missing, of another horizon, said twice, without a level, without an estimate."""
    report = evidence.risk_after
    name = rng.choice(("risk_before", "risk_after"))
    if report is None or rng.random() < 0.2:
        return changed(evidence, **{name: None})
    days = evidence.policy.risk.horizon_days
    tails: Changes = (
        {"tails": report.tails[1:]},
        {"tails": (*report.tails, *(changed(tail, horizon_days=days + 1) for tail in report.tails))},
        {"tails": tuple(changed(tail, horizon_days=days + 1) for tail in report.tails)},
        {"tails": tuple(changed(tail, level=0.975) for tail in report.tails)},
        {"tails": report.tails[::-1]},
        {"tails": (*report.tails, *report.tails[:1])},
        {"tails": (*(changed(tail, horizon_days=days + 1) for tail in report.tails), *report.tails)},
        {"volatility": None},
        {"max_drawdown": None},
        {"stress": report.stress[::-1]},
    )
    return _with_report(evidence, report, **rng.choice(tails))


def change_subject(rng: Random, evidence: Evidence) -> Evidence:
    """A report on another book, on one worth just as much more or less as still counts as this one, or on none."""
    report = evidence.risk_after
    if report is None or report.net_asset_value_usd is None:
        return evidence
    value = report.net_asset_value_usd
    off = rng.choice((999_999, 1_000_001, 999_998, 1_000_002)) * value / 1_000_000
    changes: Changes = (
        {"subject": "current"},
        {"net_asset_value_usd": off},
        {"net_asset_value_usd": near_float(rng, off)},
        {"net_asset_value_usd": rng.choice((None, 0.0, 1.0, -value))},
    )
    return _with_report(evidence, report, **rng.choice(changes))


def change_stress(rng: Random, evidence: Evidence) -> Evidence:
    """A scenario missing, repeated, moved to another subject, at its limit, or one that nobody asked for."""
    name = rng.choice(("risk_after", "risk_after", "risk_before"))
    report: RiskReport | None = getattr(evidence, name)
    if report is None or not report.stress:
        return evidence
    stress = list(report.stress)
    index = rng.randrange(len(stress))
    loss = stress[index]
    limit = getattr(evidence.policy.stress, f"max_{loss.family.value}_loss_share")
    edge = 0.5 if isinstance(limit, str) else float(limit)
    match rng.randrange(6):
        case 0:
            del stress[index]
        case 1:
            stress.insert(rng.randrange(len(stress)), changed(loss, loss=rng.choice((0.0, loss.loss, 1.0))))
        case 2:
            stress[index] = changed(loss, subject=rng.choice(("book", "dai", "wbtc", "aave-v3", "other")))
        case 3:
            stress.append(StressLoss.model_construct(family=StressFamily.EXPLOIT, subject="unheld", loss=1.0))
        case _:
            stress[index] = changed(loss, loss=abs(near_float(rng, edge)))
    return changed(evidence, **{name: changed(report, stress=tuple(stress))})


def _with_report(evidence: Evidence, report: RiskReport, **changes: object) -> Evidence:
    return changed(evidence, risk_after=changed(report, **changes))


def change_scores(rng: Random, evidence: Evidence) -> Evidence:
    scores = list(evidence.scores)
    if not scores:
        return evidence
    index = rng.randrange(len(scores))
    score = scores[index]
    edge = float(evidence.policy.protocol.min_score_points)
    match rng.randrange(5):
        case 0:
            del scores[index]
        case 1:
            scores[index] = changed(score, has_open_incident=True)
        case 2:
            scores.append(changed(score, score=rng.choice((0.0, 100.0)), has_open_incident=rng.random() < 0.3))
        case _:
            scores[index] = changed(score, score=min(max(near_float(rng, edge), 0.0), 100.0))
    return changed(evidence, scores=tuple(scores))


def change_economics(rng: Random, evidence: Evidence) -> Evidence:
    economics, limits = evidence.economics, evidence.policy.economics
    if economics is None or economics.cost_usd is None:
        return evidence
    margin = float(limits.min_net_gain_usd)
    days = 30.0 if isinstance(limits.max_break_even_days, str) else float(limits.max_break_even_days)
    changes: Changes = (
        {"lower_gain_usd": near_float(rng, economics.cost_usd + margin)},
        {"lower_gain_usd": rng.choice((0.1, -0.1)), "cost_usd": rng.choice((0.3, 0.0, -0.2))},
        {"cost_usd": near_float(rng, 115.0)},
        {"break_even_days": near_float(rng, days)},
        {"lower_gain_usd": None},
        {"cost_usd": None},
        {"break_even_days": None},
    )
    other: Economics | None = changed(economics, **rng.choice(changes))
    return changed(evidence, economics=None if rng.random() < 0.05 else other)


def change_budget(rng: Random, evidence: Evidence) -> Evidence:
    limit = evidence.policy.budgets.max_hour_runs_count
    changes: Changes = (
        {"is_intact": False},
        {"runs_hour_count": limit},
        {"runs_hour_count": limit + 1},
        {"value_day_usd": Decimal(-1)},
        {"loss_week_usd": Decimal("-1e9")},
        {"turnover_day_usd": Decimal(10**9)},
        {"slippage_day_usd": Decimal("2000.000000000000000001")},
    )
    return changed(evidence, budget=changed(evidence.budget, **rng.choice(changes)))


def change_state(rng: Random, evidence: Evidence) -> Evidence:
    state = rng.choice((TradingState.REDUCING, TradingState.HALTED))
    report = evidence.risk_before
    if report is None or rng.random() < 0.5:
        return changed(evidence, trading_state=state)
    worse = tuple(changed(loss, loss=loss.loss + rng.choice((0.0, 1e-9, 0.1))) for loss in report.stress)
    return changed(evidence, trading_state=state, risk_before=changed(report, stress=worse))


def change_approval(rng: Random, evidence: Evidence) -> Evidence:
    """Consent that is missing, of another kind, for something else, by somebody else, or just over."""
    approval = evidence.approval or make_approval(evidence.plan)
    expiry = evidence.now + rng.choice((-1, 0, 0, 1)) * timedelta(microseconds=1)
    changes: Changes = (
        {},
        {},
        {"status": ApprovalStatus.PENDING},
        {"status": ApprovalStatus.DENIED},
        {"status": ApprovalStatus.USED},
        {"batch_digest": "0" * 64},
        {"run_id": "run-2"},
        {"role": rng.choice((None, "operator", "Approver"))},
        {
            "answered_by": rng.choice(
                (None, approval.requested_by, f" {approval.requested_by.upper()}\u200b", "", "\u2060")
            )
        },
        {"expires_at": expiry},
        {"requested_at": evidence.now + timedelta(days=1)},
        {"expires_at": evidence.now + timedelta(days=999)},
    )
    return changed(evidence, approval=None if rng.random() < 0.25 else changed(approval, **rng.choice(changes)))


REPORT_MUTATIONS: Final[Mutations] = (
    (change_estimate, 8),
    (change_report, 3),
    (change_subject, 3),
    (change_stress, 6),
    (change_scores, 6),
    (change_economics, 4),
    (change_budget, 3),
    (change_state, 6),
    (change_approval, 5),
)
"""Each with its weight."""
