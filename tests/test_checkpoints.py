"""Checkpoints: what the graph carries comes back equal, and what is not ours or not valid does not come back."""

from __future__ import annotations

import logging
import os
from datetime import timedelta
from decimal import Decimal
from typing import Any, TypedDict, get_args, get_type_hints

import ormsgpack
import pytest
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.graph import END, START, StateGraph

from domain.errors import StoreUnavailable
from domain.plan import Candidate, CandidateKind, Weight
from domain.portfolio import Portfolio
from domain.run import (
    AgentDecision,
    AgentName,
    ModelCall,
    RiskEvent,
    RunRequest,
    RunStatus,
    ToolCall,
    Trigger,
    Workflow,
)
from domain.stages import AgentTrace, Judgement, Observation, Proposal, Settlement
from domain.transaction import BalanceDelta, LeftoverApproval, Receipt, SimulationReport
from domain.units import Value
from domain.verdict import Denial, Economics, Finding, Verdict
from memory.checkpoint_serializer import StrictSerializer, state_types
from memory.checkpoints import STRICT, open_checkpointer
from tests.builders import ACCOUNT, CHAIN_ID, NOW, address, make_portfolio, make_snapshot
from tests.builders_evidence import make_approval, make_estimate, make_plan, make_report

DIGEST = "d" * 64
TWENTY_ETHER = 20 * 10**18  # above 2^64, where msgpack's integers end
LARGEST = 2**256 - 1


def make_candidate(candidate_id: str = "optimal") -> Candidate:
    return Candidate(
        id=candidate_id,
        kind=CandidateKind.OPTIMAL,
        weights=(Weight(strategy="aave-weth", weight_bps=2500),),
        exits=("aave-dai",),
        expected_apr=0.1,
        lower_apr=0.07,
        turnover=0.3,
        cost_usd=1.5,
        gain_usd=100.0,
        lower_gain_usd=1e-17,
        break_even_days=None,
        binding=("max_strategy_share",),
    )


def make_simulation() -> SimulationReport:
    return SimulationReport(
        batch_digest=DIGEST,
        chain_id=CHAIN_ID,
        block_number=100,
        block_hash="0x" + "ab" * 32,
        simulated_at=NOW,
        succeeded=True,
        gas_used=500_000,
        deltas=(BalanceDelta(holder=ACCOUNT, token=address(0x104), amount=-TWENTY_ETHER),),
        leftover_approvals=(LeftoverApproval(token=address(0x101), spender=address(0x51), amount=LARGEST),),
    )


def make_receipt() -> Receipt:
    return Receipt(
        batch_digest=DIGEST,
        transaction_hash="0x" + "cd" * 32,
        chain_id=CHAIN_ID,
        block_number=101,
        block_hash="0x" + "ab" * 32,
        succeeded=True,
        gas_used=400_000,
        effective_gas_price_wei=TWENTY_ETHER,
        deltas=make_simulation().deltas,
        mined_at=NOW + timedelta(microseconds=1),
    )


def make_verdict() -> Verdict:
    row = {"code": "max-strategy-share", "subject": "aave-weth", "limit": "0.4", "observed": "0.41", "unit": "share"}
    finding = Finding(guard="exposure", **row, headroom="-0.01", passed=False)
    return Verdict(
        batch_digest=DIGEST,
        policy_digest=DIGEST,
        is_exit=False,
        findings=(finding,),
        denials=(Denial(**row),),
        needs_approval=True,
    )


DECISION = AgentDecision(agent=AgentName.RISK, choice="optimal", excluded=("aave-dai",), reason="ünïcode", model="m")
MODEL_CALL = ModelCall(
    agent=AgentName.RISK,
    model="m",
    template_digest=DIGEST,
    prompt_digest=DIGEST,
    reply_digest=DIGEST,
    input_tokens=1000,
    output_tokens=10,
    latency_seconds=0.125,
    outcome="ok",
)
TOOL_CALL = ToolCall(agent=AgentName.RISK, tool="stress", risk_class="read", arguments="{}", result_digest=DIGEST)
TRACE = AgentTrace(decision=DECISION, model_calls=(MODEL_CALL,), tool_calls=(TOOL_CALL,))
REQUEST = RunRequest(
    run_id="run-1", workflow=Workflow.OPTIMIZE, trigger=Trigger.CHAT, requested_by="alice", requested_at=NOW
)
EVENT = RiskEvent(kind="peg_break", subject="aave-usdx", observed="0.93", limit="0.99")
PLAN = make_plan()
OBSERVATION = Observation(
    snapshot_digest=DIGEST,
    history_digest=DIGEST,
    block_number=100,
    portfolio=make_portfolio(positions={"aave-weth": TWENTY_ETHER}),
    net_asset_value_usd=1e6,
    events=(EVENT,),
    input_digest=DIGEST,
    is_unchanged=False,
    workflow=Workflow.MITIGATE,
)
STATE_VALUES: tuple[Value, ...] = (
    REQUEST,
    make_snapshot(),
    make_snapshot(base_fee_wei=LARGEST),
    make_portfolio(positions={"aave-weth": TWENTY_ETHER}),
    make_candidate(),
    PLAN,
    make_simulation(),
    make_report(),
    make_estimate(0.05),
    make_verdict(),
    make_approval(PLAN),
    make_receipt(),
    DECISION,
    EVENT,
    MODEL_CALL,
    TOOL_CALL,
    TRACE,
    OBSERVATION,
    Proposal(plan=PLAN, economics=Economics(lower_gain_usd=1.0, cost_usd=None, break_even_days=0.1), trace=TRACE),
    Judgement(verdict=make_verdict(), evidence_digest=DIGEST),
    Settlement(receipt=make_receipt(), judgement=Judgement(verdict=make_verdict(), evidence_digest=None)),
)


