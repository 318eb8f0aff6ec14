"""Simulate, sign and settle on the local chain: what was simulated is what is mined, and it is mined once."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from eth_account import Account

from chain.client import BroadcastOutcome, ChainClient
from chain.sender import JournalSender
from chain.signer import LocalSigner
from chain.simulator import BatchSimulator
from chain.world import World
from collectors.portfolio import AccountReads
from domain import abi
from domain.errors import ExecutionFailed, SimulationFailed
from domain.market import Catalog
from domain.plan import RebalancePlan
from domain.ports import Simulation
from domain.transaction import FeeQuote, IntentStatus, LeftoverApproval, UnsignedCall
from domain.units import UINT256_MAX
from memory.database import open_database
from memory.execution_journal import SqlExecutionJournal
from tests.builders import address
from tests.chain.market import Market
from tests.fakes_chain import FixedClock
from tests.test_signer import make_certificate

pytestmark = pytest.mark.chain

# account 1 of anvil's public test mnemonic, the operator of the local chain
OPERATOR_KEY = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"
NO_ADDRESS = "0x" + "00" * 20
DELEGATECALL = 1
USDC = 10**6
STEPS = (
    "after_plan",
    "after_assign_nonce",
    "after_sign_before_persist",
    "after_persist_before_broadcast",
    "after_broadcast_before_record",
    "after_receipt_before_persist",
)


class Execution:
    """The acting half of the product, wired by hand around one world."""

    def __init__(self, rpc_url: str, catalog: Catalog, database_url: str) -> None:
        self.catalog = catalog
        self.client = ChainClient(
            rpc_url, chain_id=catalog.chain_id, multicall=catalog.contracts.multicall, sleep=lambda _: None
        )
        self.clock = FixedClock(self.client.header().time)
        self.simulator = BatchSimulator(self.client, catalog, AccountReads(catalog))
        self.database = open_database(database_url)
        self.journal = SqlExecutionJournal(self.database)

    def sender(self, *, kill_at: str | None = None) -> JournalSender:
        def on_step(step: str) -> None:
            if step == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

        signer = LocalSigner.from_key(OPERATOR_KEY, chain_id=self.catalog.chain_id)
        quote = self.simulator.quote_fees
        return JournalSender(self.journal, self.client, signer, quote, self.clock, wait=lambda _: None, on_step=on_step)

    def settle(self, plan: RebalancePlan, *, kill_at: str | None = None):
        return self.sender(kill_at=kill_at).settle(plan, make_certificate(plan))

    def token(self, token_id: str) -> str:
        return self.catalog.token(token_id).address

    def make_plan(self, calls: Sequence[UnsignedCall], **changes: object) -> RebalancePlan:
        fields: dict[str, object] = {
            "run_id": "run-1",
            "chain_id": self.catalog.chain_id,
            "account": self.catalog.account,
            "candidate": "optimal",
            "moves": (),
            "calls": tuple(calls),
            "envelope": self.wrap(calls),
            "minimum_outs": (),
            "fee_cap_wei": 10**17,
            "policy_digest": "1" * 64,
            "snapshot_digest": "2" * 64,
            "expires_at": self.clock.now() + timedelta(minutes=30),
        }
        return RebalancePlan.model_validate({**fields, **changes})

    def wrap(self, calls: Sequence[UnsignedCall]) -> UnsignedCall:
        """Safe.execTransaction around MultiSendCallOnly, by hand, from the contracts' documentation."""
        packed = b"".join(
            b"\0" + bytes.fromhex(call.target[2:]) + bytes(32) + len(data).to_bytes(32, "big") + data
            for call in calls
            for data in [bytes.fromhex(call.data[2:])]
        )
        inner = bytes.fromhex(abi.MULTISEND.encode(packed)[2:])
        signature = bytes.fromhex(self.catalog.operator[2:].zfill(64)) + bytes(32) + b"\x01"
        data = abi.SAFE_EXEC_TRANSACTION.encode(
            self.catalog.contracts.multisend_call_only,
            *(0, inner, DELEGATECALL, 0, 0, 0, NO_ADDRESS, NO_ADDRESS, signature),
        )
        return UnsignedCall(target=self.catalog.account, data=data)

    def approve(self, token_id: str, spender: str, amount: int) -> UnsignedCall:
        return UnsignedCall(target=self.token(token_id), data=abi.APPROVE.encode(spender, amount))

    def supply(self, token_id: str, amount: int) -> list[UnsignedCall]:
        pool = self.catalog.contracts.aave_pool
        data = abi.AAVE_SUPPLY.encode(self.token(token_id), amount, self.catalog.account, 0)
        return [self.approve(token_id, pool, amount), UnsignedCall(target=pool, data=data)]

    def withdraw_all(self, token_id: str) -> UnsignedCall:
        data = abi.AAVE_WITHDRAW.encode(self.token(token_id), UINT256_MAX, self.catalog.account)
        return UnsignedCall(target=self.catalog.contracts.aave_pool, data=data)

    def deposit(self, strategy_id: str, amount: int) -> list[UnsignedCall]:
        strategy = self.catalog.strategy(strategy_id)
        data = abi.VAULT_DEPOSIT.encode(amount, self.catalog.account)
        approval = self.approve(strategy.token, strategy.contract, amount)
        return [approval, UnsignedCall(target=strategy.contract, data=data)]

    def swap(self, amount: int, *, minimum_out: int) -> list[UnsignedCall]:
        router = self.catalog.contracts.swap_router
        order = (self.token("usdc"), self.token("dai"), 100, self.catalog.account, amount, minimum_out, 0)
        data = abi.SWAP_EXACT_INPUT_SINGLE.encode(order)
        return [self.approve("usdc", router, amount), UnsignedCall(target=router, data=data)]

    def rebalance(self) -> RebalancePlan:
        """Leaves Aave's WETH, supplies USDC, enters a vault and swaps: every kind of move in one batch."""
        return self.make_plan(
            [
                self.withdraw_all("weth"),
                *self.supply("usdc", 100_000 * USDC),
                *self.deposit("vault-slashable-usdc", 50_000 * USDC),
                *self.swap(20_000 * USDC, minimum_out=19_900 * 10**18),
            ]
        )


