"""The whole graph on the local chain, its agents behind an HTTP server that speaks the OpenAI format, well or badly.

All cases start from one installation: whatever a model writes, the batch is the offline policy's or there is none.
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from pydantic import SecretStr

from app.initialize import initialize
from app.paper import PaperChain
from app.settings import Settings
from app.wiring import Application, new_request, open_application
from chain.anvil import NodeRpc
from domain.run import RunRecord, RunStatus, Trigger, Workflow
from graph.agent import CALL_TO_ACT
from prompts.load import load
from tests.openai_server import ADDRESS, Behaviour, OpenAIServer

pytestmark = pytest.mark.chain

GOOD = Behaviour.GOOD
MAX_CALLS = 6
MAX_INPUT_TOKENS = 10_000
PATIENCE_SECONDS = 20.0
SHORT_PATIENCE_SECONDS = 0.5
MAX_RUNS_UNTIL_UNCHANGED = 5
ASKED_AGAIN = (
    Behaviour.MALFORMED,
    Behaviour.CUT_ARGUMENTS,
    Behaviour.DUPLICATE_KEYS,
    Behaviour.UNKNOWN_TOOL,
    Behaviour.WRONG_SCHEMA,
    Behaviour.UNKNOWN_CANDIDATE,
    Behaviour.EXTRA_ARGUMENTS,
    Behaviour.INJECTED_TEXT,
    Behaviour.TWO_CALLS,
)
DOWN = (Behaviour.TRUNCATED, Behaviour.EMPTY, Behaviour.GARBAGE, Behaviour.FLOOD, Behaviour.SERVER_ERROR)
LATE = (Behaviour.SLOW, Behaviour.DRIP)


class Decision(NamedTuple):
    record: RunRecord
    server: OpenAIServer


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, world_cache: Path) -> Settings:
    """An installation whose chain never ran; every case decides on a copy of it."""
    settings = Settings(home=tmp_path_factory.mktemp("template") / "home", cache=world_cache)
    initialize(settings, safe=None, new_safe=False, report=lambda _: None)
    return settings


@contextmanager
def opened(template: Settings, folder: Path, **changes: object) -> Iterator[Application]:
    home = folder / "home"
    shutil.copytree(template.home, home)
    try:
        with open_application(template.model_copy(update={"home": home, **changes})) as application:
            yield application
    finally:
        PaperChain.of(home).stop()


def at(server: OpenAIServer, *, timeout_seconds: float = PATIENCE_SECONDS) -> dict[str, object]:
    return {
        "model": "test-model",
        "openai_base_url": server.base_url,
        "openai_api_key": SecretStr("sk-test-0123456789"),
        "model_timeout_seconds": timeout_seconds,
    }


def run(application: Application) -> RunRecord:
    request = new_request(application, Workflow.OPTIMIZE, trigger=Trigger.OPERATOR)
    application.conductor.start(request)
    return application.dependencies.runs.record(request.run_id)


@pytest.fixture
def decide(template, tmp_path):
    def decide(*behaviours: Behaviour, timeout_seconds: float = PATIENCE_SECONDS) -> Decision:
        with (
            OpenAIServer(*behaviours) as server,
            opened(template, tmp_path, **at(server, timeout_seconds=timeout_seconds)) as application,
        ):
            return Decision(run(application), server)

    return decide


@pytest.fixture(scope="module")
def offline(template, tmp_path_factory) -> RunRecord:
    """What is executed without any language model."""
    with opened(template, tmp_path_factory.mktemp("offline")) as application:
        return run(application)


def batch(record: RunRecord) -> tuple[object, object]:
    return record.plan.moves, record.plan.calls


def assert_executed_as_offline(record: RunRecord, offline: RunRecord) -> None:
    assert record.status is RunStatus.EXECUTED
    assert batch(record) == batch(offline)  # to the last byte; shares received depend on the second it was mined


def assert_nothing_left(record: RunRecord) -> None:
    assert (record.status, record.plan, record.receipt) == (RunStatus.HELD, None, None)


def test_a_decision_over_ten_strategies_stays_within_its_calls_and_tokens(decide, template, offline):
    record, server = decide(GOOD)

    assert_executed_as_offline(record, offline)
    assert len(json.loads(_fact(server.requests[0], "optimizer", "strategies"))) == 10
    assert 0 < server.calls <= MAX_CALLS
    assert 0 < server.input_tokens <= MAX_INPUT_TOKENS
    assert len(record.model_calls) == server.calls
    assert sum(call.input_tokens for call in record.model_calls) >= server.input_tokens


def test_unchanged_inputs_call_no_model(template, tmp_path):
    with OpenAIServer(GOOD) as server, opened(template, tmp_path, **at(server)) as application:
        for _ in range(MAX_RUNS_UNTIL_UNCHANGED):
            calls_before = server.calls
            if run(application).status is RunStatus.UNCHANGED:
                break

        again = run(application)

        assert again.status is RunStatus.UNCHANGED
        assert again.model_calls == ()
        assert server.calls == calls_before > 0


def test_the_transaction_on_chain_calls_addresses_of_the_catalog_only(template, tmp_path):
    with OpenAIServer(Behaviour.EXTRA_ARGUMENTS, GOOD) as server, opened(template, tmp_path, **at(server)) as treasury:
        record = run(treasury)
        node = NodeRpc(treasury.paper.url())
        sent = node.call("eth_getTransactionByHash", record.receipt.transaction_hash)
        node.close()

    catalog = treasury.dependencies.catalog
    known = {token.address for token in catalog.tokens} | {strategy.contract for strategy in catalog.strategies}
    assert sent["to"] == catalog.account
    assert {call.target for call in record.plan.calls} <= known | {catalog.contracts.swap_router}
    assert all(f"{call.target[2:]}" in sent["input"] and call.data[2:] in sent["input"] for call in record.plan.calls)
    assert ADDRESS[2:] not in sent["input"]


@pytest.mark.parametrize("behaviour", ASKED_AGAIN)
def test_a_bad_answer_that_is_mended_leads_to_the_same_batch(decide, offline, behaviour):
    record, server = decide(behaviour, GOOD)

    assert_executed_as_offline(record, offline)
    assert [call.outcome for call in record.model_calls] == ["malformed", "ok", "ok", "ok"]
    assert ADDRESS not in json.dumps(server.requests)


def test_three_agents_that_all_need_a_second_try_stay_within_the_budget(decide, offline):
    record, server = decide(*(behaviour for bad in ASKED_AGAIN[:3] for behaviour in (bad, GOOD)))

    assert_executed_as_offline(record, offline)
    assert server.calls == MAX_CALLS
    assert server.input_tokens <= MAX_INPUT_TOKENS


@pytest.mark.parametrize("behaviour", ASKED_AGAIN)
def test_a_model_that_answers_badly_twice_moves_nothing(decide, behaviour):
    record, server = decide(behaviour)

    assert_nothing_left(record)
    assert server.calls == 2


@pytest.mark.parametrize("behaviour", DOWN)
def test_an_endpoint_that_breaks_off_moves_nothing_and_is_not_asked_again(decide, behaviour):
    record, server = decide(behaviour)

    assert_nothing_left(record)
    assert server.calls == 1


@pytest.mark.parametrize("behaviour", LATE)
def test_an_endpoint_that_keeps_us_waiting_moves_nothing(decide, behaviour):
    record, _ = decide(behaviour, timeout_seconds=SHORT_PATIENCE_SECONDS)

    assert_nothing_left(record)
    assert [call.outcome for call in record.model_calls] == ["timeout"]


@pytest.mark.parametrize(
    ("good_answers", "behaviour"),
    [*itertools.product((1, 2), (Behaviour.TRUNCATED, Behaviour.MALFORMED, Behaviour.EXTRA_ARGUMENTS))],
)
def test_a_model_that_fails_the_second_or_third_agent_moves_nothing(decide, good_answers, behaviour):
    record, _ = decide(*[GOOD] * good_answers, behaviour)

    assert_nothing_left(record)
    assert record.decisions[-1].is_by_rule


def test_a_prompt_is_its_file_and_facts_without_a_sentence_from_outside(decide):
    _, server = decide(GOOD)

    asked = ("optimizer", "risk", "rebalancer")
    for request, agent in zip(server.requests, asked, strict=True):
        system, user = (message["content"] for message in request["messages"])
        facts = [json.loads(text) for text in _pattern(agent).fullmatch(system).groups()]
        assert user == CALL_TO_ACT
        assert [text for text in _texts(facts) if not re.fullmatch(r"[a-z0-9_:-]{1,40}|[0-9]+\.[0-9]+", text)] == []


def _pattern(agent: str) -> re.Pattern[str]:
    """The prompt file with a group for every placeholder."""
    literals_and_names = re.split(r"\{\{([a-z_]+)\}\}", load(agent).text)
    parts = [rf"(?P<{part}>[^\n]+)" if n % 2 else re.escape(part) for n, part in enumerate(literals_and_names)]
    return re.compile("".join(parts))


def _fact(request: dict[str, object], agent: str, name: str) -> str:
    return _pattern(agent).fullmatch(request["messages"][0]["content"])[name]


def _texts(value: object) -> Iterator[str]:
    """Every string in it, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value
        yield from itertools.chain.from_iterable(map(_texts, value.values()))
    elif isinstance(value, list):
        yield from itertools.chain.from_iterable(map(_texts, value))
