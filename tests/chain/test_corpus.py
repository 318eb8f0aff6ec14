"""The corpus is about a real chain: its allowed samples run there, and do to the account what their data say."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chain.client import ChainClient
from chain.simulator import BatchSimulator
from chain.world import World
from collectors.portfolio import AccountReads
from domain.plan import RebalancePlan
from domain.transaction import SimulationReport
from tests.corpus.entry import Entry, Expected, evidence_of, load, load_bases

pytestmark = pytest.mark.chain

ENTRIES = load()
BASES = load_bases()
HALF_A_PERCENT = 200
NESTED = ("nested-2", "nested-3", "nested-4")
"""Read by us and then refused by the Safe: its owner's signature only counts when the owner is the sender."""
RUNNABLE = [
    entry
    for entry in ENTRIES.values()
    if entry.base == "treasury" and entry.expected is Expected.ALLOW and entry.family == "allowlist"
    if entry.id not in NESTED
]


class Runner:
    """Simulates entries on one running chain."""

    def __init__(self, world: World) -> None:
        catalog = world.catalog
        client = ChainClient(
            world.node.rpc_url, chain_id=catalog.chain_id, multicall=catalog.contracts.multicall, sleep=lambda _: None
        )
        self.simulator = BatchSimulator(client, catalog, AccountReads(catalog))
        self.expires_at = client.header().time + timedelta(minutes=10)

    def run(self, plan: RebalancePlan) -> SimulationReport:
        """The same bytes; only the expiry is of this chain's clock."""
        return self.simulator.simulate(plan.model_copy(update={"expires_at": self.expires_at})).report


def test_the_catalog_of_the_corpus_is_this_chain_s(world: World) -> None:
    assert BASES["treasury"]["catalog"] == world.catalog.model_dump(mode="json")


def test_every_allowed_sample_of_the_treasury_runs_and_leaves_nothing_approved(world: World) -> None:
    runner = Runner(world)

    reports = {entry.id: runner.run(evidence_of(entry, ENTRIES, BASES).plan) for entry in RUNNABLE}

    assert len(reports) > 20
    assert {id_: report.failure for id_, report in reports.items() if not report.succeeded} == {}
    assert {id_: report.leftover_approvals for id_, report in reports.items() if report.leftover_approvals} == {}


@pytest.mark.parametrize("id_", NESTED)
def test_the_safe_itself_refuses_an_envelope_within_an_envelope(world: World, id_: str) -> None:
    report = Runner(world).run(evidence_of(ENTRIES[id_], ENTRIES, BASES).plan)

    assert (report.succeeded, report.failure, report.deltas) == (False, "reverted: GS013", ())


def largest_transfer(report: SimulationReport, token: str) -> int:
    return max((abs(delta.amount) for delta in report.deltas if delta.token == token), default=0)


@pytest.mark.parametrize("entry", RUNNABLE, ids=lambda entry: entry.id)
def test_the_chain_moves_what_the_data_say(world: World, entry: Entry) -> None:
    """Within half a percent of what moves: real pools charge fees, real shares have prices, and interest accrues."""
    evidence = evidence_of(entry, ENTRIES, BASES)
    account, stated = evidence.catalog.account, evidence.simulation

    report = Runner(world).run(evidence.plan)

    for token in (token.address for token in evidence.catalog.tokens):
        gap = abs(stated.delta_of(account, token) - report.delta_of(account, token))
        assert gap * HALF_A_PERCENT <= largest_transfer(stated, token), token
