"""Probe case 11 on a real chain: nodes that lie and lag, reorgs, and prices that move at the worst moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode

from app.approvals import answer_approval
from app.policy_edit import replace_limit
from app.settings import POLICY_FILE, Settings
from chain.client import decode_reads
from domain import abi
from domain.run import RunRecord, RunStatus
from domain.verdict import TradingState
from tests.builders_evidence import codes
from tests.chain.lying_node import Question, honest
from tests.chain.stand import Stand, open_stand
from tests.redteam.case import Poison, WorldChange

pytestmark = pytest.mark.chain

BEFORE_BROADCAST = (
    "after_plan",
    "after_assign_nonce",
    "after_sign_before_persist",
    "after_persist_before_broadcast",
)


@pytest.fixture
def stand(home: Path, world_cache: Path) -> Iterator[Stand]:
    with open_stand(Settings(home=home, cache=world_cache)) as stand:
        yield stand


def assert_nothing_left(stand: Stand, run_id: str, *, nonce: int) -> RunRecord:
    record = stand.record(run_id)
    assert (record.receipt, stand.nonce()) == (None, nonce)
    return record


def assert_one_effect(stand: Stand, run_id: str, *, nonce: int) -> None:
    receipt = stand.record(run_id).receipt
    assert receipt is not None
    assert stand.is_mined(receipt.transaction_hash)
    assert stand.nonce() == nonce + 1
    assert stand.intents() == []


def test_probe_11_through_an_honest_node_the_run_executes(stand: Stand) -> None:
    """The other cases would prove nothing without this one."""
    nonce = stand.nonce()

    status, run_id = stand.run()

    assert status is RunStatus.EXECUTED
    assert_one_effect(stand, run_id, nonce=nonce)


def test_probe_11_a_node_of_another_chain_moves_nothing(stand: Stand) -> None:
    nonce = stand.nonce()
    stand.node.lie = lambda question, result: "0x1" if question["method"] == "eth_chainId" else result

    status, run_id = stand.run()

    record = assert_nothing_left(stand, run_id, nonce=nonce)
    assert status is RunStatus.HELD
    assert "is on chain 1, expected chain 31337" in record.summary


def test_probe_11_a_node_that_lags_an_hour_moves_nothing(stand: Stand) -> None:
    """Everything that it says was true once; only our own clock knows."""
    nonce, old = stand.nonce(), stand.rpc.call("eth_getBlockByNumber", "latest", False)
    stand.scenario.advance(3_600, blocks=20)
    stand.node.lie = lambda question, result: old if is_head(question) else result

    status, run_id = stand.run()

    record = assert_nothing_left(stand, run_id, nonce=nonce)
    assert status is RunStatus.DENIED
    assert record.verdict is not None
    assert "rate_stale" in codes(record.verdict.denials)


def is_head(question: Question) -> bool:
    return bool(question["method"] == "eth_getBlockByNumber" and question["params"][0] == "latest")


@pytest.mark.parametrize("factor", ["0.5", "1.02"])
def test_probe_11_a_node_that_lies_about_one_feed_is_contradicted_by_the_pools(stand: Stand, factor: str) -> None:
    nonce, feed = stand.nonce(), stand.catalog.token("weth").feed
    stand.node.lie = lambda question, result: with_feed(question, result, feed=feed, factor=Decimal(factor))

    status, run_id = stand.run()

    record = assert_nothing_left(stand, run_id, nonce=nonce)
    assert status is RunStatus.DENIED
    assert record.verdict is not None
    assert "price_disputed" in codes(record.verdict.denials)


def with_feed(question: Question, result: Any, *, feed: str, factor: Decimal) -> Any:
    """Multicall3's answer with the feed's price multiplied."""
    calls = question["params"][0].get("data", "0x") if question["method"] == "eth_call" else "0x"
    if not calls.startswith(abi.AGGREGATE_3.selector_hex):
        return result
    (asked,) = abi.AGGREGATE_3.decode_input(bytes.fromhex(calls[2:]))
    told = [
        (read.succeeded, scaled(read.data, factor) if is_price(ask, feed) else bytes.fromhex(read.data[2:]))
        for ask, read in zip(asked, decode_reads(result, expected=len(asked)), strict=True)  # type: ignore[arg-type, call-overload]
    ]
    return "0x" + encode(["(bool,bytes)[]"], [told]).hex()


def is_price(ask: Sequence[Any], feed: str) -> bool:
    return bool(ask[0] == feed and ask[2] == abi.LATEST_ROUND_DATA.selector)


def scaled(data: str, factor: Decimal) -> bytes:
    """The second word is the answer."""
    words = [data[2:][start : start + 64] for start in range(0, len(data) - 2, 64)]
    words[1] = f"{int(int(words[1], 16) * factor):064x}"
    return bytes.fromhex("".join(words))


def test_probe_11_a_node_that_hides_what_it_mined_gets_no_second_transaction(stand: Stand) -> None:
    """Neither a receipt nor the used nonce: nobody knows, and the same bytes are looked after."""
    nonce = stand.nonce()
    hidden = {"eth_getTransactionReceipt": None, "eth_getTransactionCount": hex(nonce)}
    stand.node.lie = lambda question, result: hidden.get(question["method"], result)

    status, run_id = stand.run()
    again = stand.conductor().resume(run_id)
    stand.node.lie = honest
    finally_ = stand.conductor().resume(run_id)

    assert (status, again, finally_) == (RunStatus.RUNNING, RunStatus.RUNNING, RunStatus.EXECUTED)
    assert_one_effect(stand, run_id, nonce=nonce)


def test_probe_11_a_node_that_contradicts_itself_halts_and_gets_no_second_transaction(stand: Stand) -> None:
    """The nonce is used, and the receipt is said to be missing: somebody else would have our key."""
    nonce = stand.nonce()
    stand.node.lie = lambda question, result: None if question["method"] == "eth_getTransactionReceipt" else result

    status, _ = stand.run()
    halted = stand.dependencies.trading_state.read()
    stand.dependencies.sender.reconcile()  # through the honest node, as the next start does

    assert (status, halted) == (RunStatus.FAILED, TradingState.HALTED)
    assert stand.nonce() == nonce + 1
    assert stand.intents() == []


@pytest.mark.parametrize("step", BEFORE_BROADCAST)
def test_probe_11_a_reorg_between_simulation_and_send_has_one_effect(stand: Stand, step: str) -> None:
    nonce = stand.nonce()
    stand.reorg_at(step)

    status, run_id = stand.run()

    assert status is RunStatus.EXECUTED
    assert_one_effect(stand, run_id, nonce=nonce)


def test_probe_11_a_transaction_that_a_reorg_dropped_is_the_same_transaction_again(stand: Stand) -> None:
    nonce = stand.nonce()
    stand.reorg_at("after_broadcast_before_record")

    status, run_id = stand.run()
    (intent,) = stand.intents()
    signed = intent.signed
    resumed = stand.conductor().resume(run_id)

    assert (status, resumed) == (RunStatus.RUNNING, RunStatus.EXECUTED)
    assert_one_effect(stand, run_id, nonce=nonce)
    receipt = stand.record(run_id).receipt
    assert (receipt and receipt.transaction_hash) == (signed and signed.transaction_hash)


def test_probe_11_with_confirmations_a_mined_transaction_that_a_reorg_drops_is_sent_again(stand: Stand) -> None:
    nonce = stand.nonce()
    stand.confirmations = 2

    def reorg_then_mine(_: float) -> None:
        stand.reorg()
        stand.wait = lambda _: None

    stand.wait = reorg_then_mine
    status, run_id = stand.run()
    stand.wait = lambda _: stand.rpc.call("evm_mine")
    resumed = stand.conductor().resume(run_id)

    assert (status, resumed) == (RunStatus.RUNNING, RunStatus.EXECUTED)
    assert_one_effect(stand, run_id, nonce=nonce)


def ask(stand: Stand) -> str:
    """A second run, which swaps and enters, and waits for a human; the digest that it asks about."""
    stand.run()
    policy = stand.application.settings.home / POLICY_FILE
    replace_limit(policy, "approval", "min_value_without_approval_usd", "1_000")
    stand.application.policy.follow_file()
    status, _ = stand.run()
    assert status is RunStatus.WAITING
    (approval,) = stand.dependencies.approvals.pending()
    return approval.batch_digest


def approve(stand: Stand, digest: str) -> RunRecord:
    answer_approval(stand.application, digest, approved=True, answered_by="alice")
    approval = stand.dependencies.approvals.find(digest)
    assert approval is not None
    stand.conductor().resume(approval.run_id)
    return stand.record(approval.run_id)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (WorldChange(Poison.POOL_PRICE, "usdx", "300"), "simulation_failed"),  # dearer than the minimum out
        (WorldChange(Poison.DEPEG, "usdx", "0.9"), "stable_deviation"),  # cheaper, because it is broken
        (WorldChange(Poison.PRICE, "usdx", "0.98"), "price_disputed"),
    ],
)
def test_probe_11_a_price_that_moves_between_approval_and_execution_denies(
    stand: Stand, change: WorldChange, code: str
) -> None:
    digest = ask(stand)
    nonce = stand.nonce()
    stand.market.poison(change)

    record = approve(stand, digest)

    assert (record.status, stand.nonce()) == (RunStatus.DENIED, nonce)
    assert record.verdict is not None
    assert code in codes(record.verdict.denials)


def test_probe_11_a_price_that_moves_within_the_minimum_outs_executes_what_was_approved(stand: Stand) -> None:
    digest = ask(stand)
    nonce = stand.nonce()
    stand.market.poison(WorldChange(Poison.POOL_PRICE, "usdx", "-5"))

    record = approve(stand, digest)

    assert (record.status, stand.nonce()) == (RunStatus.EXECUTED, nonce + 1)
    assert record.batch_digest == digest
