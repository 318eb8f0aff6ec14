"""Risk of the simulated book: VaR, CVaR, volatility, drawdown and every stress loss, each with enough data.

Limits hold for the upper end of an estimate's interval: what is uncertain is judged against ourselves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from decimal import Decimal

from domain.policy import RiskLimits
from domain.risk import AFTER, Estimate, RiskReport, TailRisk
from domain.stress import StressFamily, scenario_name, scenario_set
from domain.units import EXACT
from guards.case import Case
from guards.finding import Quantity, Row, Ruler, measured, text
from guards.measures import nav_after

RULER = Ruler("risk")
SUBJECT = "simulated book"
LEVELS = (("95", 0.95), ("99", 0.99))
VALUE_TOLERANCE = Decimal("0.000001")
"""Of the book's value: what a report's float may differ from exact money."""


def check_risk(case: Case) -> tuple[Row, ...]:
    """Too little data is a denial: a risk that nobody measured is not a small one."""
    report, limits = case.evidence.risk_after, case.evidence.policy.risk
    if report is None:
        return (_missing("none"),)
    other = _other_book(report, case)
    missing = () if other is None else (_missing(other),)
    return (
        missing
        + tuple(
            row
            for code, estimate, limit in _measures(report, limits)
            for row in _check_estimate(code, estimate, limit, limits=limits)
        )
        + tuple(_check_stress(report, case))
    )


def _missing(observed: str) -> Row:
    return RULER.fact("risk_missing", SUBJECT, passed=False, limit="a report on it", observed=observed)


def _other_book(report: RiskReport, case: Case) -> str | None:
    """What the report is about where that is not the simulated book; a book without a value has no report."""
    if report.subject != AFTER:
        return f"a report on {report.subject}"
    value, reported = nav_after(case), measured(report.net_asset_value_usd)
    if value is None or reported is None:
        return "a value that is unknown"
    gap = EXACT.subtract(value, reported).copy_abs()
    return None if gap <= EXACT.multiply(value, VALUE_TOLERANCE) else f"a report on {text(reported)} USD"


def _measures(report: RiskReport, limits: RiskLimits) -> Iterator[tuple[str, Estimate | None, Quantity | str]]:
    tails = {name: _tail(report, level, limits=limits) for name, level in LEVELS}
    var_limits = {"95": limits.max_var_95_share, "99": limits.max_var_99_share}
    cvar_limits = {"95": limits.max_cvar_95_share, "99": limits.max_cvar_99_share}
    for name, tail in tails.items():
        yield f"var_{name}", tail.var if tail else None, var_limits[name]
        yield f"cvar_{name}", tail.cvar if tail else None, cvar_limits[name]
    yield "volatility", report.volatility, limits.max_volatility_share
    yield "drawdown", report.max_drawdown, limits.max_drawdown_share


def _tail(report: RiskReport, level: float, *, limits: RiskLimits) -> TailRisk | None:
    """Unknown over another horizon than the policy's limit, and where it contradicts itself: CVaR is at least VaR."""
    tail = report.tail(level)
    if tail is None or tail.horizon_days != limits.horizon_days or tail.cvar.value < tail.var.value:
        return None
    return tail


def _check_estimate(
    code: str, estimate: Estimate | None, limit: Quantity | str, *, limits: RiskLimits
) -> Iterator[Row]:
    upper = measured(estimate.upper) if estimate else None
    yield RULER.at_most(code, SUBJECT, observed=upper, limit=limit, unit="of value")
    size = estimate.sample_size if estimate else None
    yield RULER.at_least(
        "sample_too_small", code, observed=size, limit=limits.min_sample_days_count, unit="observations"
    )
    yield RULER.at_least(
        "interval_confidence",
        code,
        observed=_coverage(estimate) if estimate else None,
        limit=limits.min_interval_confidence_share,
        unit="coverage",
    )


def _coverage(estimate: Estimate) -> Decimal | None:
    """An interval that does not contain its own value covers nothing that is known."""
    contains = estimate.lower <= estimate.value <= estimate.upper
    return measured(estimate.confidence) if contains else None


def _check_stress(report: RiskReport, case: Case) -> Iterator[Row]:
    """Every scenario that applies to the simulated book; one that is missing is unknown."""
    losses: dict[tuple[StressFamily, str], list[Decimal | None]] = defaultdict(list)
    for hit in report.stress:
        losses[hit.family, hit.subject].append(measured(hit.loss))
    for family, subject in sorted({*scenario_set(case.evidence.after, case.evidence.catalog), *losses}):
        yield RULER.at_most(
            "stress_loss",
            scenario_name(family, subject),
            observed=_worst(losses[family, subject]),
            limit=getattr(case.evidence.policy.stress, f"max_{family}_loss_share"),
            unit="of value",
        )


def _worst(losses: Sequence[Decimal | None]) -> Decimal | None:
    """Of a scenario measured twice the larger loss counts; None when there is none, or one is unknown."""
    known = [loss for loss in losses if loss is not None]
    return max(known, default=None) if len(known) == len(losses) else None
