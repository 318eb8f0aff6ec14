"""Finding and running the node: three places, one clear error, no orphan."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chain.anvil import LOOPBACK, LocalNode, find_anvil
from domain.errors import ChainUnavailable, ConfigurationInvalid
from tests.services import require_service

CHILD = """
import time
from chain.anvil import LocalNode
print(LocalNode().port, flush=True)
time.sleep(600)
"""


@pytest.fixture
def no_anvil(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without anvil: an empty repository and an empty PATH."""
    monkeypatch.delenv("ANVIL", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    return tmp_path


@pytest.fixture
def anvil() -> Path:
    try:
        return find_anvil()
    except ConfigurationInvalid:
        require_service("anvil", available=False)
        raise


def place_executable(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def accepts_connections(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


def test_missing_anvil_names_the_three_places_and_the_fix(no_anvil: Path) -> None:
    with pytest.raises(ConfigurationInvalid) as caught:
        find_anvil(no_anvil)

    message = str(caught.value)
    assert "$ANVIL" in message
    assert "PATH" in message
    assert "node_modules/@foundry-rs/anvil-" in message
    assert "npm install" in message


def test_environment_variable_wins_over_path(no_anvil: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = place_executable(no_anvil / "named")
    place_executable(no_anvil / "empty" / "anvil")
    monkeypatch.setenv("ANVIL", str(named))

    assert find_anvil(no_anvil) == named


def test_path_wins_over_the_npm_package(no_anvil: Path) -> None:
    on_path = place_executable(no_anvil / "empty" / "anvil")

    assert find_anvil(no_anvil) == on_path


def test_environment_variable_that_names_no_executable_is_refused(
    no_anvil: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANVIL", str(no_anvil / "absent"))

    with pytest.raises(ConfigurationInvalid, match="absent, which is not an executable file"):
        find_anvil(no_anvil)


@pytest.mark.chain
def test_finds_the_native_binary_of_the_npm_package(no_anvil: Path) -> None:
    repository = Path(__file__).parent.parent
    require_service("node_modules", available=(repository / "node_modules").is_dir())

    found = find_anvil(repository)

    assert found.read_bytes()[:4] in {b"\x7fELF", b"\xcf\xfa\xed\xfe"}  # ELF or Mach-O, not a script


@pytest.mark.chain
def test_busy_port_is_refused_with_its_number(anvil: Path) -> None:
    with socket.socket() as holder:
        holder.bind((LOOPBACK, 0))
        holder.listen()
        port = holder.getsockname()[1]

        with pytest.raises(ConfigurationInvalid, match=f"port {port} on 127.0.0.1 is not free"):
            LocalNode(port=port)


@pytest.mark.chain
def test_node_answers_on_the_port_asked_for_and_stops(anvil: Path) -> None:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port = probe.getsockname()[1]

    with LocalNode(port=port) as node:
        chain_id = node.rpc.call("eth_chainId")

    assert chain_id == "0x7a69"
    assert not accepts_connections(port)
    assert not node.is_running


@pytest.mark.chain
def test_refused_request_names_the_method(anvil: Path) -> None:
    with LocalNode() as node, pytest.raises(ChainUnavailable, match="refused eth_noSuchMethod"):
        node.rpc.call("eth_noSuchMethod")


@pytest.mark.chain
def test_node_that_cannot_start_says_why(anvil: Path) -> None:
    with pytest.raises(ConfigurationInvalid, match="no-such-flag"):
        LocalNode(arguments=("--no-such-flag",))


@pytest.mark.chain
def test_node_does_not_outlive_a_killed_parent(anvil: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", CHILD], stdout=subprocess.PIPE, cwd=Path(__file__).parent.parent)
    assert child.stdout is not None
    port = int(child.stdout.readline())
    assert accepts_connections(port)

    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()

    deadline = time.monotonic() + 10
    while accepts_connections(port) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not accepts_connections(port)
