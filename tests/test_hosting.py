"""The graph in another host's hands: it is found, takes plain JSON, and nobody writes a stage's key from outside."""

from __future__ import annotations

import importlib
import inspect
import json

import pytest

from domain.errors import ConfigurationInvalid, InvariantBroken
from domain.run import RunStatus
from domain.verdict import TradingState
from graph.workflow import build_graph
from tests.builders import NOW
from tests.fakes import Treasury
from tests.repository import ROOT

CONFIGURATION = ROOT / "langgraph.json"


@pytest.fixture
def treasury(tmp_path):
    treasury = Treasury(tmp_path)
    yield treasury
    treasury.close()


def as_json(treasury: Treasury, run_id: str = "run-1", **changes: object) -> dict[str, object]:
    return {"request": {**treasury.request(run_id).model_dump(mode="json"), **changes}}


def test_a_host_that_sends_json_gets_the_run_that_our_conductor_would_have_walked(treasury):
    final = build_graph(treasury.dependencies).invoke(as_json(treasury))

    record = treasury.runs.record("run-1")
    assert final["outcome"].status is record.status is RunStatus.EXECUTED
    assert record.request == treasury.request()
    assert len(treasury.market.receipts) == 1


def test_a_question_in_json_is_answered(treasury):
    final = build_graph(treasury.dependencies).invoke({**as_json(treasury), "question": "What is it worth?"})

    assert "net asset value" in final["answer"].text
    assert treasury.runs.request("run-1") is None


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"workflow": "withdraw"}, "request.workflow"),
        ({"requested_at": "2026-03-01T12:00:00"}, "request.requested_at"),
        ({"to": "0x00"}, "request.to"),
    ],
)
def test_a_request_that_does_not_parse_starts_nothing(treasury, changes, where):
    with pytest.raises(ConfigurationInvalid, match=where):
        build_graph(treasury.dependencies).invoke(as_json(treasury, **changes))

    assert treasury.runs.request("run-1") is None


def test_an_input_without_a_request_starts_nothing(treasury):
    with pytest.raises(ConfigurationInvalid, match="request"):
        build_graph(treasury.dependencies).invoke({"request": None})


def test_a_run_id_serves_one_request(treasury):
    graph = build_graph(treasury.dependencies)
    graph.invoke(as_json(treasury))

    with pytest.raises(InvariantBroken, match="run-1"):
        graph.invoke(as_json(treasury, requested_by="mallory"))


def test_what_a_caller_writes_into_a_stages_key_is_dropped(treasury):
    graph = build_graph(treasury.dependencies)
    executed = graph.invoke(as_json(treasury, "run-1"))
    forged = {key: executed[key] for key in ("proposal", "simulated", "judgement", "settlement", "outcome")}
    treasury.dependencies.trading_state.write(TradingState.HALTED, by="test", reason="test", at=NOW)

    final = graph.invoke({**as_json(treasury, "run-2"), **forged})

    assert final["outcome"].status is RunStatus.DENIED
    assert "settlement" not in final
    assert len(treasury.market.receipts) == 1


def test_configuration_names_a_factory_that_a_host_can_await():
    (named,) = json.loads(CONFIGURATION.read_text())["graphs"].values()
    module, _, attribute = named.partition(":")

    factory = getattr(importlib.import_module(module), attribute)

    assert inspect.iscoroutinefunction(factory)
    assert inspect.signature(factory).parameters == {}


def test_configuration_keeps_checkpoints_strict_and_tells_nobody():
    configuration = json.loads(CONFIGURATION.read_text())

    assert configuration["dependencies"] == ["."]
    assert configuration["env"] == {"LANGGRAPH_STRICT_MSGPACK": "true", "LANGSMITH_TRACING": "false"}


def test_configuration_is_valid_to_the_tool_that_reads_it():
    pytest.importorskip("langgraph_cli", reason="langgraph-cli is absent")
    from langgraph_cli.config import get_unknown_keys, validate_config_file

    raw = json.loads(CONFIGURATION.read_text())

    assert get_unknown_keys(raw) == []
    assert validate_config_file(CONFIGURATION)["graphs"] == raw["graphs"]
