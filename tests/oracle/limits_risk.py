"""What may be lost: tails, volatility, drawdown and the stress set of the book afterwards, and the trading state."""

from __future__ import annotations

from collections.abc import Iterator

from domain.risk import Estimate, RiskReport
from domain.verdict import TradingState
from tests.oracle.book import Book, Facts
from tests.oracle.exact import DOLLAR, Measure, pair_of_statistic
from tests.oracle.sheet import Sheet, or_unknown

Scenario = tuple[str, str]
LEVELS = ((0.95, "95"), (0.99, "99"))
BOOK_FAMILIES = ("volatile_fall", "utilization", "bad_debt", "gas", "oracle_lag", "reward")
COMBINATIONS = ("run-on-a-stable", "crash", "drained-and-frozen")
MILLION = 10**6
DEPEGS = ("depeg_3", "depeg_12", "depeg_50")


def judge_risk(facts: Facts, sheet: Sheet) -> None:
    report = facts.evidence.risk_after
    is_about_it = report is not None and report.subject == "after" and _is_worth(facts, report.net_asset_value_usd)
    sheet.require("risk_missing", is_about_it)
    if report is None:
        return
    for code, estimate in _statistics(report, facts.evidence.policy.risk.horizon_days):
        _judge_estimate(sheet, code, estimate)
    _judge_stress(facts, sheet, report)


def _is_worth(facts: Facts, reported_usd: float | None) -> bool:
    """The value of the book afterwards, to one part in a million; unknown is no value."""
    if facts.nav_after is None or reported_usd is None:
        return False
    numerator, denominator = pair_of_statistic(reported_usd)
    gap = facts.nav_after * denominator - numerator * DOLLAR
    return max(gap, -gap) * MILLION <= facts.nav_after * denominator


def _statistics(report: RiskReport, horizon_days: int) -> Iterator[tuple[str, Estimate | None]]:
    for level, text in LEVELS:
        measured = [tail for tail in report.tails if tail.level == level]
        is_known = len(measured) == 1 and measured[0].horizon_days == horizon_days
        is_known = is_known and measured[0].cvar.value >= measured[0].var.value
        yield f"var_{text}", measured[0].var if is_known else None
        yield f"cvar_{text}", measured[0].cvar if is_known else None
    yield "volatility", report.volatility
    yield "drawdown", report.max_drawdown


def _judge_estimate(sheet: Sheet, code: str, estimate: Estimate | None) -> None:
    """Of an estimate that was not made, neither size nor interval are known."""
    upper: Measure = None
    sample: Measure = None
    coverage: Measure = None
    if estimate is not None:
        upper, sample = pair_of_statistic(estimate.upper), (estimate.sample_size, 1)
        if estimate.lower <= estimate.value <= estimate.upper:
            coverage = pair_of_statistic(estimate.confidence)
    sheet.at_most(code, upper, "risk", f"max_{code}_share")
    sheet.at_least("sample_too_small", sample, "risk", "min_sample_days_count")
    sheet.at_least("interval_confidence", coverage, "risk", "min_interval_confidence_share")


def _judge_stress(facts: Facts, sheet: Sheet, report: RiskReport) -> None:
    measured: dict[Scenario, list[float]] = {}
    for stress in report.stress:
        measured.setdefault((stress.family.value, stress.subject), []).append(stress.loss)
    for scenario in sorted(applicable_scenarios(facts, facts.after) | measured.keys()):
        for loss in or_unknown(measured.get(scenario, [])):
            observed = None if loss is None else pair_of_statistic(loss)
            sheet.at_most("stress_loss", observed, "stress", f"max_{scenario[0]}_loss_share")


def applicable_scenarios(facts: Facts, book: Book) -> set[Scenario]:
    """What the book's stable tokens, its protocols, those that they rest on, and the whole may suffer."""
    tokens = [token for token in (facts.token_of(line) for line, _ in book.held) if token is not None]
    strategies = [facts.strategies.get(name) for (kind, name), _ in book.held if kind == "position"]
    scenarios = {(family, "book") for family in BOOK_FAMILIES}
    scenarios |= {("combined", combination) for combination in COMBINATIONS}
    scenarios |= {(family, token.id) for family in DEPEGS for token in tokens if token.is_stable}
    listed = {strategy.protocol for strategy in facts.evidence.catalog.strategies}
    for strategy in strategies:
        named = set() if strategy is None else {strategy.protocol} | (listed & set(strategy.factors))
        scenarios |= {("exploit", protocol) for protocol in named}
    return scenarios


def judge_trading_state(facts: Facts, sheet: Sheet) -> None:
    state = facts.evidence.trading_state
    if state is TradingState.HALTED:
        sheet.require("trading_state_halted", facts.is_exit)
    elif state is TradingState.REDUCING:
        sheet.require("trading_state_reducing", facts.is_exit or _lowers_risk(facts))


def _lowers_risk(facts: Facts) -> bool:
    before, after = facts.evidence.risk_before, facts.evidence.risk_after
    if facts.entered or before is None or after is None or not before.stress or not after.stress:
        return False
    return max(stress.loss for stress in after.stress) < max(stress.loss for stress in before.stress)
