"""The walk of one observation: an APY is read on chain, and nine stages later it is a receipt in the audit trail.

Read this first. Every stage is the real one; only the chain behind the ports is a fake (tests/fakes.py).
docs/walk.md tells the same story in prose.
"""

from __future__ import annotations

import math

import pytest

from collectors.aave_reserves import RAY
from collectors.reader import ChainMarketReader
from domain import abi
from domain.market import MarketSnapshot
from domain.run import AgentName, RunStatus
from domain.units import to_tokens
from guards import GUARDS
from tests.builders import CONTRACTS, make_snapshot
from tests.fakes import CATALOG, Treasury
from tests.fakes_chain import FakeReads, FixedClock
from tests.test_collectors import Q96, balance, make_reads, reserve_question, set_pool

VAULT = "vault-limited-dai"
RESERVE = "aave-dai"
PERCENT_PAID = {"usdc": 3, "dai": 7, "usdx": 6, "weth": 3, "wbtc": 3}


@pytest.fixture
def treasury(tmp_path):
    treasury = Treasury(tmp_path)
    yield treasury
    treasury.close()


@pytest.fixture
def seeing_treasury(tmp_path):
    """Its market is what the real collector read."""
    treasury = Treasury(tmp_path, seen=collect())
    yield treasury
    treasury.close()


def test_a_collector_turns_a_contracts_answer_into_an_observation():
    reads: FakeReads = make_reads()  # the pool answers a liquidity rate of 0.03 ray

    snapshot = ChainMarketReader(reads, CATALOG, FixedClock()).snapshot()

    observation = snapshot.rate("aave-usdc")
    assert observation.supply_apr == pytest.approx(0.03)  # a fraction of one, annual, simple
    assert observation.supplied == 1_000 * 10**6  # base units: USDC has 6 decimals
    assert observation.block_number == snapshot.block_number


def test_one_observation_is_followed_from_the_contracts_answer_to_the_journal(seeing_treasury):
    treasury, reading = seeing_treasury, collect().rate(RESERVE)

    record = treasury.run()

    # A contract answered 0.07 ray; the collector made it a fraction of one, at a block.
    assert (reading.strategy, reading.supply_apr, reading.block_number) == (RESERVE, pytest.approx(0.07), 100)

    # The snapshot of the run holds this very reading, and no other pays more.
    snapshot = treasury.dependencies.snapshot(record.snapshot_digest)
    assert snapshot.rate(RESERVE) == reading
    assert max(snapshot.rates, key=lambda rate: rate.supply_apr) == reading

    # That is why the chosen candidate puts more there than anywhere else; holding would have put nothing.
    hold, chosen = (next(c for c in record.candidates if c.id == name) for name in ("hold", record.chosen))
    assert max(chosen.weights, key=lambda weight: weight.weight_bps).strategy == reading.strategy
    assert reading.strategy not in {weight.strategy for weight in hold.weights}
    assert hold.expected_apr < chosen.expected_apr < reading.supply_apr

    # Its weight became one move in base units, and the move one call to the pool that was read.
    (move,) = (move for move in record.plan.moves if move.strategy == reading.strategy)
    (call,) = (call for call in record.plan.calls if bytes.fromhex(call.data[2:10]) == abi.AAVE_SUPPLY.selector)
    _, amount, receiver, _ = abi.AAVE_SUPPLY.decode_input(bytes.fromhex(call.data[2:]))
    assert (call.target, amount, receiver) == (CONTRACTS.aave_pool, move.amount_in, CATALOG.account)

    # The guards judged those bytes, and wrote a row about the age of this reading.
    (row,) = (f for f in record.verdict.findings if (f.code, f.subject) == ("rate_stale", reading.strategy))
    assert (row.observed, row.passed) == ("0", True)
    assert record.verdict.batch_digest == record.plan.batch_digest()

    # The receipt is of the same batch: as many receipt tokens came in as the move sent.
    receipt_token = CATALOG.strategy(reading.strategy).receipt
    assert record.receipt.batch_digest == record.verdict.batch_digest
    assert (CATALOG.account, receipt_token, amount) in {(d.holder, d.token, d.amount) for d in record.receipt.deltas}

    # The journal keeps it all under one hash; whoever opens it finds the reading again.
    (entry,) = treasury.dependencies.journal.entries(kind="run")
    kept = treasury.runs.record(entry.subject)
    assert treasury.dependencies.snapshot(kept.snapshot_digest).rate(RESERVE) == reading
    assert treasury.dependencies.journal.verify().is_verified


