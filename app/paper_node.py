"""The process of paper mode's chain: detached, at most one per folder, found again by every command.

The node itself carries the folder's lock, so that the kernel says whether it lives: no process id or port that
somebody else has taken over since is ever mistaken for it.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Final

from chain.anvil import CHAIN_ID, LOOPBACK, NodeRpc, claim_port, find_anvil
from domain.errors import AutofiError, ChainUnavailable, ConfigurationInvalid
from domain.units import Value

NODE_FILE: Final = "node.json"
LOCK_FILE: Final = "node.lock"
LOG_FILE: Final = "anvil.log"
DEADLINE_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.02
LAST_WORDS_CHARACTERS: Final = 300
FRESH_START: Final = (
    "keep this home, its audit trail stays readable (`autofi audit export FILE`); "
    "to start over set AUTOFI_HOME to a new directory and run `autofi init`"
)
"""What to do about a lost chain: a new one would not fit the records, and the records are not ours to throw away."""
# A decision that dies must not take the chain with it: the shell leaves the node behind and says which process it is.
_DETACH: Final = 'log=$1; shift; "$@" >>"$log" 2>&1 & echo $!'

Report = Callable[[str], None]


class NodeRecord(Value):
    """Where a folder's node runs."""

    pid: int
    port: int


class PaperNode:
    """One folder's node."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def url(self) -> str | None:
        """The running node's address; None when none answers."""
        record = self._record() if self._is_alive() else None
        return _url(record.port) if record is not None and _answers(record.port) else None

    def start(self, arguments: Callable[[], Sequence[str]], *, report: Report) -> str:
        """The node's address, after starting it where it does not run: one of two commands starts it, both use it."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while (running := self.url()) is None:
            lock = self._try_lock()
            if lock is not None:
                return self._boot(lock, arguments(), report)
            if time.monotonic() > deadline:
                raise ChainUnavailable(
                    f"the local chain in {self._folder} runs and does not answer within {DEADLINE_SECONDS:.0f} s; "
                    f"{self._folder / LOG_FILE} may say why; end it with `autofi chain stop`"
                )
            time.sleep(POLL_SECONDS)
        return running

    def stop(self) -> bool:
        """Ask the node to save its state and end, and wait until it has. False when none ran."""
        record = self._record()
        if not self._is_alive() or record is None:
            return False
        os.kill(record.pid, signal.SIGTERM)
        deadline = time.monotonic() + DEADLINE_SECONDS
        while self._is_alive():
            if time.monotonic() > deadline:
                raise ChainUnavailable(
                    f"the local chain (process {record.pid}) did not end within {DEADLINE_SECONDS:.0f} s; "
                    f"end it with: kill -9 {record.pid}"
                )
            time.sleep(POLL_SECONDS)
        (self._folder / NODE_FILE).unlink(missing_ok=True)
        return True

    def _boot(self, lock: IO[bytes], arguments: Sequence[str], report: Report) -> str:
        port = claim_port(None)
        binary, log = find_anvil(), self._folder / LOG_FILE
        said_before = log.stat().st_size if log.exists() else 0
        with lock:  # closing it leaves the node's own hold
            (self._folder / NODE_FILE).unlink(missing_ok=True)
            record = NodeRecord(pid=self._spawn(binary, port, arguments, lock), port=port)
        _write_whole(self._folder / NODE_FILE, record.model_dump_json())
        self._await_answer(record, binary=binary, said_before=said_before)
        report(f"local chain started on port {record.port}; `autofi chain stop` ends it")
        return _url(record.port)

    def _spawn(self, binary: Path, port: int, arguments: Sequence[str], lock: IO[bytes]) -> int:
        fixed = ("--host", LOOPBACK, "--port", str(port), "--chain-id", str(CHAIN_ID), "--quiet")
        log = str(self._folder / LOG_FILE)
        spawned = subprocess.run(  # noqa: S603  # a fixed script; the binary is the user's own choice
            ["/bin/sh", "-c", _DETACH, "autofi-chain", log, str(binary), *fixed, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            pass_fds=(lock.fileno(),),
            start_new_session=True,
            check=True,
        )
        return int(spawned.stdout)

    def _await_answer(self, record: NodeRecord, *, binary: Path, said_before: int) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not _answers(record.port):
            if not self._is_alive():
                (self._folder / NODE_FILE).unlink(missing_ok=True)
                raise self._failed_start(binary, self._last_words(said_before))
            if time.monotonic() > deadline:
                self.stop()
                raise ChainUnavailable(
                    f"the local chain did not answer on port {record.port} within {DEADLINE_SECONDS:.0f} s"
                )
            time.sleep(POLL_SECONDS)

    def _last_words(self, said_before: int) -> str:
        """Of this start only: the log goes on from one start to the next."""
        words = (self._folder / LOG_FILE).read_bytes()[said_before:].decode(errors="replace")
        return " ".join(words[-LAST_WORDS_CHARACTERS:].split())

    def _failed_start(self, binary: Path, words: str) -> ConfigurationInvalid:
        start = f"the local chain in {self._folder} does not start: "
        if not words:
            return ConfigurationInvalid(
                f"{start}{binary} ended without a word; it may be no anvil: correct $ANVIL or PATH"
            )
        return ConfigurationInvalid(f"{start}{words}; if {binary} is no anvil, correct $ANVIL or PATH; {FRESH_START}")

    def _record(self) -> NodeRecord | None:
        try:
            return NodeRecord.model_validate_json((self._folder / NODE_FILE).read_text())
        except (OSError, ValueError):
            return None

    def _is_alive(self) -> bool:
        """A node, or a command that is just starting one, holds the lock."""
        lock = self._try_lock(fcntl.LOCK_SH)
        if lock is not None:
            lock.close()
        return lock is None

    def _try_lock(self, kind: int = fcntl.LOCK_EX) -> IO[bytes] | None:
        lock = (self._folder / LOCK_FILE).open("ab")
        try:
            fcntl.flock(lock, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return None
        return lock


def _write_whole(file: Path, text: str) -> None:
    """Nobody ever reads half of it."""
    draft = file.with_suffix(".draft")
    draft.write_text(text)
    draft.replace(file)


def _url(port: int) -> str:
    return f"http://{LOOPBACK}:{port}"


def _answers(port: int) -> bool:
    rpc = NodeRpc(_url(port))
    try:
        return bool(rpc.call("eth_chainId") == hex(CHAIN_ID))
    except AutofiError:
        return False
    finally:
        rpc.close()
