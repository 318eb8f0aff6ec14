"""Execute: look once more at the head, reserve the budget, then let the sender settle this digest once."""

from __future__ import annotations

from decimal import Decimal

from domain.portfolio import net_asset_value_usd
from domain.stages import Settlement, SimulatedBook
from domain.transaction import IntentStatus, Receipt
from domain.units import value_usd
from domain.verdict import Approval, ApprovalStatus, Certificate, Evidence
from graph.dependencies import Dependencies, Mode
from graph.evidence import gather_evidence, reparse_plan
from graph.state import State
from guards import check
from guards.budgets import measure_spending
from guards.certificate import issue_certificate
from tools.risk_report import assess_portfolio


def execute(state: State, dependencies: Dependencies) -> State:
    """Write `settlement`. Running it again is harmless: the journal knows how far this digest got."""
    plan = reparse_plan(state)
    started = dependencies.sender.progress(plan.batch_digest())
    if started is not None and started.status is not IntentStatus.PLANNED:
        receipt = dependencies.sender.resume(plan.batch_digest())
        return State(settlement=_settled(receipt, state, dependencies))
    book = _simulate_again(state, dependencies)
    evidence = gather_evidence(state, dependencies, book=book, approval=_consent(state, dependencies))
    verdict = check(evidence)
    if not verdict.is_pass or verdict.needs_approval:
        return State(settlement=Settlement(last_verdict=verdict))
    if dependencies.mode is Mode.SHADOW:
        return State(settlement=Settlement(last_verdict=verdict, is_shadow=True))
    certificate = issue_certificate(verdict, evidence)
    receipt = _settle(evidence, certificate, dependencies)
    return State(settlement=_settled(receipt, state, dependencies))


def _simulate_again(state: State, dependencies: Dependencies) -> SimulatedBook:
    observation = state["observation"]
    simulation = dependencies.simulator.simulate(reparse_plan(state))
    risk_after = assess_portfolio(
        simulation.after,
        snapshot=dependencies.snapshot(observation.snapshot_digest),
        history=dependencies.history(observation.history_digest),
        catalog=dependencies.catalog,
        limits=dependencies.policy.risk,
        subject="after",
    )
    return SimulatedBook(report=simulation.report, after=simulation.after, risk_after=risk_after)


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


def _settle(evidence: Evidence, certificate: Certificate, dependencies: Dependencies) -> Receipt:
    spending = measure_spending(evidence)
    now = dependencies.clock.now()
    dependencies.budgets.reserve(
        certificate.batch_digest,
        value_usd=spending.value_usd,
        gas_usd=spending.gas_usd,
        slippage_usd=spending.slippage_usd,
        turnover_usd=spending.turnover_usd,
        at=now,
    )
    dependencies.sender.start(evidence.plan)
    if evidence.approval is not None:
        dependencies.approvals.consume(certificate.batch_digest, at=now)
    return dependencies.sender.settle(evidence.plan, certificate)


def _settled(receipt: Receipt, state: State, dependencies: Dependencies) -> Settlement:
    """Replace the reservation by what it really cost; loss is the fall of net asset value beyond gas."""
    snapshot = dependencies.snapshot(state["observation"].snapshot_digest)
    gas_price = snapshot.price_usd(dependencies.catalog.native_token) or Decimal(0)
    before = net_asset_value_usd(state["observation"].portfolio, snapshot, dependencies.catalog)
    after = net_asset_value_usd(dependencies.market.portfolio(receipt.block_number), snapshot, dependencies.catalog)
    loss = max(before - after, Decimal(0))
    dependencies.budgets.settle(
        receipt.batch_digest,
        gas_usd=value_usd(receipt.gas_cost_wei, decimals=18, price_usd=gas_price),
        loss_usd=loss,
        slippage_usd=loss,
        at=dependencies.clock.now(),
    )
    return Settlement(receipt=receipt)
