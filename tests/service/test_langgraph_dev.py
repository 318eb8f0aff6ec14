"""`langgraph dev` serves our graph over plain HTTP: requests arrive as JSON, and runs land in our own books."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.initialize import initialize
from app.paper import PaperChain
from app.settings import Settings, load_settings
from app.stores import open_stores
from app.verification import verify_journal
from chain.anvil import claim_port
from chain.world import default_cache
from domain.run import RunStatus
from tests.repository import ROOT
from tests.services import require_service

pytestmark = pytest.mark.service

CONFIGURATION = ROOT / "langgraph.json"
BOOT_SECONDS = 120.0
RUN_SECONDS = 60.0
REQUEST = {
    "workflow": "optimize",
    "trigger": "operator",
    "requested_by": "studio",
    "requested_at": "2026-03-01T12:00:00Z",
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    home = tmp_path_factory.mktemp("hosted") / "home"
    settings = Settings(home=home, cache=default_cache())
    initialize(settings, safe=None, new_safe=False, report=lambda _: None)
    yield home
    PaperChain.of(home).stop()


@pytest.fixture(scope="module")
def client(home: Path) -> Iterator[httpx.Client]:
    installed = all(importlib.util.find_spec(name) for name in ("langgraph_cli", "langgraph_api"))
    require_service("langgraph dev (langgraph-cli[inmem])", available=installed)
    port = claim_port(None)
    log = home.with_name("server.log")
    process = serve(home, port, log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=RUN_SECONDS, trust_env=False) as client:
            await_ok(client, process, log)
            yield client
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def serve(home: Path, port: int, log: Path) -> subprocess.Popen[bytes]:
    """In a folder of its own: the server leaves its threads behind in the one where it starts."""
    options = ["--config", str(CONFIGURATION), "--no-browser", "--no-reload", "--port", str(port)]
    environment = {
        **os.environ,
        "AUTOFI_HOME": str(home),
        "LANGGRAPH_CLI_NO_ANALYTICS": "1",
        "PYTHONPATH": str(ROOT),
    }
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "langgraph_cli", "dev", *options],
            cwd=home.parent,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def await_ok(client: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + BOOT_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if client.get("/ok").status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    pytest.fail(f"langgraph dev does not answer: {log.read_text(errors='replace')[-3000:]}")


def run(client: httpx.Client, document: dict[str, object]) -> dict[str, object]:
    """The final state of one run on a thread of its own."""
    assistant = client.post("/assistants", json={"graph_id": "autofi"}).json()["assistant_id"]
    thread = client.post("/threads", json={}).json()["thread_id"]
    answer = client.post(f"/threads/{thread}/runs/wait", json={"assistant_id": assistant, "input": document})
    answer.raise_for_status()
    return answer.json()


def test_a_request_in_json_is_decided_executed_and_recorded(client, home):
    final = run(client, {"request": {"run_id": "run-http", **REQUEST}})

    with open_stores(home=home) as stores:
        record = stores.runs.record("run-http")
    assert final["outcome"]["status"] == "executed"
    assert record.status is RunStatus.EXECUTED
    assert record.receipt.succeeded
    assert record.request.requested_by == "studio"
    assert verify_journal(load_settings(home=home)).is_verified


def test_a_question_is_answered_and_starts_nothing(client, home):
    final = run(client, {"request": {"run_id": "run-asked", **REQUEST}, "question": "What is the portfolio worth?"})

    with open_stores(home=home) as stores:
        assert stores.runs.request("run-asked") is None
    assert "net asset value" in final["answer"]["text"]
    assert "outcome" not in final


def test_a_request_without_its_fields_starts_nothing(client, home):
    final = run(client, {"request": {"run_id": "run-bare"}})

    with open_stores(home=home) as stores:
        assert stores.runs.request("run-bare") is None
    assert final["__error__"]["error"] == "ConfigurationInvalid"