@pytest.fixture
def execution(world: World, tmp_path: Path) -> Iterator[Execution]:
    running = Execution(world.rpc_url, world.catalog, f"sqlite:///{tmp_path / 'autofi.db'}")
    yield running
    running.database.close()


def delta_of(simulation: Simulation, holder: str, token: str) -> int:
    return simulation.report.delta_of(holder, token)


def test_a_simulated_batch_leaves_no_trace(world, execution):
    before = execution.client.header()

    simulation = execution.simulator.simulate(execution.rebalance())

    assert simulation.report.succeeded
    assert (simulation.report.block_number, simulation.report.block_hash) == (before.number, before.hash)
    assert execution.client.header() == before


def test_simulated_transfers_and_gas_are_the_mined_ones(world, execution):
    plan = execution.rebalance()
    simulation = execution.simulator.simulate(plan)
    world.node.rpc.call("evm_setNextBlockTimestamp", int(simulation.report.simulated_at.timestamp()) + 12)

    receipt = execution.settle(plan)

    assert receipt.deltas == simulation.report.deltas
    assert receipt.gas_used == simulation.report.gas_used
    assert receipt.block_number == simulation.report.block_number + 1


def test_the_portfolio_after_is_read_from_the_simulated_state(world, execution):
    plan = execution.rebalance()

    after = execution.simulator.simulate(plan).after

    world.node.rpc.call("evm_setNextBlockTimestamp", int(after.taken_at.timestamp()) + 12)
    execution.settle(plan)
    reads = AccountReads(world.catalog)
    head = execution.client.header()
    results = execution.client.read_many(reads.calls(), block_number=head.number)
    mined = reads.decode(results, header=head, native_wei=after.native_wei)
    assert (mined.cash, mined.positions) == (after.cash, after.positions)


def test_the_simulation_shows_what_the_other_side_received(execution):
    report = execution.simulator.simulate(execution.rebalance()).report

    account, usdc = execution.catalog.account, execution.token("usdc")
    pool = next(venue.pool for venue in execution.catalog.venues if venue.id == "usdc-dai-100")
    assert report.delta_of(account, usdc) == -170_000 * USDC
    assert report.delta_of(pool, usdc) == 20_000 * USDC
    assert report.delta_of(account, execution.token("weth")) >= 20 * 10**18