def collect() -> MarketSnapshot:
    """What the real collector reads from contracts that answer for a market of a treasury's size."""
    reads = make_reads()
    for token in CATALOG.tokens:
        unit = 10**token.decimals
        rate = RAY * PERCENT_PAID[token.id] // 100
        amounts = (0, 0, 20_000_000 * unit, 0, 14_000_000 * unit, rate, 0, 0, 0, RAY, RAY, 0)
        reads.set(reserve_question(abi.AAVE_RESERVE_DATA, token.id), *amounts)
        reads.set(balance(token.address, CATALOG.strategy(f"aave-{token.id}").receipt), 6_000_000 * unit)
    set_pool(reads, "usdc-weth-500", math.isqrt(Q96**2 * 10**12 // 3_500))  # as the oracle says
    return ChainMarketReader(reads, CATALOG, FixedClock()).snapshot()


def test_observations_become_a_receipt_that_anyone_can_trace_back(treasury):
    stages = []

    record = treasury.run(on_stage=lambda stage, _: stages.append(stage))

    # Nouns ask a model, verbs do not. A run that needed a human would pass `approve` before `execute`.
    assert stages == ["observe", "optimizer", "risk", "rebalancer", "simulate", "guard", "execute", "record"]

    # observe: the snapshot is kept under its content's digest, and the run works on nothing else.
    seen = treasury.dependencies.snapshot(record.snapshot_digest)
    assert seen == make_snapshot(CATALOG)

    # optimizer: tools computed the candidates, the model named one of them by id.
    best_rate = max(seen.rates, key=lambda rate: rate.supply_apr)
    assert best_rate.strategy == VAULT
    chosen = next(candidate for candidate in record.candidates if candidate.id == record.chosen)
    assert VAULT in {weight.strategy for weight in chosen.weights}

    # risk: every number has its sample size; too little data would be a denial, not a zero.
    assert record.risk_before.tail(0.99).cvar.sample_size >= 60

    # rebalancer: weights became integers in one place, then calldata with exact approvals.
    deposit = next(move for move in record.plan.moves if move.strategy == VAULT)
    assert to_tokens(deposit.amount_in, 18) > 1_000
    assert record.plan.batch_digest() == record.batch_digest

    # simulate and guard: the exact bytes were run, decoded and judged by every family of guards.
    assert record.simulation.batch_digest == record.batch_digest
    assert {finding.guard for finding in record.verdict.findings} == {"soundness", *GUARDS}
    assert record.verdict.is_pass

    # execute: one transaction; the chain's own logs say what moved.
    assert record.receipt.succeeded
    vault = CATALOG.strategy(VAULT).receipt
    received = sum(d.amount for d in record.receipt.deltas if (d.holder, d.token) == (CATALOG.account, vault))
    assert received == deposit.amount_in

    # record: the whole run is one link of a hash chain.
    assert record.status is RunStatus.EXECUTED
    assert treasury.dependencies.journal.verify().is_verified


def test_three_agents_chose_and_explained_but_wrote_no_number_that_was_executed(treasury):
    record = treasury.run()

    assert [decision.agent for decision in record.decisions] == [
        AgentName.OPTIMIZER,
        AgentName.RISK,
        AgentName.REBALANCER,
    ]
    assert {call.target for call in record.plan.calls} <= {
        *(token.address for token in CATALOG.tokens),
        *(strategy.contract for strategy in CATALOG.strategies),
        CONTRACTS.swap_router,
    }


def test_the_next_run_finds_nothing_worth_moving_and_the_one_after_nothing_changed(treasury):
    treasury.run("run-1")
    while (second := treasury.run(f"run-{treasury.market.time:%H%M}")).status is RunStatus.EXECUTED:
        treasury.later(minutes=1)

    third = treasury.run("run-3")

    assert second.status is RunStatus.HELD
    assert third.status is RunStatus.UNCHANGED
    assert third.model_calls == ()
