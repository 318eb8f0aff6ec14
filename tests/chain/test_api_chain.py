"""`autofi serve` as its own process over a fresh paper home: real HTTP, real stream, real chain."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from app.doctor import examine
from app.initialize import initialize
from app.paper import PaperChain
from app.settings import Settings, load_catalog
from app.stores import open_stores
from chain.anvil import NodeRpc
from chain.scenario import Scenario
from domain.market import Catalog
from tests.builders import NOW
from tests.repository import ROOT

pytestmark = pytest.mark.chain

BOOT_SECONDS = 60.0
HTTP_SECONDS = 60.0


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, world_cache: Path) -> Iterator[Settings]:
    settings = Settings(home=tmp_path_factory.mktemp("served") / "home", cache=world_cache)
    initialize(settings, safe=None, new_safe=False, report=lambda _: None)
    yield settings
    PaperChain.of(settings.home).stop()


@pytest.fixture
def server(settings: Settings) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = spawn(settings, port)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=HTTP_SECONDS, trust_env=False) as client:
            await_live(process, client)
            yield process, client
    finally:
        process.kill()
        process.communicate()


def spawn(settings: Settings, port: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "app", "serve", "--port", str(port), "--home", str(settings.home)]
    environment = {**os.environ, "AUTOFI_CACHE": str(settings.cache), "COLUMNS": "200"}
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def await_live(process: subprocess.Popen[str], client: httpx.Client) -> None:
    deadline = time.monotonic() + BOOT_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if client.get("/v1/health/live").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    process.kill()
    pytest.fail(f"the server did not come up: {process.communicate()[1]}")


def test_serves_a_run_from_request_to_audit_and_ends_in_order(server, settings: Settings) -> None:
    process, client = server

    run_id = client.post("/v1/runs", json={"workflow": "optimize"}).json()["run_id"]
    with client.stream("GET", f"/v1/runs/{run_id}/events") as stream:
        lines = list(stream.iter_lines())
    events = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    last = json.loads([line for line in lines if line.startswith("data: ")][-1].removeprefix("data: "))
    listed = client.get("/v1/runs").json()
    record = client.get(f"/v1/audit/runs/{run_id}").json()

    assert events[-1] == "done"
    assert last["status"] == "executed"
    assert [run["request"]["run_id"] for run in listed] == [run_id]
    assert record["receipt"]["succeeded"] is True
    assert client.get("/v1/audit/verify").json()["is_verified"] is True
    assert client.get("/v1/status").json()["open_runs"] == []
    assert client.get("/v1/health/ready").json()["status"] == "ready"
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0


def test_says_in_one_sentence_that_the_port_is_busy(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = spawn(settings, taken.getsockname()[1])
        said, complained = process.communicate(timeout=BOOT_SECONDS)

    assert process.returncode == 2
    assert said == ""
    assert "cannot be used" in complained
    assert "--port" in complained
    assert "Traceback" not in complained


def test_doctor_finds_every_part_of_a_fresh_home_well(settings: Settings) -> None:
    findings = examine(settings)

    assert [finding for finding in findings if not finding.is_healthy] == []
    assert {"journal", "contracts", "tokens", "account", "feeds", "gas money", "signer"} <= {
        finding.part for finding in findings
    }


def test_doctor_names_the_feed_that_stalled(settings: Settings) -> None:
    paper = PaperChain.of(settings.home)
    with closing(NodeRpc(paper.start())) as rpc:
        scenario = Scenario(rpc, paper.manifest)
        scenario.stall_feed("dai")
        feeds = next(finding for finding in examine(settings) if finding.part == "feeds")
        scenario.refresh_feeds()

    assert not feeds.is_healthy
    assert "the feed of dai is" in feeds.observed
    assert "limit" in feeds.observed


def adopt(settings: Settings, catalog: Catalog) -> None:
    """As two people do it, a day apart."""
    with open_stores(settings=settings) as stores:
        stores.catalogs.follow(catalog, by="bob", at=NOW)
        stores.catalogs.approve(catalog.digest(), by="alice", at=NOW)
        stores.catalogs.follow(catalog, by="bob", at=NOW + timedelta(days=1))


def test_doctor_names_the_token_whose_decimals_are_wrong(settings: Settings) -> None:
    right = load_catalog(settings.strategies_path)
    decimals = {token.id: token.decimals + (token.id == "wbtc") for token in right.tokens}
    wrong = tuple(token.model_copy(update={"decimals": decimals[token.id]}) for token in right.tokens)

    adopt(settings, right.model_copy(update={"tokens": wrong}))
    findings = {finding.part: finding for finding in examine(settings)}
    adopt(settings, right)

    assert findings["tokens"].observed == "wbtc has 8 decimals on chain, the catalog says 9"
    assert not findings["tokens"].is_healthy
    assert findings["contracts"].is_healthy
