"""What one decision costs at a model endpoint: counted by the endpoint, on the real local chain."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import SecretStr

from app.initialize import initialize
from app.paper import PaperChain
from app.settings import Settings
from app.wiring import Application, new_request, open_application
from bench.figures import Figure
from chain.world import default_cache
from domain.errors import InvariantBroken
from domain.run import RunRecord, RunStatus, Trigger, Workflow
from tests.openai_server import BYTES_PER_TOKEN, OpenAIServer

MAX_CALLS: Final = 6
MAX_INPUT_TOKENS: Final = 10_000
SETTLING_RUNS: Final = 5


def decision_figures(home: Path) -> list[Figure]:
    """One whole decision, then runs until nothing is left to improve, then the same inputs once more."""
    settings = Settings(home=home, cache=default_cache(), model="counted", openai_api_key=SecretStr("bench"))
    initialize(settings, safe=None, new_safe=False, report=lambda _: None)
    try:
        with (
            OpenAIServer() as server,
            open_application(settings.model_copy(update={"openai_base_url": server.base_url})) as application,
        ):
            return _measure(application, server)
    finally:
        PaperChain.of(home).stop()


def _measure(application: Application, server: OpenAIServer) -> list[Figure]:
    record = _require(_run(application), RunStatus.EXECUTED)
    calls, tokens = server.calls, server.input_tokens
    for _ in range(SETTLING_RUNS):
        if _run(application).status is RunStatus.UNCHANGED:
            break
    before = server.calls
    _require(_run(application), RunStatus.UNCHANGED)
    count = len(application.dependencies.catalog.strategies)
    story = f"counted by a local server in the OpenAI format; {count} strategies, {record.status}"
    return [
        Figure("decision_model_calls", calls, "calls", MAX_CALLS, story),
        Figure("decision_input_tokens", tokens, "tokens", MAX_INPUT_TOKENS, f"{BYTES_PER_TOKEN} bytes a token"),
        Figure("unchanged_model_calls", server.calls - before, "calls", 0, "a run whose inputs equal the last one's"),
    ]


def _run(application: Application) -> RunRecord:
    request = new_request(application, Workflow.OPTIMIZE, trigger=Trigger.OPERATOR)
    application.conductor.start(request)
    record = application.dependencies.runs.record(request.run_id)
    if record is None:
        raise InvariantBroken(f"run {request.run_id} waits for a human, the benchmark's policy asks for none")
    return record


def _require(record: RunRecord, status: RunStatus) -> RunRecord:
    if record.status is not status:
        raise InvariantBroken(
            f"the benchmark needs a run that ends {status}, {record.request.run_id} is {record.status}"
        )
    return record
