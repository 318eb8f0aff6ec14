"""Binding: the envelope's bytes are the plan's calls, made under this policy and snapshot, and still in time.

What was read of the chain is of one block, or of blocks of one chain.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from guards.case import Case, once
from guards.decode import read_calls, read_envelope
from guards.finding import Row, Ruler
from guards.measures import swaps
from guards.registry import registry

RULER = Ruler("binding")
MIXED: Final = "block_mismatch"


def check_binding(case: Case) -> tuple[Row, ...]:
    return (*_check_bytes(case), *_check_origin(case), *_check_blocks(case))


@once
def batch_digest(case: Case) -> str:
    return case.evidence.plan.batch_digest()


@once
def policy_digest(case: Case) -> str:
    return case.evidence.policy.digest()


def _check_bytes(case: Case) -> Iterator[Row]:
    """What is judged, what is approved and what would be signed are the same calls."""
    plan, table = case.evidence.plan, registry(case)
    envelope = read_envelope(plan.envelope, table)
    same = envelope == case.evidence.batch
    yield RULER.fact("batch_mismatch", "judged calls", passed=same, limit="the envelope's", observed=_same(same))
    same = envelope.calls == read_calls(plan.calls, table)
    yield RULER.fact("batch_mismatch", "plan calls", passed=same, limit="the envelope's", observed=_same(same))
    same = plan.minimum_outs == tuple(swap.minimum_out for swap in swaps(case))
    yield RULER.fact("batch_mismatch", "minimum outs", passed=same, limit="the envelope's", observed=_same(same))


def _same(is_same: bool) -> str:  # noqa: FBT001  # a word for a truth value
    return "equal" if is_same else "different"


def _check_origin(case: Case) -> Iterator[Row]:
    plan, now = case.evidence.plan, case.evidence.now
    for code, named, actual in (
        ("policy_digest", plan.policy_digest, policy_digest(case)),
        ("snapshot_digest", plan.snapshot_digest, case.evidence.snapshot.digest()),
    ):
        yield RULER.fact(code, "plan", passed=named == actual, limit=actual, observed=named)
    in_time, limit = now < plan.expires_at, f"before {plan.expires_at.isoformat()}"
    yield RULER.fact("plan_expired", "plan", passed=in_time, limit=limit, observed=now.isoformat())


def _check_blocks(case: Case) -> Iterator[Row]:
    """A book, a market and a simulation of different chains or forks prove nothing about each other."""
    evidence, snapshot = case.evidence, case.evidence.snapshot
    block, read_at, report = snapshot.block_number, evidence.before.block_number, evidence.simulation
    yield RULER.fact(MIXED, "before", passed=read_at == block, limit=f"block {block}", observed=f"block {read_at}")
    is_forked = report.block_number == block and report.block_hash != snapshot.block_hash
    limit, observed = (f"{each.block_hash} at {each.block_number}" for each in (snapshot, report))
    yield RULER.fact(MIXED, "simulation", passed=not is_forked, limit=limit, observed=observed)
    chain = evidence.catalog.chain_id
    strays = [rate.strategy for rate in snapshot.rates if rate.chain_id != chain or rate.block_number > block]
    observed = ", ".join(strays) or "all"
    yield RULER.fact(MIXED, "rates", passed=not strays, limit=f"chain {chain} up to block {block}", observed=observed)
