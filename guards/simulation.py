"""Simulation: this batch, recent, successful; it did what the calls say and nothing left for a stranger."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from domain.market import Strategy, StrategyKind
from domain.transaction import NATIVE, SimulationReport
from guards.asymmetry import is_exit
from guards.binding import batch_digest
from guards.case import Case
from guards.deltas import (
    Expectation,
    delta_of,
    expected_deltas,
    known_holders,
    paid_for_all,
    shares_of,
    simulated_deltas,
    tolerated,
)
from guards.finding import Row, Ruler
from guards.measures import changes

RULER = Ruler("simulation")
UNIT: Final = "base units"
EXIT_FEE_MULTIPLE: Final = 30
"""The sender reserves up to three times today's cost: half more gas at twice the base fee. Ten times that lets an exit
through a gas price that jumps tenfold while others run for the door."""
RAN: Final = "succeeded"


def check_simulation(case: Case) -> tuple[Row, ...]:
    return (
        *_check_report(case),
        *_check_account(case),
        *_check_strangers(case),
        *_check_after(case),
        *_check_exit_fees(case),
    )


def _check_report(case: Case) -> Iterator[Row]:
    report, digest = case.evidence.simulation, batch_digest(case)
    outcome = _outcome(report)
    yield RULER.fact("simulation_failed", "batch", passed=outcome == RAN, limit=RAN, observed=outcome)
    is_ours = report.batch_digest == digest
    yield RULER.fact("simulation_digest", "batch", passed=is_ours, limit=digest, observed=report.batch_digest)
    age = case.evidence.head_block_number - report.block_number
    observed = age if age >= 0 else None  # ahead of the head: of a block that was dropped
    limit = case.evidence.policy.simulation.max_age_blocks
    yield RULER.at_most("simulation_stale", "batch", observed=observed, limit=limit, unit="blocks")


def _outcome(report: SimulationReport) -> str:
    """No transaction runs on no gas: where none was used, nothing was simulated."""
    if not report.succeeded:
        return f"failed: {report.failure}"
    return RAN if report.gas_used else "used no gas"


def _check_exit_fees(case: Case) -> Iterator[Row]:
    """What a way out may cost is no limit of the policy, but a multiple of what it was seen to need.

    A snapshot without a gas price bounds nothing: whoever hides the price must not close the way out.
    """
    if not is_exit(case):
        return
    evidence = case.evidence
    gas_price_wei = evidence.snapshot.base_fee_wei + evidence.snapshot.priority_fee_wei
    most = EXIT_FEE_MULTIPLE * evidence.simulation.gas_used * gas_price_wei if gas_price_wei else "unlimited"
    yield RULER.at_most("exit_fee_cap", "envelope", observed=evidence.plan.fee_cap_wei, limit=most, unit="wei")


def _check_account(case: Case) -> Iterator[Row]:
    """Every contract that the calls or the simulation name, native money included."""
    account, expected = case.evidence.catalog.account, expected_deltas(case)
    touched = {token for holder, token in simulated_deltas(case) if holder == account}
    for contract in sorted(touched | set(expected)):
        bounds = expected.get(contract, Expectation(0, None))
        yield from _check_delta(contract, delta_of(case, account, contract), bounds)


def _check_delta(contract: str, change: int, bounds: Expectation) -> Iterator[Row]:
    yield RULER.at_least("unplanned_outflow", contract, observed=change, limit=bounds.lowest, unit=UNIT)
    if bounds.highest is not None:
        yield RULER.at_most("delta_mismatch", contract, observed=change, limit=bounds.highest, unit=UNIT)


def _check_strangers(case: Case) -> Iterator[Row]:
    """Nobody outside the catalog may gain a catalogued token or native money.

    Receipts are judged on our own side only: a vault may mint its owner fee shares while it pays us in full.
    """
    watched = {token.address for token in case.evidence.catalog.tokens} | {NATIVE}
    known = known_holders(case)
    deltas = case.evidence.simulation.deltas
    gains = [d for d in deltas if d.amount > 0 and d.token in watched and d.holder not in known]
    if not gains:
        yield RULER.fact("outflow_to_stranger", "batch", passed=True, limit="none", observed="none")
    for gain in gains:
        yield RULER.at_most("outflow_to_stranger", gain.holder, observed=gain.amount, limit=0, unit=UNIT)


def _check_after(case: Case) -> Iterator[Row]:
    """The portfolio read from the simulated state holds at least what the events leave; gifts are no mismatch."""
    before, after, catalog = case.evidence.before, case.evidence.after, case.evidence.catalog
    cash = {change.token: change for change in changes(case) if change.strategy is None}
    for token in catalog.tokens:
        line = cash.get(token.id)
        held, kept = (line.before, line.after) if line else (0, 0)
        yield from _check_line(token.id, token.address, case, held=held, kept=kept)
    held_shares, kept_shares = shares_of(before), shares_of(after)
    for strategy in catalog.strategies:
        held, kept = held_shares.get(strategy.id, 0), kept_shares.get(strategy.id, 0)
        netted = _netted_interest(strategy, case)
        most = max(held, paid_for_all(strategy, case))
        yield from _check_line(strategy.id, strategy.receipt, case, held=held, kept=kept + netted, most=most)
    yield from _check_line("native", NATIVE, case, held=before.native_wei, kept=after.native_wei)


def _netted_interest(strategy: Strategy, case: Case) -> int:
    """What an aToken's events understate of the amount that the calls take out, zero at least.

    When Aave burns aTokens, the event says the amount less the interest credited at that moment. The balance before
    held that interest already, so that the events alone would leave more than there can be.
    """
    expected = expected_deltas(case).get(strategy.receipt)
    if strategy.kind is not StrategyKind.AAVE_V3 or expected is None:
        return 0
    return max(0, delta_of(case, case.evidence.catalog.account, strategy.receipt) - expected.lowest)


def _check_line(
    subject: str, contract: str, case: Case, *, held: int, kept: int, most: int | None = None
) -> Iterator[Row]:
    """Nothing less than the events leave, and no events about more than we held: then `before` would be wrong.

    `most` is what may leave where that is more than was held: a whole position with what others gave to it.
    """
    change, slack = delta_of(case, case.evidence.catalog.account, contract), tolerated(held, case)
    if held or kept or change > 0:
        yield RULER.at_least("delta_mismatch", subject, observed=kept, limit=held + change - slack, unit=UNIT)
    if change < 0:
        yield RULER.at_most(
            "delta_mismatch", subject, observed=-change, limit=(held if most is None else most) + slack, unit=UNIT
        )
