"""The treasury that guards are timed on is as large as its figures say, passes, and is judged anew each time."""

from __future__ import annotations

from bench.guards import FAMILIES, guard_figures, judge_families
from domain.stress import StressFamily
from guards import GUARDS, check
from guards.case import Case
from tests.builders_wide import make_wide_evidence

WIDE = make_wide_evidence()


def test_the_wide_treasury_passes_every_guard():
    verdict = check(WIDE)

    assert verdict.denials == ()
    assert {row.guard for row in verdict.findings} == {"soundness", *GUARDS}


def test_the_wide_treasury_holds_thirty_strategies_of_many_kinds():
    held = [WIDE.catalog.strategy(position.strategy) for position in WIDE.after.positions if position.amount]

    assert len(held) == 30
    assert len({strategy.token for strategy in held}) >= 10
    assert len({strategy.protocol for strategy in held}) >= 10
    assert len({oracle for strategy in held for oracle in strategy.oracles}) >= 3
    assert len(WIDE.batch.calls) == 4


def test_the_wide_treasury_is_measured_in_every_family_of_stress():
    assert WIDE.risk_after is not None
    assert {loss.family for loss in WIDE.risk_after.stress} == set(StressFamily)
    assert len(WIDE.risk_after.stress) >= 12


def test_both_families_write_all_their_rows():
    expected = sum(len(GUARDS[family](Case(WIDE))) for family in FAMILIES)

    assert judge_families(WIDE) == expected > 60


def test_figures_are_in_milliseconds_of_processor_time():
    figures = {figure.name: figure for figure in guard_figures()}

    assert set(figures) == {"guards_full_cpu_ms", "guards_small_cpu_ms", "guards_batch_cpu_ms"}
    assert {figure.unit for figure in figures.values()} == {"ms"}
    assert 0 < figures["guards_batch_cpu_ms"].value < figures["guards_small_cpu_ms"].value
    assert figures["guards_small_cpu_ms"].value < figures["guards_full_cpu_ms"].value
