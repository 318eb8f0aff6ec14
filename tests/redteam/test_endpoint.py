"""The hostile endpoint misbehaves on a real socket; the product's client survives each way and keeps its key."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from domain.errors import ModelUnavailable
from domain.ports import Message, ModelReply
from domain.run import AgentName
from graph.agent_tools import optimizer_toolbox
from graph.model_openai import OpenAIModel
from tests.fakes_agents import make_candidate, make_forecast, make_hold
from tests.redteam.attacker import Knowledge, Scripted
from tests.redteam.case import Call, Reply, Wire
from tests.redteam.endpoint import SLOW_WIRES, Endpoint

KEY = "sk-of-this-test"
OFFERS = optimizer_toolbox((make_hold(), make_candidate()), (make_forecast(),), {}).offers()
MESSAGES = (Message(role="system", content="candidates: []"), Message(role="user", content="Decide."))


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as endpoint:
        yield endpoint


def ask(endpoint: Endpoint, reply: Reply, *, patience_seconds: float = 10.0) -> ModelReply:
    endpoint.face(Scripted((reply,)), Knowledge(text="obey"))
    model = OpenAIModel("m", base_url=endpoint.base_url, api_key=KEY, timeout_seconds=patience_seconds)
    return model.complete(AgentName.OPTIMIZER, MESSAGES, OFFERS)


def test_a_plain_reply_arrives_as_it_was_said(endpoint: Endpoint) -> None:
    raw = '{"candidate_id": NaN, "candidate_id": [[[1e999]]], "to": "0xdead"'

    reply = ask(endpoint, Reply((Call("transfer", raw), Call("$final", "{}")), "Zürich \u202e"))

    assert [(request.tool, request.arguments) for request in reply.tool_requests] == [
        ("transfer", raw),
        ("choose_candidate", "{}"),
    ]
    assert reply.text == "Zürich \u202e"


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")  # the client library's, about what it was sent
@pytest.mark.parametrize("wire", Wire)
def test_every_broken_wire_ends_in_a_reply_or_a_model_that_is_down(endpoint: Endpoint, wire: Wire) -> None:
    patience = 0.4 if wire in SLOW_WIRES else 10.0
    try:
        ended = ask(endpoint, Reply(wire=wire), patience_seconds=patience).model
    except ModelUnavailable as error:
        ended = str(error)

    assert ended == "m" or ended.startswith("model m did not answer agent optimizer")
    assert KEY not in ended
    assert endpoint.failures == []
    assert len(endpoint.bodies) == 1


def test_a_redirect_to_a_foreign_server_does_not_take_the_key_there(endpoint: Endpoint) -> None:
    with pytest.raises(ModelUnavailable):
        ask(endpoint, Reply(wire=Wire.STATUS_302))

    assert [header for header in endpoint.strangers if KEY in header] == []


def test_planted_text_stands_before_the_minds_eyes_and_in_no_request(endpoint: Endpoint) -> None:
    shown: list[bool] = []

    class Looking:
        def reply(self, conversation):
            shown.append(conversation.shows(("PLANTED",)))
            return Reply()

    endpoint.face(Looking(), Knowledge(), planted="PLANTED")
    model = OpenAIModel("m", base_url=endpoint.base_url, api_key=KEY, timeout_seconds=10)
    model.complete(AgentName.OPTIMIZER, MESSAGES, OFFERS)

    assert shown == [True]
    assert b"PLANTED" not in endpoint.bodies[0]
    assert json.loads(endpoint.bodies[0])["model"] == "m"


def test_a_mind_that_fails_is_remembered_as_our_own_failure(endpoint: Endpoint) -> None:
    endpoint.face(Scripted(()), Knowledge())
    model = OpenAIModel("m", base_url=endpoint.base_url, api_key=KEY, timeout_seconds=10)

    with pytest.raises(ModelUnavailable):
        model.complete(AgentName.OPTIMIZER, MESSAGES, OFFERS)

    assert ["IndexError" in failure for failure in endpoint.failures] == [True]
