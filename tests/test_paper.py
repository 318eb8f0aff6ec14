"""The node of paper mode: at most one per folder, found again by every command, never confused with a stranger's."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.paper import PaperChain
from app.paper_node import LOG_FILE, NODE_FILE, NodeRecord, PaperNode
from domain.errors import ConfigurationInvalid

DEADLINE_SECONDS = 20
# Says that it is the chain asked for, notes each start in the log, and ends on SIGTERM: all that a folder's node must.
NODE = f"""#!{sys.executable}
import http.server, json, sys

class Chain(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps([{{"id": 0, "jsonrpc": "2.0", "result": "0x7a69"}}]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

print("started with", sys.argv[-1], flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Chain).serve_forever()
"""


def install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str) -> None:
    anvil = tmp_path / "anvil"
    anvil.write_text(script)
    anvil.chmod(0o755)
    monkeypatch.setenv("ANVIL", str(anvil))


def node_in(folder: Path) -> PaperNode:
    folder.mkdir(exist_ok=True)
    return PaperNode(folder)


def start(node: PaperNode, argument: str = "once") -> str:
    return node.start(lambda: (argument,), report=lambda _: None)


def record_of(folder: Path) -> NodeRecord:
    return NodeRecord.model_validate_json((folder / NODE_FILE).read_text())


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    install(monkeypatch, tmp_path, NODE)
    yield tmp_path / "paper"
    for started in (tmp_path / "paper", tmp_path / "other"):
        if started.is_dir():
            PaperNode(started).stop()


def test_a_node_outlives_the_object_that_started_it_and_is_found_again(folder):
    url = start(node_in(folder))

    assert url == f"http://127.0.0.1:{record_of(folder).port}"
    assert PaperNode(folder).url() == url
    assert start(PaperNode(folder)) == url
    assert (folder / LOG_FILE).read_text() == "started with once\n"


def test_a_stopped_node_is_gone_and_starts_again(folder):
    node = node_in(folder)
    start(node)
    pid = record_of(folder).pid

    answers = [node.stop(), node.stop()]

    assert answers == [True, False]
    assert node.url() is None
    assert not Path(f"/proc/{pid}/exe").exists()
    assert start(node, "again") is not None


def test_a_killed_node_is_replaced(folder):
    node = node_in(folder)
    start(node)
    os.kill(record_of(folder).pid, signal.SIGKILL)
    await_end(node)

    start(node, "after the kill")

    assert (folder / LOG_FILE).read_text() == "started with once\nstarted with after the kill\n"


def await_end(node: PaperNode) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while node.url() is not None:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_stranger_on_the_recorded_port_is_not_taken_for_our_node(folder, tmp_path):
    """After a restart of the machine, another home's node may answer where ours was."""
    start(node_in(tmp_path / "other"))
    ours = node_in(folder)
    (folder / NODE_FILE).write_text((tmp_path / "other" / NODE_FILE).read_text())

    assert ours.url() is None
    assert ours.stop() is False
    assert start(ours) != PaperNode(tmp_path / "other").url()


def test_commands_that_start_at_the_same_time_share_one_node(folder):
    folder.mkdir()
    urls: list[str] = []
    threads = [threading.Thread(target=lambda: urls.append(start(PaperNode(folder)))) for _ in range(4)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_SECONDS)

    assert len(urls) == 4
    assert len(set(urls)) == 1
    assert (folder / LOG_FILE).read_text() == "started with once\n"


def test_a_node_that_ends_at_once_says_why_and_leaves_the_place_free(monkeypatch, folder, tmp_path):
    install(monkeypatch, tmp_path, "#!/bin/sh\necho 'no such state' >&2\nexit 3\n")
    node = node_in(folder)

    with pytest.raises(ConfigurationInvalid) as caught:
        start(node)

    assert f"the local chain in {folder} does not start: no such state" in str(caught.value)
    assert "audit export" in str(caught.value)
    assert "run `autofi init`" in str(caught.value)
    assert not (folder / NODE_FILE).exists()
    install(monkeypatch, tmp_path, NODE)
    assert start(node, "mended") is not None


@pytest.mark.parametrize("text", ["", "{", '{"port": 1}', '{"pid": "x", "port": 1}'])
def test_a_damaged_record_means_that_nothing_runs(folder, text):
    node = node_in(folder)
    (folder / NODE_FILE).write_text(text)

    assert node.url() is None
    assert node.stop() is False


def test_a_home_without_a_chain_names_the_command_that_makes_one(tmp_path):
    with pytest.raises(ConfigurationInvalid, match="has no local chain; run `autofi init`"):
        PaperChain.of(tmp_path)