def test_a_spent_approval_is_not_left_over(execution):
    report = execution.simulator.simulate(execution.rebalance()).report

    assert report.leftover_approvals == ()


def test_an_approval_that_stays_open_is_reported_with_its_rest(execution):
    spender = address(0xBAD)
    plan = execution.make_plan([execution.approve("usdc", spender, 5)])

    report = execution.simulator.simulate(plan).report

    expected = LeftoverApproval(token=execution.token("usdc"), spender=spender, amount=5)
    assert report.leftover_approvals == (expected,)


def test_an_approval_that_the_plan_does_not_name_is_found_by_its_event(execution):
    spender = address(0xBAD)
    hidden = execution.wrap([execution.approve("usdc", spender, UINT256_MAX)])
    plan = execution.make_plan([], envelope=hidden)

    (leftover,) = execution.simulator.simulate(plan).report.leftover_approvals

    assert (leftover.spender, leftover.amount) == (spender, UINT256_MAX)


def test_money_sent_to_a_stranger_shows_in_the_simulation(execution):
    transfer = abi.TRANSFER.encode(address(0xBAD), 7 * USDC)
    plan = execution.make_plan([UnsignedCall(target=execution.token("usdc"), data=transfer)])

    simulation = execution.simulator.simulate(plan)

    assert delta_of(simulation, address(0xBAD), execution.token("usdc")) == 7 * USDC


def test_a_batch_that_reverts_says_why_and_moves_nothing(execution):
    plan = execution.make_plan(execution.swap(20_000 * USDC, minimum_out=20_000 * 10**18))

    simulation = execution.simulator.simulate(plan)

    assert not simulation.report.succeeded
    assert simulation.report.failure is not None
    assert simulation.report.failure.startswith("reverted")
    assert simulation.report.deltas == ()
    assert simulation.after.cash_of("usdc") == 700_000 * USDC


def test_one_failing_call_undoes_the_whole_batch(execution):
    too_much = execution.supply("dai", 10**30)
    plan = execution.make_plan([*execution.supply("usdc", USDC), *too_much])

    simulation = execution.simulator.simulate(plan)

    assert not simulation.report.succeeded
    assert simulation.after.position_of("aave-usdc") == 0


