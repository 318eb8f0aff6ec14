"""Paper mode's chain: one local node per home, which outlives the commands that use it, as a real chain would."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from app.warmup import WARMUP_DAYS, warm_up
from chain.anvil import CHAIN_ID, LOOPBACK, NodeRpc, claim_port, find_anvil
from chain.scenario import Scenario
from chain.world import prepare_world
from chain.world_manifest import Manifest
from chain.world_state import EXTRA_FOLDER, MANIFEST_FILE, STATE_FILE
from domain.errors import AutofiError, ChainUnavailable, ConfigurationInvalid
from domain.units import Value

FOLDER: Final = "paper"
NODE_FILE: Final = "node.json"
LOG_FILE: Final = "anvil.log"
BOOT_DEADLINE_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.02
# Account 1 of the "test test ... junk" mnemonic that every anvil starts with: worthless anywhere else.
OPERATOR_KEY: Final = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"

Report = Callable[[str], None]


class NodeRecord(Value):
    """Where this home's node runs."""

    pid: int
    port: int


class PaperChain:
    """A home's local chain and the scenario that moves its market."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = Manifest.model_validate_json((folder / MANIFEST_FILE).read_text())

    @classmethod
    def create(cls, home: Path, *, cache: Path, report: Report) -> PaperChain:
        """A fresh copy of the cached world. Raises ConfigurationInvalid when this home already has one."""
        folder = home / FOLDER
        if folder.exists():
            raise ConfigurationInvalid(f"{folder} already holds a local chain; `autofi chain stop` and remove it first")
        world = prepare_world(cache=cache, progress=report, warmup=warm_up, warmup_key=f"days={WARMUP_DAYS}")
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(world, folder)
        return cls(folder)

    @classmethod
    def of(cls, home: Path) -> PaperChain:
        if not (home / FOLDER / MANIFEST_FILE).is_file():
            raise ConfigurationInvalid(f"{home} has no local chain; run `autofi init`")
        return cls(home / FOLDER)

    @property
    def extra(self) -> Path:
        return self.folder / EXTRA_FOLDER

    def url(self) -> str | None:
        """The running node's address; None when none answers."""
        record = self._record()
        if record is None or not _answers(record.port):
            return None
        return f"http://{LOOPBACK}:{record.port}"

    def start(self, *, report: Report = lambda _: None) -> str:
        """The node's address, after starting it where it does not run."""
        running = self.url()
        if running is not None:
            return running
        port = claim_port(None)
        process = self._spawn(port)
        (self.folder / NODE_FILE).write_text(NodeRecord(pid=process.pid, port=port).model_dump_json())
        self._await_node(process, port)
        report(f"local chain started on port {port}; `autofi chain stop` ends it")
        return f"http://{LOOPBACK}:{port}"

    def stop(self) -> bool:
        """End the node; its state is kept in the home. False when none ran."""
        record = self._record()
        if record is None or self.url() is None:
            return False
        os.kill(record.pid, signal.SIGTERM)
        deadline = time.monotonic() + BOOT_DEADLINE_SECONDS
        while _is_alive(record.pid):
            if time.monotonic() > deadline:
                raise ChainUnavailable(f"the local chain (process {record.pid}) did not end within 30 s")
            time.sleep(POLL_SECONDS)
        (self.folder / NODE_FILE).unlink(missing_ok=True)
        return True

    def scenario(self) -> Scenario:
        return Scenario(NodeRpc(self.start()), self.manifest)

    def _record(self) -> NodeRecord | None:
        try:
            return NodeRecord.model_validate_json((self.folder / NODE_FILE).read_text())
        except (OSError, ValueError):
            return None

    def _spawn(self, port: int) -> subprocess.Popen[bytes]:
        """Detached on purpose: a decision that dies must not take the chain with it."""
        state = self.folder / STATE_FILE
        arguments = [
            str(find_anvil()), "--host", LOOPBACK, "--port", str(port), "--chain-id", str(CHAIN_ID), "--quiet",
            "--state", str(state), "--state-interval", "5", "--timestamp", str(_head_time(state) + 1),
            "--order", "fifo",
        ]  # fmt: skip
        with (self.folder / LOG_FILE).open("ab") as log:
            return subprocess.Popen(  # noqa: S603  # our own binary and arguments
                arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def _await_node(self, process: subprocess.Popen[bytes], port: int) -> None:
        deadline = time.monotonic() + BOOT_DEADLINE_SECONDS
        while not _answers(port):
            if process.poll() is not None:
                words = (self.folder / LOG_FILE).read_text(errors="replace").strip()[-300:]
                raise ConfigurationInvalid(
                    f"the local chain in {self.folder} does not start: {words or 'anvil said nothing'}; "
                    f"remove {self.folder.parent} and run `autofi init`"
                )
            if time.monotonic() > deadline:
                raise ChainUnavailable(f"the local chain did not answer on port {port} within 30 s")
            time.sleep(POLL_SECONDS)


def _answers(port: int) -> bool:
    rpc = NodeRpc(f"http://{LOOPBACK}:{port}")
    try:
        return bool(rpc.call("eth_chainId") == hex(CHAIN_ID))
    except AutofiError:
        return False
    finally:
        rpc.close()


def _is_alive(pid: int) -> bool:
    """Also reaps the node when it is our own child."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _head_time(state: Path) -> int:
    """Where the clock goes on. Raises ConfigurationInvalid for a damaged state file."""
    try:
        block = json.loads(state.read_text())["block"]
        return int(str(block["timestamp"]), 16 if str(block["timestamp"]).startswith("0x") else 10)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationInvalid(
            f"chain state {state} is damaged ({type(error).__name__}); remove {state.parent.parent} "
            "and run `autofi init`"
        ) from None
