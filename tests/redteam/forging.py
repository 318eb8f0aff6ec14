"""Puts a forged plan into a waiting run's checkpoint, with every word around it as favourable as words can be."""

from __future__ import annotations

from app.wiring import Application
from domain.errors import InvariantBroken
from domain.plan import RebalancePlan
from domain.stages import Proposal
from domain.verdict import Economics
from tests.redteam.audit_calls import SHAPES, Deed
from tests.redteam.forgeries import FORGERIES, Forgery

MINIMUM_OUT = slice(4 + 5 * 32, 4 + 6 * 32)  # the sixth word of exactInputSingle's struct
RICHES = Economics(lower_gain_usd=1_000_000.0, cost_usd=1.0, break_even_days=0.1)


def forgery_named(name: str) -> Forgery:
    return next(forgery for forgery in FORGERIES if forgery.name == name)


def forge_plan(application: Application, run_id: str, forgery: Forgery) -> None:
    """As though the rebalancer had proposed it; the next step simulates it."""
    graph = application.conductor._graph
    thread = {"configurable": {"thread_id": run_id}}
    honest = graph.get_state(thread).values["proposal"]
    if honest.plan is None:
        raise InvariantBroken(f"run {run_id} has no plan to forge")
    forged = _forged(honest.plan, forgery, application)
    graph.update_state(thread, {"proposal": Proposal(plan=forged, economics=RICHES)}, as_node="rebalancer")


def _forged(honest: RebalancePlan, forgery: Forgery, application: Application) -> RebalancePlan:
    """Digests, expiry and fee cap are right: only what the bytes do is wrong."""
    catalog = application.dependencies.catalog
    calls = forgery.calls(catalog)
    payloads = [bytes.fromhex(call.data[2:]) for call in calls]
    swaps = [data for data in payloads if SHAPES.get(data[:4], (None,))[0] is Deed.SWAP]
    return honest.model_copy(
        update={
            "moves": (),
            "calls": calls,
            "envelope": forgery.envelope(catalog, calls),
            "minimum_outs": tuple(int.from_bytes(data[MINIMUM_OUT], "big") for data in swaps),
        }
    )