def through(value: object) -> Any:
    serializer = StrictSerializer()
    return serializer.loads_typed(serializer.dumps_typed(value))


@pytest.fixture
def saver(tmp_path):
    opened = open_checkpointer(tmp_path / "checkpoints.db")
    yield opened
    opened.conn.close()


@pytest.mark.parametrize("value", STATE_VALUES, ids=lambda value: type(value).__name__)
def test_a_state_value_comes_back_equal_and_in_the_same_types(value, caplog):
    with caplog.at_level(logging.DEBUG):
        returned = through(value)

    assert returned == value
    assert type(returned) is type(value)
    assert returned.model_dump_json() == value.model_dump_json()
    assert caplog.records == []


def test_types_inside_are_exact_and_not_only_equal():
    returned = through({"observation": OBSERVATION, "prices": make_snapshot().prices})

    assert type(returned["observation"].portfolio.positions) is tuple
    assert type(returned["observation"].portfolio.positions[0].amount) is int
    assert returned["observation"].portfolio.position_of("aave-weth") == TWENTY_ETHER
    assert returned["observation"].workflow is Workflow.MITIGATE
    assert type(returned["prices"][0].price_usd) is Decimal


def test_a_bare_tuple_of_values_comes_back_as_a_list_of_equal_values():
    candidates = (make_candidate("a"), make_candidate("b"))

    assert through(candidates) == list(candidates)


@pytest.mark.parametrize("member", [RunStatus.HELD, Workflow.MITIGATE, CandidateKind.EXIT])
def test_an_enumeration_comes_back_as_itself(member):
    assert through({"status": member})["status"] is member


def test_everything_that_the_graphs_state_names_may_come_back():
    from graph.state import State

    named = {part for hint in get_type_hints(State).values() for part in (*get_args(hint), hint)}
    carried = {part for part in named if isinstance(part, type) and issubclass(part, Value)}

    assert carried
    assert carried <= set(state_types().values())


def test_a_value_that_is_no_longer_valid_does_not_come_back_unchecked():
    spoiled = make_portfolio().model_copy(update={"native_wei": -5})

    with pytest.raises(StoreUnavailable, match=r"holds an invalid Portfolio \(1 fields\)"):
        through(spoiled)


class Stranger(Value):
    """Says that it lives in the domain, and does not."""

    amount: int


def test_a_type_that_the_state_does_not_carry_does_not_come_back(monkeypatch):
    monkeypatch.setattr(Stranger, "__module__", "domain.market")

    with pytest.raises(StoreUnavailable, match=r"holds domain\.market\.Stranger"):
        through(Stranger(amount=1))


def test_a_checkpoint_cannot_call_a_function(tmp_path):
    mark = tmp_path / "mark"
    constructor_with_positional_arguments = 1
    call = ormsgpack.packb(("os", "mkdir", (str(mark),)))
    evil = ormsgpack.packb(ormsgpack.Ext(constructor_with_positional_arguments, call))

    returned = StrictSerializer().loads_typed(("msgpack", evil))

    assert returned == [str(mark)]
    assert not mark.exists()


def test_a_pickle_is_never_loaded():
    with pytest.raises(NotImplementedError):
        StrictSerializer().loads_typed(("pickle", b"cos\nsystem\n(S'true'\ntR."))


class Counting(TypedDict, total=False):
    portfolio: Portfolio
    seen: int


def test_a_graph_resumes_a_20_ether_position_after_a_restart(tmp_path, caplog):
    path, config = tmp_path / "checkpoints.db", {"configurable": {"thread_id": "run-1"}}
    portfolio = make_portfolio(positions={"aave-weth": TWENTY_ETHER})
    builder = StateGraph(Counting)
    builder.add_node("observe", lambda _: {"portfolio": portfolio})
    builder.add_node("count", lambda state: {"seen": state["portfolio"].position_of("aave-weth") // 10**18})
    builder.add_edge(START, "observe")
    builder.add_edge("observe", "count")
    builder.add_edge("count", END)

    first = open_checkpointer(path)
    builder.compile(first, interrupt_before=["count"]).invoke({}, config, durability="sync")
    first.conn.close()
    second = open_checkpointer(path)
    resumed = builder.compile(second).invoke(None, config, durability="sync")
    second.conn.close()

    assert resumed == {"portfolio": portfolio, "seen": 20}
    assert caplog.records == []


def test_the_connection_waits_for_a_lock_and_does_not_sync_at_every_step(saver):
    values = [
        saver.conn.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous", "busy_timeout")
    ]

    assert values == ["wal", 1, 30_000]


def test_strictness_is_switched_on_for_langgraph_itself(saver):
    from langgraph.checkpoint.serde._msgpack import STRICT_MSGPACK_ENABLED

    assert os.environ[STRICT] == "true"
    assert STRICT_MSGPACK_ENABLED


def test_a_checkpoint_is_listed_for_its_own_thread_only(saver):
    config = {"configurable": {"thread_id": "run-1", "checkpoint_ns": ""}}

    saver.put(config, empty_checkpoint(), {"source": "input", "step": 0}, {})

    assert saver.get_tuple(config) is not None
    assert saver.get_tuple({"configurable": {"thread_id": "run-2"}}) is None


def test_a_corrupt_checkpoint_file_is_named_with_the_fix(tmp_path):
    path = tmp_path / "checkpoints.db"
    path.write_bytes(b"no database" * 500)

    with pytest.raises(StoreUnavailable, match=r"checkpoints\.db cannot be used: .*; delete it"):
        open_checkpointer(path)