def test_fees_cover_the_batch_with_a_margin(execution):
    plan = execution.rebalance()
    gas_used = execution.simulator.simulate(plan).report.gas_used

    fees = execution.simulator.quote_fees(plan)

    head = execution.client.header()
    assert fees.gas_limit == -(-gas_used * 3 // 2)
    assert fees.max_fee_per_gas_wei == 2 * head.base_fee_wei + fees.max_priority_fee_per_gas_wei


@pytest.mark.parametrize(("cap_tenths", "limit_tenths"), [(20, 15), (14, 14), (10, 13)])
def test_the_gas_limit_shrinks_to_the_plan_s_cap_but_never_below_what_is_needed(execution, cap_tenths, limit_tenths):
    plan = execution.rebalance()
    gas_used = execution.simulator.simulate(plan).report.gas_used
    price_wei = execution.simulator.quote_fees(plan).max_fee_per_gas_wei
    capped = plan.model_copy(update={"fee_cap_wei": gas_used * cap_tenths // 10 * price_wei})

    fees = execution.simulator.quote_fees(capped)

    assert fees.gas_limit == pytest.approx(gas_used * limit_tenths / 10, abs=1)


def test_a_reverting_batch_has_no_fees(execution):
    plan = execution.make_plan(execution.supply("dai", 10**30))

    with pytest.raises(SimulationFailed, match=plan.batch_digest()):
        execution.simulator.quote_fees(plan)


def test_settling_twice_has_one_effect(world, execution):
    plan = execution.make_plan(execution.supply("usdc", 100_000 * USDC))
    before = Market(world).balance("usdc", world.catalog.account)
    nonce = execution.client.nonce(world.catalog.operator)

    first = execution.settle(plan)
    second = execution.settle(plan)

    assert first == second
    assert Market(world).balance("usdc", world.catalog.account) == before - 100_000 * USDC
    assert execution.client.nonce(world.catalog.operator) == nonce + 1


def test_two_batches_follow_each_other(world, execution):
    supply = execution.make_plan(execution.supply("usdc", 100_000 * USDC))
    execution.settle(supply)

    receipt = execution.settle(execution.make_plan([execution.withdraw_all("usdc")], run_id="run-2"))

    assert receipt.succeeded
    assert Market(world).balance("usdc", world.catalog.account) >= 700_000 * USDC


def test_a_batch_that_the_market_overtook_reverts_and_says_so(world, execution):
    plan = execution.make_plan(execution.supply("usdc", 700_000 * USDC))
    fees = FeeQuote(gas_limit=600_000, max_fee_per_gas_wei=10**11, max_priority_fee_per_gas_wei=10**9)
    execution.settle(execution.make_plan(execution.supply("usdc", USDC), run_id="run-2"))
    execution.simulator.quote_fees = lambda _: fees

    with pytest.raises(ExecutionFailed, match="reverted in block"):
        execution.settle(plan)

    assert execution.journal.find(plan.batch_digest()).status is IntentStatus.REVERTED


def test_a_dropped_transaction_is_sent_again_and_mined_once(world, execution):
    plan = execution.make_plan(execution.supply("usdc", 100_000 * USDC))
    world.node.rpc.call("evm_setAutomine", False)
    sender = execution.sender()
    waited: list[float] = []

    def drop_then_mine(seconds: float) -> None:
        waited.append(seconds)
        digest = execution.journal.find(plan.batch_digest()).signed.transaction_hash
        if len(waited) == 1:
            world.node.rpc.call("anvil_dropTransaction", digest)
            sender.reconcile()
            world.node.rpc.call("evm_mine")

    sender._wait = drop_then_mine

    receipt = sender.settle(plan, make_certificate(plan))

    assert receipt.succeeded
    assert waited == [1.0]


def test_the_node_tells_known_and_used_bytes_apart(world, execution):
    client, catalog = execution.client, world.catalog
    world.node.rpc.call("evm_setAutomine", False)
    raw = _signed_by_operator(execution, nonce=client.nonce(catalog.operator))

    first, again = client.send_raw(raw), client.send_raw(raw)
    world.node.rpc.call("evm_mine")
    late = client.send_raw(raw)

    outcomes = (first.outcome, again.outcome, late.outcome)
    assert outcomes == (BroadcastOutcome.ACCEPTED, BroadcastOutcome.ALREADY_KNOWN, BroadcastOutcome.NONCE_USED)


def _signed_by_operator(execution: Execution, *, nonce: int) -> str:
    transaction = {
        "chainId": execution.catalog.chain_id,
        "nonce": nonce,
        "to": NO_ADDRESS,
        "value": 0,
        "gas": 21_000,
        "maxFeePerGas": 10**11,
        "maxPriorityFeePerGas": 10**9,
    }
    return "0x" + bytes(Account.sign_transaction(transaction, OPERATOR_KEY).raw_transaction).hex()


def _settle_and_die(rpc_url: str, catalog_json: str, plan_json: str, database_url: str, step: str) -> None:
    execution = Execution(rpc_url, Catalog.model_validate_json(catalog_json), database_url)
    execution.settle(RebalancePlan.model_validate_json(plan_json), kill_at=step)


@pytest.mark.parametrize("step", STEPS)
def test_a_killed_process_leaves_a_batch_that_settles_once(world, execution, tmp_path, step):
    plan = execution.make_plan(execution.supply("usdc", 100_000 * USDC))
    nonce = execution.client.nonce(world.catalog.operator)
    arguments = (world.rpc_url, world.catalog.model_dump_json(), plan.model_dump_json())
    process = multiprocessing.get_context("spawn").Process(
        target=_settle_and_die, args=(*arguments, f"sqlite:///{tmp_path / 'autofi.db'}", step)
    )
    process.start()
    process.join(timeout=60)

    receipt = execution.settle(plan)

    assert process.exitcode == -signal.SIGKILL
    assert receipt.succeeded
    assert execution.client.nonce(world.catalog.operator) == nonce + 1
    assert Market(world).balance("usdc", world.catalog.account) == 600_000 * USDC
