"""Simulation: this batch, recent, successful; it did what the calls say and nothing left for a stranger."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from domain.market import Strategy, StrategyKind
from domain.verdict import Evidence, Finding
from guards.deltas import Expectation, expected_deltas, known_holders, shares_of, tolerated
from guards.finding import Ruler

RULER = Ruler("simulation")
NATIVE: Final = "0x" + "0" * 40
UNIT: Final = "base units"


def check_simulation(evidence: Evidence) -> tuple[Finding, ...]:
    return (
        *_check_report(evidence),
        *_check_account(evidence),
        *_check_strangers(evidence),
        *_check_after(evidence),
    )


def _check_report(evidence: Evidence) -> Iterator[Finding]:
    report, digest = evidence.simulation, evidence.plan.batch_digest()
    outcome = "succeeded" if report.succeeded else f"failed: {report.failure}"
    yield RULER.fact("simulation_failed", "batch", passed=report.succeeded, limit="succeeded", observed=outcome)
    is_ours = report.batch_digest == digest
    yield RULER.fact("simulation_digest", "batch", passed=is_ours, limit=digest, observed=report.batch_digest)
    age = evidence.head_block_number - report.block_number
    observed = age if age >= 0 else None  # ahead of the head: of a block that was dropped
    limit = evidence.policy.simulation.max_age_blocks
    yield RULER.at_most("simulation_stale", "batch", observed=observed, limit=limit, unit="blocks")


def _check_account(evidence: Evidence) -> Iterator[Finding]:
    """Every contract that the calls or the simulation name, native money included."""
    account, report = evidence.catalog.account, evidence.simulation
    expected = expected_deltas(evidence)
    touched = {delta.token for delta in report.deltas if delta.holder == account}
    for contract in sorted(touched | set(expected)):
        bounds = expected.get(contract, Expectation(0, None))
        yield from _check_delta(contract, report.delta_of(account, contract), bounds)


def _check_delta(contract: str, change: int, bounds: Expectation) -> Iterator[Finding]:
    yield RULER.at_least("unplanned_outflow", contract, observed=change, limit=bounds.lowest, unit=UNIT)
    if bounds.highest is not None:
        yield RULER.at_most("delta_mismatch", contract, observed=change, limit=bounds.highest, unit=UNIT)


def _check_strangers(evidence: Evidence) -> Iterator[Finding]:
    """Nobody outside the catalog may gain a catalogued token or native money.

    Receipts are judged on our own side only: a vault may mint its owner fee shares while it pays us in full.
    """
    watched = {token.address for token in evidence.catalog.tokens} | {NATIVE}
    known = known_holders(evidence)
    gains = [d for d in evidence.simulation.deltas if d.amount > 0 and d.token in watched and d.holder not in known]
    if not gains:
        yield RULER.fact("outflow_to_stranger", "batch", passed=True, limit="none", observed="none")
    for gain in gains:
        yield RULER.at_most("outflow_to_stranger", gain.holder, observed=gain.amount, limit=0, unit=UNIT)


def _check_after(evidence: Evidence) -> Iterator[Finding]:
    """The portfolio read from the simulated state holds at least what the events leave; gifts are no mismatch."""
    before, after, catalog = evidence.before, evidence.after, evidence.catalog
    for token in catalog.tokens:
        held, kept = before.cash_of(token.id), after.cash_of(token.id)
        yield from _check_line(token.id, token.address, evidence, held=held, kept=kept)
    for strategy in catalog.strategies:
        held, kept = shares_of(before, strategy.id), shares_of(after, strategy.id)
        netted = _netted_interest(strategy, evidence)
        yield from _check_line(strategy.id, strategy.receipt, evidence, held=held, kept=kept + netted)
    yield from _check_line("native", NATIVE, evidence, held=before.native_wei, kept=after.native_wei)


def _netted_interest(strategy: Strategy, evidence: Evidence) -> int:
    """What an aToken's events understate of the amount that the calls take out, zero at least.

    When Aave burns aTokens, the event says the amount less the interest credited at that moment. The balance before
    held that interest already, so that the events alone would leave more than there can be.
    """
    expected = expected_deltas(evidence).get(strategy.receipt)
    if strategy.kind is not StrategyKind.AAVE_V3 or expected is None:
        return 0
    return max(0, evidence.simulation.delta_of(evidence.catalog.account, strategy.receipt) - expected.lowest)


def _check_line(subject: str, contract: str, evidence: Evidence, *, held: int, kept: int) -> Iterator[Finding]:
    """Nothing less than the events leave, and no events about more than we held: then `before` would be wrong."""
    change, slack = evidence.simulation.delta_of(evidence.catalog.account, contract), tolerated(held, evidence)
    if held or kept:
        yield RULER.at_least("delta_mismatch", subject, observed=kept, limit=held + change - slack, unit=UNIT)
    if change < 0:
        yield RULER.at_most("delta_mismatch", subject, observed=-change, limit=held + slack, unit=UNIT)
