"""Binding: the envelope's bytes are the plan's calls, made under this policy and snapshot, and still in time."""

from __future__ import annotations

from collections.abc import Iterator

from domain.verdict import Evidence, Finding
from guards.decode import decode_batch, decode_calls
from guards.finding import Ruler
from guards.measures import swaps

RULER = Ruler("binding")


def check_binding(evidence: Evidence) -> tuple[Finding, ...]:
    return (*_check_bytes(evidence), *_check_origin(evidence))


def _check_bytes(evidence: Evidence) -> Iterator[Finding]:
    """What is judged, what is approved and what would be signed are the same calls."""
    plan, catalog = evidence.plan, evidence.catalog
    envelope = decode_batch(plan.envelope, catalog=catalog)
    same = envelope == evidence.batch
    yield RULER.fact("batch_mismatch", "judged calls", passed=same, limit="the envelope's", observed=_same(same))
    same = envelope.calls == decode_calls(plan.calls, catalog=catalog)
    yield RULER.fact("batch_mismatch", "plan calls", passed=same, limit="the envelope's", observed=_same(same))
    same = plan.minimum_outs == tuple(swap.minimum_out for swap in swaps(evidence))
    yield RULER.fact("batch_mismatch", "minimum outs", passed=same, limit="the envelope's", observed=_same(same))


def _same(is_same: bool) -> str:  # noqa: FBT001  # a word for a truth value
    return "equal" if is_same else "different"


def _check_origin(evidence: Evidence) -> Iterator[Finding]:
    plan = evidence.plan
    for code, named, actual in (
        ("policy_digest", plan.policy_digest, evidence.policy.digest()),
        ("snapshot_digest", plan.snapshot_digest, evidence.snapshot.digest()),
    ):
        yield RULER.fact(code, "plan", passed=named == actual, limit=actual, observed=named)
    yield RULER.fact(
        "plan_expired",
        "plan",
        passed=evidence.now < plan.expires_at,
        limit=f"before {plan.expires_at.isoformat()}",
        observed=evidence.now.isoformat(),
    )
