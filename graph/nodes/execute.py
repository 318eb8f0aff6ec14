"""Execute: look once more at the head, reserve the budget, then let the sender settle this digest once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Final

from domain.breakers import Trip
from domain.budget import WindowLimits
from domain.errors import ExecutionFailed, SigningRefused
from domain.portfolio import net_asset_value_usd, settled_value_usd
from domain.stages import Settlement
from domain.transaction import BalanceDelta, IntentStatus, Receipt, differing_deltas
from domain.units import value_usd
from domain.verdict import Approval, ApprovalStatus, Evidence, TradingState, Verdict
from graph.dependencies import Dependencies, Mode
from graph.evidence import gather_evidence, reparse_plan, simulate_book
from graph.judgement import judge, judge_now
from graph.state import State
from guards.budgets import measure_spending
from guards.certificate import issue_certificate

NATIVE_DECIMALS: Final = 18


def execute(state: State, dependencies: Dependencies) -> State:
    """Write `settlement`. Running it again is harmless: the journal knows how far this digest got."""
    digest = reparse_plan(state).batch_digest()
    started = dependencies.sender.progress(digest)
    if started is not None and started.status is not IntentStatus.PLANNED:
        with _closing_the_books(digest, dependencies):
            receipt = dependencies.sender.resume(digest)
        return State(settlement=_settled(receipt, state, dependencies))
    evidence = gather_evidence(
        state, dependencies, book=simulate_book(state, dependencies), approval=_consent(state, dependencies)
    )
    judgement = judge(evidence, dependencies)
    if judgement.verdict.is_pass and not judgement.verdict.is_exit:
        judgement = judge_now(evidence, dependencies) or judgement
    verdict = judgement.verdict
    if not verdict.is_pass or verdict.needs_approval:
        dependencies.budgets.release(digest)
        return State(settlement=Settlement(judgement=judgement))
    if dependencies.mode is Mode.SHADOW:
        return State(settlement=Settlement(judgement=judgement, is_shadow=True))
    receipt = _settle(evidence, verdict, dependencies)
    return State(settlement=_settled(receipt, state, dependencies).model_copy(update={"judgement": judgement}))


@contextmanager
def _closing_the_books(digest: str, dependencies: Dependencies) -> Iterator[None]:
    """A batch that never left gives its reservation back; one that failed on chain is charged its gas."""
    try:
        yield
    except (SigningRefused, ExecutionFailed):
        intent, receipt = dependencies.sender.progress(digest), dependencies.sender.receipt(digest)
        if receipt is not None:
            _charge(receipt, Decimal(0), dependencies)
        elif intent is None or intent.status is IntentStatus.EXPIRED:
            dependencies.budgets.release(digest)
        raise


def _consent(state: State, dependencies: Dependencies) -> Approval | None:
    """Read from the table, never from the state: a checkpoint is not a signature.

    A crash after the approval was used, but before signing, leaves this digest's own intent PLANNED: the consent
    still stands for it, and the execution journal keeps it to one effect.
    """
    if state.get("approval") is None:
        return None
    digest = reparse_plan(state).batch_digest()
    approval = dependencies.approvals.find(digest)
    if approval and approval.status is ApprovalStatus.USED and dependencies.sender.progress(digest):
        return approval.model_copy(update={"status": ApprovalStatus.APPROVED})
    return approval


def _settle(evidence: Evidence, verdict: Verdict, dependencies: Dependencies) -> Receipt:
    """Exits reserve without limits: a budget never stands between money and the way out."""
    certificate = issue_certificate(verdict, evidence)
    dependencies.budgets.reserve(
        certificate.batch_digest,
        measure_spending(evidence),
        at=evidence.now,
        limits=None if verdict.is_exit else _limits(evidence),
    )
    with _closing_the_books(certificate.batch_digest, dependencies):
        dependencies.sender.start(evidence.plan)
        if evidence.approval is not None:
            _use_approval(certificate.batch_digest, dependencies)
        return dependencies.sender.settle(evidence.plan, certificate)


def _limits(evidence: Evidence) -> WindowLimits:
    value = net_asset_value_usd(evidence.before, evidence.snapshot, evidence.catalog)
    return WindowLimits.of(evidence.policy, net_asset_value_usd=value)


def _use_approval(digest: str, dependencies: Dependencies) -> None:
    approval = dependencies.approvals.find(digest)
    if approval is not None and approval.status is not ApprovalStatus.USED:
        dependencies.approvals.consume(digest, at=dependencies.clock.now())


def _settled(receipt: Receipt, state: State, dependencies: Dependencies) -> Settlement:
    """The loss is the fall of what has a price, at the snapshot's oracle: slippage and fees, gas apart."""
    snapshot, catalog = dependencies.snapshot(state["observation"].snapshot_digest), dependencies.catalog
    before = settled_value_usd(state["observation"].portfolio, snapshot, catalog)
    after = settled_value_usd(dependencies.market.portfolio(receipt.block_number), snapshot, catalog)
    _charge(receipt, max(before - after, Decimal(0)), dependencies)
    return Settlement(receipt=receipt, surprises=_compare(receipt, state, dependencies))


def _compare(receipt: Receipt, state: State, dependencies: Dependencies) -> tuple[BalanceDelta, ...]:
    """What happened against what was simulated. A surprise means that our eyes are wrong: only reduce from here."""
    surprises = differing_deltas(
        state["simulated"].report.deltas,
        receipt.deltas,
        holder=dependencies.catalog.account,
        tolerance_bps=dependencies.policy.simulation.max_delta_tolerance_bps,
    )
    if surprises:
        dependencies.trading_state.tighten([_trip(surprises, receipt)], at=dependencies.clock.now())
    return surprises


def _trip(surprises: tuple[BalanceDelta, ...], receipt: Receipt) -> Trip:
    return Trip(
        code="surprise",
        state=TradingState.REDUCING,
        subject=f"batch {receipt.batch_digest[:16]}",
        limit="as simulated",
        observed=f"{len(surprises)} otherwise",
        unit="tokens",
    )


def _charge(receipt: Receipt, loss_usd: Decimal, dependencies: Dependencies) -> None:
    """Replace the reservation by what the batch really cost."""
    price = dependencies.market.snapshot(receipt.block_number).price_usd(dependencies.catalog.native_token)
    gas_usd = value_usd(receipt.gas_cost_wei, decimals=NATIVE_DECIMALS, price_usd=price or Decimal(0))
    dependencies.budgets.settle(
        receipt.batch_digest, gas_usd=gas_usd, loss_usd=loss_usd, slippage_usd=loss_usd, at=dependencies.clock.now()
    )
