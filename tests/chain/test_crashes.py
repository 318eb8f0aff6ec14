"""kill -9 anywhere, then `autofi run --resume`: the money moves once, and the books say so."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from app.paper import PaperChain
from app.settings import Settings
from app.stores import Stores, open_stores
from chain.anvil import NodeRpc
from domain.market import MarketSnapshot
from domain.run import RunRecord, RunStatus
from domain.transaction import IntentStatus
from domain.units import value_usd
from domain.verdict import TradingState
from tests.processes import DEADLINE_SECONDS, Command, die_at
from tests.repository import ROOT

pytestmark = pytest.mark.chain

STAGES = ("observe", "optimizer", "risk", "rebalancer", "simulate", "guard", "execute", "record")
STEPS = (
    "after_plan",
    "after_assign_nonce",
    "after_sign_before_persist",
    "after_persist_before_broadcast",
    "after_broadcast_before_record",
    "after_receipt_before_persist",
)
RUN = "run-crash"


@pytest.fixture
def settings(home: Path, world_cache: Path) -> Settings:
    return Settings(home=home, cache=world_cache)


def nonce(settings: Settings) -> int:
    """Of the operator, who sends every transaction of the treasury."""
    chain = PaperChain.of(settings.home)
    rpc = NodeRpc(chain.start())
    count = rpc.call("eth_getTransactionCount", chain.manifest.catalog.operator, "latest")
    rpc.close()
    return int(count, 16)


def die(settings: Settings, point: str) -> None:
    assert die_at(point, run_id=RUN, settings=settings) == -signal.SIGKILL, f"the run went past {point}"


def resume(settings: Settings, *, times: int = 1) -> list[str]:
    """What that many processes printed that resumed the run at the same time."""
    commands = [Command("run", "--resume", RUN, AUTOFI_HOME=settings.home) for _ in range(times)]
    answers = [command.wait() for command in commands]
    assert [answer.exit_code for answer in answers] == [0] * times, answers
    return [answer.stdout for answer in answers]


def assert_one_effect(settings: Settings, *, nonce_before: int) -> None:
    with open_stores(settings=settings) as stores:
        record = stores.runs.record(RUN)
        assert record.status is RunStatus.EXECUTED
        assert stores.execution.find(record.batch_digest).status is IntentStatus.CONFIRMED
        assert list(stores.execution.open_intents()) == []
        assert [entry.subject for entry in stores.journal.entries(kind="run")] == [RUN]
        assert stores.journal.verify().is_verified
        budget = stores.budgets.state(at=record.finished_at)
        assert budget.is_intact
        assert budget.runs_hour_count == 1
        assert budget.gas_day_usd == gas_usd(record, stores)  # the receipt's, not the reservation
        assert stores.trading_state.read() is TradingState.ACTIVE
    assert nonce(settings) == nonce_before + 1


def gas_usd(record: RunRecord, stores: Stores) -> Decimal:
    snapshot = MarketSnapshot.model_validate_json(stores.artifacts.get(record.snapshot_digest))
    return value_usd(record.receipt.gas_cost_wei, decimals=18, price_usd=snapshot.price_usd("weth"))


@pytest.mark.parametrize("point", [*STAGES, *STEPS])
def test_a_run_killed_anywhere_has_one_effect_when_resumed(settings, point):
    before = nonce(settings)

    die(settings, point)
    survivor = PaperChain.of(settings.home).url()
    (output,) = resume(settings)

    assert survivor is not None
    assert f"EXECUTED {RUN}" in output
    assert_one_effect(settings, nonce_before=before)


@pytest.mark.parametrize("point", ["guard", "after_plan", "after_persist_before_broadcast", "execute"])
def test_two_processes_that_resume_at_once_have_one_effect(settings, point):
    before = nonce(settings)

    die(settings, point)
    outputs = resume(settings, times=2)

    assert all(f"EXECUTED {RUN}" in output for output in outputs)
    assert_one_effect(settings, nonce_before=before)


def test_a_run_killed_while_the_chain_is_stopped_resumes_on_the_same_chain(settings):
    before = nonce(settings)

    die(settings, "after_broadcast_before_record")
    PaperChain.of(settings.home).stop()
    resume(settings)

    assert_one_effect(settings, nonce_before=before)


def test_the_installed_command_resumes_what_another_process_left(settings):
    before = nonce(settings)
    die(settings, "after_sign_before_persist")

    resumed = subprocess.run(
        [sys.executable, "-m", "app", "run", "--resume", RUN, "--home", str(settings.home)],
        cwd=ROOT,
        env={**os.environ, "AUTOFI_CACHE": str(settings.cache)},
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )

    assert (resumed.returncode, f"EXECUTED {RUN}" in resumed.stdout) == (0, True), resumed.stderr
    assert_one_effect(settings, nonce_before=before)
