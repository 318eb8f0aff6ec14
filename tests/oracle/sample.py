"""Consistent evidence from calls, and the ways to change a part of it so that its digests still hang together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from fractions import Fraction
from random import Random
from typing import Final, TypeVar

from pydantic import BaseModel

from domain.market import Catalog, MarketSnapshot
from domain.plan import RebalancePlan
from domain.policy import Policy
from domain.portfolio import Portfolio
from domain.risk import StressLoss
from domain.stress import StressFamily
from domain.transaction import SimulationReport
from domain.verdict import Evidence
from guards.decode import decode_batch
from tests.builders import NOW
from tests.builders_evidence import RUN_ID, make_report
from tests.oracle.actions import action_of, wrappers_of
from tests.oracle.book import Facts
from tests.oracle.calldata import Call, Reading, flattened, read_envelope
from tests.oracle.exact import DOLLAR
from tests.oracle.limits_risk import applicable_scenarios
from tests.oracle.remembered import digest_of_plan, digest_of_policy, digest_of_snapshot
from tests.oracle.world import Chain, enveloped, unsigned

Model = TypeVar("Model", bound=BaseModel)
Mutate = Callable[[Random, Evidence], Evidence]
Mutations = tuple[tuple[Mutate, int], ...]
Changes = tuple[dict[str, object], ...]
CALM_LOSSES: Final = {"exploit": 0.25, "gas": 0.001, "reward": 0.001}
BLOCK_HASH: Final = "0x" + "ab" * 32
HAIRCUT_BPS: Final = 5


def changed(value: Model, /, **changes: object) -> Model:
    """A copy without validation. pydantic's own copy keeps what the original has cached of its old parts."""
    copy = value.model_copy(update=changes)
    if len(copy.__dict__) > len(type(value).model_fields):
        for name in copy.__dict__.keys() - type(value).model_fields.keys():
            del copy.__dict__[name]
    return copy


def assembled(
    calls: Sequence[Call],
    *,
    catalog: Catalog,
    policy: Policy,
    snapshot: MarketSnapshot,
    before: Portfolio,
    fee_cap_wei: int = 2 * 10**16,
    is_direct: bool = False,
    circumstances: Mapping[str, object],
) -> Evidence:
    """What the product would gather about these calls; `circumstances` are the evidence's other fields."""
    plan = _plan_of(calls, catalog=catalog, policy=policy, snapshot=snapshot, is_direct=is_direct)
    plan = changed(plan, fee_cap_wei=fee_cap_wei)
    chain = _played(calls, catalog, snapshot, before)
    after = chain.after()
    fields = {
        "now": NOW,
        "head_block_number": 100,
        "catalog": catalog,
        "policy": policy,
        "plan": plan,
        "batch": decode_batch(plan.envelope, catalog=catalog),
        "simulation": _report_of(chain, plan, catalog),
        "snapshot": snapshot,
        "before": before,
        "after": after,
        "risk_before": make_report("current"),
        "risk_after": make_report("after"),
    }
    return with_stress(revalued(Evidence.model_validate({**fields, **circumstances})))


def _plan_of(
    calls: Sequence[Call], *, catalog: Catalog, policy: Policy, snapshot: MarketSnapshot, is_direct: bool
) -> RebalancePlan:
    return RebalancePlan.model_construct(
        run_id=RUN_ID,
        chain_id=catalog.chain_id,
        account=catalog.account,
        candidate="optimal",
        moves=(),
        calls=tuple(map(unsigned, calls)),
        envelope=enveloped(calls, catalog, is_direct=is_direct),
        minimum_outs=_minimum_outs(calls, catalog),
        fee_cap_wei=0,
        policy_digest=digest_of_policy(policy),
        snapshot_digest=digest_of_snapshot(snapshot),
        expires_at=NOW + timedelta(minutes=10),
    )


def _minimum_outs(calls: Sequence[Call], catalog: Catalog) -> tuple[int, ...]:
    actions = [action_of(call, catalog) for call in calls]
    return tuple(a.minimum_out for a in actions if a is not None and a.name == "exactInputSingle")


def _reading_of(plan: RebalancePlan, catalog: Catalog) -> Reading:
    return read_envelope(bytes.fromhex(plan.envelope.data[2:]), wrappers_of(catalog))


