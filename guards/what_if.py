"""Evidence as it had been, had the same batch been planned under another policy or on another market.

Every digest that agreed before agrees again, so that only the limits make a difference.
"""

from __future__ import annotations

from datetime import timedelta

from domain.market import MarketSnapshot
from domain.plan import RebalancePlan
from domain.policy import Policy
from domain.transaction import SimulationReport
from domain.verdict import Approval, Evidence


def under_policy(evidence: Evidence, policy: Policy) -> Evidence:
    """What did not agree before still does not: a forged digest is no better under another policy."""
    plan = _replan(evidence.plan, evidence.policy, policy)
    return evidence.model_copy(
        update={
            "policy": policy,
            "plan": plan,
            "simulation": _rebind_simulation(evidence.simulation, evidence.plan, plan),
            "approval": _rebind_approval(evidence.approval, evidence.plan, plan),
        }
    )


def on_market(evidence: Evidence, snapshot: MarketSnapshot) -> Evidence:
    """The same book, calls, minimum outs and expiry, at the prices, rates and pauses of another moment."""
    old, before = evidence.plan, evidence.before
    read_at = snapshot if before.block_number == evidence.snapshot.block_number else before
    named = snapshot.digest() if old.snapshot_digest == evidence.snapshot.digest() else old.snapshot_digest
    plan = old.model_copy(update={"snapshot_digest": named})
    return evidence.model_copy(
        update={
            "snapshot": snapshot,
            "before": before.model_copy(update={"block_number": read_at.block_number}),
            "plan": plan,
            "simulation": _rebind_simulation(evidence.simulation, old, plan),
            "approval": _rebind_approval(evidence.approval, old, plan),
        }
    )


def _replan(plan: RebalancePlan, old: Policy, new: Policy) -> RebalancePlan:
    """A plan lives as long as its policy lets an approval wait."""
    longer_seconds = new.approval.expiry_seconds - old.approval.expiry_seconds
    named = new.digest() if plan.policy_digest == old.digest() else plan.policy_digest
    return plan.model_copy(
        update={"policy_digest": named, "expires_at": plan.expires_at + timedelta(seconds=longer_seconds)}
    )


def _rebind_simulation(report: SimulationReport, old: RebalancePlan, new: RebalancePlan) -> SimulationReport:
    if report.batch_digest != old.batch_digest():
        return report
    return report.model_copy(update={"batch_digest": new.batch_digest()})


def _rebind_approval(approval: Approval | None, old: RebalancePlan, new: RebalancePlan) -> Approval | None:
    """An answer may not outlive its plan, and ends with it where it did before."""
    if approval is None or approval.batch_digest != old.batch_digest():
        return approval
    expires_at = new.expires_at if approval.expires_at == old.expires_at else min(approval.expires_at, new.expires_at)
    return approval.model_copy(update={"batch_digest": new.batch_digest(), "expires_at": expires_at})


def unmeasured(evidence: Evidence, policy: Policy) -> str | None:
    """Why this evidence says too little about that policy, for a person; None where every limit can be judged."""
    before, now = evidence.policy, policy
    if before.risk.horizon_days != now.risk.horizon_days:
        return (
            f"its tails were measured for horizon_days {before.risk.horizon_days} and not {now.risk.horizon_days}: "
            "VaR and CVaR are unknown, which denies"
        )
    if before.stress.utilization_days != now.stress.utilization_days:
        days = (before.stress.utilization_days, now.stress.utilization_days)
        return f"its stress losses were measured for utilization_days {days[0]} and not {days[1]}"
    if before.economics.horizon_days != now.economics.horizon_days:
        days = (before.economics.horizon_days, now.economics.horizon_days)
        return f"its gain was measured for horizon_days {days[0]} and not {days[1]}"
    return None
