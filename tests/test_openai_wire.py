"""Every way in which an endpoint can answer, over a real socket: at worst the agent has no answer, and says so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from domain.plan import CandidateKind
from domain.run import AgentName
from graph.agent import AgentTask, ask_agent
from graph.agent_tools import ChooseCandidate, optimizer_toolbox
from graph.briefing import brief_candidate
from graph.budget import remaining_budget
from graph.models import make_model
from graph.recorder import Recorder
from prompts.load import load
from tests.fakes_agents import MemoryArtifacts, make_candidate, make_forecast, make_hold
from tests.openai_server import ADDRESS, Behaviour, OpenAIServer

KEY = "sk-test-0123456789"
CANDIDATES = (make_hold(), make_candidate(), make_candidate(CandidateKind.CAUTIOUS, lower_gain_usd=500.0))


class Visit:
    """One question of the optimizer to one server."""

    def __init__(self, server: OpenAIServer, *, timeout_seconds: float) -> None:
        self.artifacts = MemoryArtifacts()
        self.recorder = Recorder(self.artifacts)
        model = make_model("test-model", base_url=server.base_url, api_key=KEY, timeout_seconds=timeout_seconds)
        policy = {"horizon_days": 30, "min_net_gain_usd": 5.0, "max_break_even_days": 30.0}
        task = AgentTask(
            agent=AgentName.OPTIMIZER,
            template=load("optimizer"),
            facts={
                "portfolio": {"nav_usd": 1e6},
                "policy": policy,
                "strategies": {},
                "candidates": [brief_candidate(candidate) for candidate in CANDIDATES],
            },
        )
        self.answer = ask_agent(
            task,
            toolbox=optimizer_toolbox(CANDIDATES, [make_forecast()], {"nav_usd": 1e6}),
            model=model,
            budget=remaining_budget(AgentName.OPTIMIZER),
            recorder=self.recorder,
        )
        self.outcomes = [call.outcome for call in self.recorder.model_calls]


@contextmanager
def visited(*behaviours: Behaviour, timeout_seconds: float = 20.0) -> Iterator[tuple[OpenAIServer, Visit]]:
    with OpenAIServer(*behaviours) as server:
        yield server, Visit(server, timeout_seconds=timeout_seconds)


def test_good_endpoint_is_asked_once_and_chooses_what_the_offline_policy_would() -> None:
    with visited(Behaviour.GOOD) as (server, visit):
        assert isinstance(visit.answer, ChooseCandidate)
        assert (visit.answer.candidate_id, server.calls, visit.outcomes) == ("optimal", 1, ["ok"])


def test_request_demands_one_strict_tool_call_and_asks_for_usage() -> None:
    with visited(Behaviour.GOOD) as (server, _):
        sent = server.requests[0]

    assert sent["tool_choice"] == "required"
    assert sent["parallel_tool_calls"] is False
    assert sent["stream_options"] == {"include_usage": True}
    assert all(tool["function"]["strict"] for tool in sent["tools"])


def test_offered_schemas_are_closed_and_name_the_offered_candidates() -> None:
    with visited(Behaviour.GOOD) as (server, _):
        schemas = {tool["function"]["name"]: tool["function"]["parameters"] for tool in server.requests[0]["tools"]}

    chosen = schemas["choose_candidate"]
    assert chosen["properties"]["candidate_id"]["enum"] == ["hold", "optimal", "cautious"]
    assert all(schema["additionalProperties"] is False for schema in schemas.values())
    assert all(sorted(schema.get("required", [])) == sorted(schema["properties"]) for schema in schemas.values())


def test_recorded_tokens_cover_what_the_server_received() -> None:
    with visited(Behaviour.MALFORMED, Behaviour.GOOD) as (server, visit):
        assert sum(call.input_tokens for call in visit.recorder.model_calls) >= server.input_tokens > 0


@pytest.mark.parametrize(
    "behaviour",
    [
        Behaviour.MALFORMED,
        Behaviour.CUT_ARGUMENTS,
        Behaviour.DUPLICATE_KEYS,
        Behaviour.UNKNOWN_TOOL,
        Behaviour.WRONG_SCHEMA,
        Behaviour.UNKNOWN_CANDIDATE,
        Behaviour.EXTRA_ARGUMENTS,
        Behaviour.INJECTED_TEXT,
        Behaviour.TWO_CALLS,
    ],
)
def test_bad_answer_is_asked_again_once_and_a_good_one_then_counts(behaviour: Behaviour) -> None:
    with visited(behaviour, Behaviour.GOOD) as (server, visit):
        assert visit.outcomes == ["malformed", "ok"]
        assert visit.answer is not None
        assert server.calls == 2


@pytest.mark.parametrize("behaviour", [Behaviour.MALFORMED, Behaviour.UNKNOWN_CANDIDATE, Behaviour.EXTRA_ARGUMENTS])
def test_answer_that_is_bad_twice_counts_as_no_answer(behaviour: Behaviour) -> None:
    with visited(behaviour) as (server, visit):
        assert visit.answer is None
        assert (server.calls, visit.outcomes) == (2, ["malformed", "malformed"])


@pytest.mark.parametrize("behaviour", [Behaviour.INJECTED_TEXT, Behaviour.UNKNOWN_TOOL, Behaviour.EXTRA_ARGUMENTS])
def test_what_a_hostile_endpoint_wrote_is_never_sent_back(behaviour: Behaviour) -> None:
    with visited(behaviour) as (server, _):
        assert ADDRESS not in str(server.requests[1])


@pytest.mark.parametrize(
    "behaviour",
    [
        Behaviour.TRUNCATED,
        Behaviour.EMPTY,
        Behaviour.GARBAGE,
        Behaviour.FLOOD,
        Behaviour.SERVER_ERROR,
        Behaviour.RATE_LIMIT,
        Behaviour.UNAUTHORIZED,
    ],
)
def test_endpoint_that_fails_is_down_at_once_and_not_retried(behaviour: Behaviour) -> None:
    with visited(behaviour) as (server, visit):
        assert visit.answer is None
        assert (server.calls, visit.outcomes) == (1, ["unavailable"])


@pytest.mark.parametrize("behaviour", [Behaviour.SLOW, Behaviour.DRIP])
def test_endpoint_without_a_whole_answer_in_time_is_a_timeout(behaviour: Behaviour) -> None:
    with visited(behaviour, timeout_seconds=0.3) as (_, visit):
        assert (visit.answer, visit.outcomes) == (None, ["timeout"])


def test_nobody_listening_is_unavailable() -> None:
    with OpenAIServer() as server:
        pass

    visit = Visit(server, timeout_seconds=5.0)

    assert (visit.answer, visit.outcomes) == (None, ["unavailable"])


def test_key_that_the_endpoint_quotes_is_not_recorded() -> None:
    with visited(Behaviour.UNAUTHORIZED) as (_, visit):
        recorded = b"".join(visit.artifacts.contents.values())

    assert KEY.encode() not in recorded
    assert b"HTTP status 401" in recorded