def _played(calls: Sequence[Call], catalog: Catalog, snapshot: MarketSnapshot, before: Portfolio) -> Chain:
    chain = Chain(catalog, snapshot, before, haircut_bps=HAIRCUT_BPS)
    chain.run(calls)
    return chain


def _report_of(chain: Chain, plan: RebalancePlan, catalog: Catalog) -> SimulationReport:
    return SimulationReport.model_construct(
        batch_digest=digest_of_plan(plan),
        chain_id=catalog.chain_id,
        block_number=100,
        block_hash=BLOCK_HASH,
        simulated_at=NOW,
        succeeded=not chain.is_reverted,
        failure=None,
        gas_used=400_000,
        deltas=chain.deltas(),
        leftover_approvals=chain.leftovers(),
    )


def revalued(evidence: Evidence) -> Evidence:
    """The report on the book afterwards says what that is worth, as far as prices tell."""
    report, value = evidence.risk_after, Facts(evidence).nav_after
    stated = None if value is None else float(Fraction(value, DOLLAR))
    if report is None or report.net_asset_value_usd == stated:
        return evidence
    return changed(evidence, risk_after=changed(report, net_asset_value_usd=stated))


def with_stress(evidence: Evidence) -> Evidence:
    """A mild loss for every scenario of the book afterwards that the report did not measure yet."""
    report = evidence.risk_after
    if report is None:
        return evidence
    facts = Facts(evidence)
    known = {(loss.family.value, loss.subject) for loss in report.stress}
    calm = (
        StressLoss.model_construct(family=StressFamily(name), subject=subject, loss=CALM_LOSSES.get(name, 0.02))
        for name, subject in sorted(applicable_scenarios(facts, facts.after) - known)
    )
    return changed(evidence, risk_after=changed(report, stress=(*report.stress, *calm)))


def with_plan(evidence: Evidence, *, parts: Mapping[str, object] | None = None, **changes: object) -> Evidence:
    """The plan changed, and whoever named its digest names the new one; `parts` of the evidence change along."""
    old, plan = digest_of_plan(evidence.plan), changed(evidence.plan, **changes)
    new = digest_of_plan(plan)
    linked: dict[str, object] = {"plan": plan}
    if evidence.simulation.batch_digest == old:
        linked["simulation"] = changed(evidence.simulation, batch_digest=new)
    if evidence.approval is not None and evidence.approval.batch_digest == old:
        linked["approval"] = changed(evidence.approval, batch_digest=new)
    return changed(evidence, **linked, **(parts or {}))


def with_policy(evidence: Evidence, section: str, **keys: object) -> Evidence:
    policy = changed(evidence.policy, **{section: changed(getattr(evidence.policy, section), **keys)})
    return with_plan(evidence, parts={"policy": policy}, policy_digest=digest_of_policy(policy))


def with_snapshot(evidence: Evidence, **changes: object) -> Evidence:
    snapshot = changed(evidence.snapshot, **changes)
    return with_plan(evidence, parts={"snapshot": snapshot}, snapshot_digest=digest_of_snapshot(snapshot))


def with_calls(evidence: Evidence, calls: Sequence[Call], *, is_direct: bool = False) -> Evidence:
    """Other calls, planned, decoded and played again."""
    catalog = evidence.catalog
    envelope = enveloped(calls, catalog, is_direct=is_direct and len(calls) == 1)
    unwrapped = flattened(calls, wrappers_of(catalog))
    chain = _played(unwrapped, catalog, evidence.snapshot, evidence.before)
    after = chain.after()
    replanned = with_plan(
        evidence,
        parts={"after": after},
        calls=tuple(map(unsigned, calls)),
        envelope=envelope,
        minimum_outs=_minimum_outs(unwrapped, catalog),
    )
    report = _report_of(chain, replanned.plan, catalog)
    batch = decode_batch(replanned.plan.envelope, catalog=catalog)
    return with_stress(changed(replanned, simulation=report, batch=batch))


def calls_of(evidence: Evidence) -> tuple[Call, ...]:
    return _reading_of(evidence.plan, evidence.catalog).calls
