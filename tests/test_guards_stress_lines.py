"""Stress losses between two books: chords in dollars, gas of both, and nothing where something is unknown."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import pytest

from domain.portfolio import Portfolio
from domain.risk import RiskReport, StressLoss
from domain.stress import BOOK, CRASH, RUN_ON_A_STABLE, StressFamily, scenario_name, scenario_set
from domain.verdict import Evidence
from guards.lines import NEVER, Line, stress_lines
from tests.builders import make_catalog, make_portfolio
from tests.builders_evidence import DAI, make_evidence, make_report, supply
from tests.test_guards_lines import BEFORE, NO_WBTC, THOUSAND, WITH_WBTC, draw

LOSSES_BEFORE = {"exploit aave-v3": 0.1, "gas": 0.001, "combined crash": 0.03, "combined run-on-a-stable": 0.1}
LOSSES_AFTER = {"exploit aave-v3": 0.15, "gas": 0.002, "combined crash": 0.05, "combined run-on-a-stable": 0.09}


def report(portfolio: Portfolio, losses: Mapping[str, float]) -> RiskReport:
    """0.02 in every scenario of the book that is not named."""
    scenarios = sorted(scenario_set(portfolio, make_catalog()))
    return make_report(
        stress=tuple(
            StressLoss(family=family, subject=subject, loss=losses.get(scenario_name(family, subject), 0.02))
            for family, subject in scenarios
        )
    )


AFTER = make_portfolio(cash={"usdc": 700 * THOUSAND}, positions={"aave-usdx": 100_000 * DAI})


def stressed(**parts: object) -> Evidence:
    """From a book of 1,000,000 dollars to one of 800,000."""
    circumstances = {
        "before": BEFORE,
        "after": AFTER,
        "risk_before": report(BEFORE, LOSSES_BEFORE),
        "risk_after": report(AFTER, LOSSES_AFTER),
        **parts,
    }
    return make_evidence([supply(50_000)], **circumstances)


def test_stress_runs_in_dollars_from_one_book_to_the_other() -> None:
    lines = draw(stress_lines, stressed())

    # limits of 45 and 60 % on books of 1,000,000 and 800,000 dollars
    assert lines["stress_loss", "exploit aave-v3"] == Line(Decimal(100_000 - 450_000), Decimal(120_000 - 360_000))
    assert lines["stress_loss", "combined drained-and-frozen"] == Line(
        Decimal(20_000 - 600_000), Decimal(16_000 - 480_000)
    )
    assert {code for code, _ in lines} == {"stress_loss"}
    assert len(lines) == 16


def test_on_the_way_the_exits_of_both_books_cost_gas() -> None:
    lines = draw(stress_lines, stressed())

    # 1,000 dollars of gas before, 1,600 after
    assert lines["stress_loss", "gas"] == Line(Decimal(2_600 - 10_000), Decimal(2_600 - 8_000))
    assert lines["stress_loss", "combined crash"] == Line(Decimal(31_600 - 600_000), Decimal(41_000 - 480_000))
    assert lines["stress_loss", "combined run-on-a-stable"] == Line(
        Decimal(101_600 - 600_000), Decimal(73_000 - 480_000)
    )


def test_a_scenario_of_one_book_only_runs_from_nothing_or_to_nothing() -> None:
    only_cash = make_portfolio(cash={"usdc": 800 * THOUSAND}, positions={})

    lines = draw(stress_lines, stressed(after=only_cash, risk_after=report(only_cash, LOSSES_AFTER)))

    assert lines["stress_loss", "exploit aave-v3"] == Line(Decimal(100_000 - 450_000), Decimal(-360_000))
    assert lines["stress_loss", "depeg_50 usdx"] == Line(Decimal(20_000 - 450_000), Decimal(-360_000))


@pytest.mark.parametrize("name", ["risk_before", "risk_after"])
def test_a_scenario_that_was_not_measured_passes_no_part(name: str) -> None:
    book = {"risk_before": BEFORE, "risk_after": AFTER}[name]
    measured = report(book, {})
    missing = measured.model_copy(update={"stress": measured.stress[1:]})

    lines = draw(stress_lines, stressed(**{name: missing}))

    assert lines["stress_loss", measured.stress[0].scenario] == NEVER
    assert list(lines.values()).count(NEVER) == 1


@pytest.mark.parametrize("name", ["risk_before", "risk_after"])
@pytest.mark.parametrize(("loss", "passes"), [(0.999, True), (1.0, False)])
def test_a_loss_of_everything_passes_no_part(name: str, loss: float, passes: bool) -> None:
    book = {"risk_before": BEFORE, "risk_after": AFTER}[name]

    lines = draw(stress_lines, stressed(**{name: report(book, {"utilization": loss})}))

    assert (lines["stress_loss", "utilization"] != NEVER) == passes


@pytest.mark.parametrize("name", ["risk_before", "risk_after"])
def test_gas_that_takes_everything_leaves_no_line_for_what_pays_it(name: str) -> None:
    book = {"risk_before": BEFORE, "risk_after": AFTER}[name]

    lines = draw(stress_lines, stressed(**{name: report(book, {"gas": 1.0})}))

    stopped = {subject for (_, subject), line in lines.items() if line == NEVER}
    assert stopped == {"gas", f"combined {CRASH}", f"combined {RUN_ON_A_STABLE}"}


def test_of_a_scenario_measured_twice_the_larger_loss_runs() -> None:
    twice = [StressLoss(family=StressFamily.REWARD, subject=BOOK, loss=loss) for loss in (0.01, 0.019, 0.015)]
    others = [hit for hit in report(BEFORE, {}).stress if hit.family is not StressFamily.REWARD]

    lines = draw(stress_lines, stressed(risk_before=make_report(stress=(*others, *twice))))

    assert lines["stress_loss", "reward"].before == 19_000 - 20_000


@pytest.mark.parametrize(
    "parts",
    [
        {"risk_before": None},
        {"risk_after": None},
        {"before": WITH_WBTC, "snapshot": NO_WBTC},
        {"after": WITH_WBTC, "snapshot": NO_WBTC},
    ],
)
def test_without_a_report_or_a_value_no_part_passes(parts: dict[str, object]) -> None:
    assert draw(stress_lines, stressed(**parts)) == {("stress_loss", BOOK): NEVER}
