"""Finds and runs anvil, the EVM node under the local chain, and talks JSON-RPC to it; knows no contract."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx

from domain.errors import ChainUnavailable, ConfigurationInvalid

CHAIN_ID: Final = 31_337
LOOPBACK: Final = "127.0.0.1"
REPOSITORY: Final = Path(__file__).resolve().parent.parent
BOOT_DEADLINE_SECONDS: Final = 30.0
STOP_DEADLINE_SECONDS: Final = 5.0
POLL_SECONDS: Final = 0.01
RPC_TIMEOUT_SECONDS: Final = 60.0

# The reader waits for end of file on our pipe, which the kernel closes however we die: no orphan survives a kill -9.
_GUARDIAN: Final = 'exec 3<&0; "$@" 3<&- & node=$!; (read -r _ <&3; kill "$node" 2>/dev/null) & wait "$node"'
_ARCHITECTURES: Final = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def find_anvil(repository: Path = REPOSITORY) -> Path:
    """$ANVIL, then PATH, then the npm package's native binary (its node wrapper takes three times as long)."""
    named = os.environ.get("ANVIL")
    if named:
        return _checked_binary(Path(named))
    packaged = Path("node_modules", "@foundry-rs", _platform_package(), "bin", "anvil")
    if found := shutil.which("anvil"):
        return Path(found)
    if (repository / packaged).is_file():
        return repository / packaged
    raise ConfigurationInvalid(
        "anvil was not found: $ANVIL is not set, PATH has no anvil, and "
        f"{packaged} does not exist; "
        "install it with: npm install --ignore-scripts --legacy-peer-deps"
    )


def _checked_binary(path: Path) -> Path:
    if not (path.is_file() and os.access(path, os.X_OK)):
        raise ConfigurationInvalid(f"$ANVIL names {path}, which is not an executable file; unset it or correct it")
    return path


def _platform_package() -> str:
    machine = platform.machine().lower()
    return f"anvil-{sys.platform}-{_ARCHITECTURES.get(machine, machine)}"


class NodeRpc:
    """A JSON-RPC client for our own loopback node: single calls and batches, no retries."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = httpx.Client(timeout=RPC_TIMEOUT_SECONDS, trust_env=False)

    def call(self, method: str, *params: object) -> Any:
        return self.batch([(method, params)])[0]

    def batch(self, requests: Sequence[tuple[str, Sequence[object]]]) -> list[Any]:
        """Results in order. Raises ChainUnavailable for the first request that the node refused."""
        if not requests:
            return []
        body = [
            {"jsonrpc": "2.0", "id": index, "method": method, "params": list(params)}
            for index, (method, params) in enumerate(requests)
        ]
        try:
            response = self._client.post(self.url, json=body).json()
        except (httpx.HTTPError, ValueError) as error:
            raise ChainUnavailable(f"the node at {self.url} did not answer {requests[0][0]}: {error!r}") from error
        if not isinstance(response, list):
            raise ChainUnavailable(f"the node at {self.url} refused a batch of {len(requests)} requests: {response}")
        answers = sorted(response, key=lambda answer: int(answer["id"]))
        for (method, _), answer in zip(requests, answers, strict=True):
            if "error" in answer:
                raise ChainUnavailable(f"the node at {self.url} refused {method}: {answer['error']}")
        return [answer["result"] for answer in answers]

    def head(self) -> dict[str, Any]:
        """The newest block's header, in the node's own spelling."""
        with_transactions = False
        header: dict[str, Any] = self.call("eth_getBlockByNumber", "latest", with_transactions)
        return header

    def close(self) -> None:
        self._client.close()


class LocalNode:
    """One anvil process on a loopback port, started by `with` and gone when we are, however we end."""

    def __init__(self, *, port: int | None = None, arguments: Sequence[str] = ()) -> None:
        binary = find_anvil()
        self.port = claim_port(port)
        self.rpc_url = f"http://{LOOPBACK}:{self.port}"
        self.rpc = NodeRpc(self.rpc_url)
        command = [str(binary), "--host", LOOPBACK, "--port", str(self.port), "--chain-id", str(CHAIN_ID), "--quiet"]
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # closed by stop()
        self._process = subprocess.Popen(  # noqa: S603  # a fixed script; the binary is the user's own choice
            ["/bin/sh", "-c", _GUARDIAN, "anvil-guardian", *command, *arguments],
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Of the process group that holds the node."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        """Harmless when already stopped."""
        self.rpc.close()
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(STOP_DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(STOP_DEADLINE_SECONDS)
        self._log.close()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + BOOT_DEADLINE_SECONDS
        while time.monotonic() < deadline:
            if not self.is_running:
                raise ConfigurationInvalid(f"anvil ended before it answered on port {self.port}: {self._last_words()}")
            try:
                self.rpc.call("eth_chainId")
            except ChainUnavailable:
                time.sleep(POLL_SECONDS)
            else:
                return
        raise ChainUnavailable(f"anvil did not answer on port {self.port} within {BOOT_DEADLINE_SECONDS:.0f} s")

    def _last_words(self) -> str:
        self._log.seek(0)
        return self._log.read().decode(errors="replace").strip()[-400:] or "it said nothing"


def claim_port(port: int | None) -> int:
    """The port asked for, or a free one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port or 0))
        except OSError as error:
            raise ConfigurationInvalid(
                f"port {port} on {LOOPBACK} is not free ({error.strerror}); stop what holds it or choose another port"
            ) from error
        chosen: int = probe.getsockname()[1]
        return chosen
