"""Paper mode's chain: one local world per home, which outlives the commands that use it, as a real chain would."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from app.paper_node import FRESH_START, PaperNode
from app.warmup import WARMUP_DAYS, warm_up
from chain.anvil import CHAIN_ID, NodeRpc
from chain.scenario import Scenario
from chain.world import prepare_world
from chain.world_manifest import Manifest
from chain.world_state import EXTRA_FOLDER, MANIFEST_FILE, STATE_FILE
from domain.errors import ConfigurationInvalid
from domain.market import Catalog

FOLDER: Final = "paper"
USED_FILE: Final = "last-used"
IDLE_SECONDS: Final = 3_600
# Account 1 of the "test test ... junk" mnemonic that every anvil starts with: worthless anywhere else.
OPERATOR_KEY: Final = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"

Report = Callable[[str], None]


class PaperChain:
    """A home's local chain and the scenario that moves its market."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = _read_manifest(folder / MANIFEST_FILE)
        self._node = PaperNode(folder)

    @classmethod
    def create(cls, home: Path, *, cache: Path, report: Report) -> PaperChain:
        """A fresh copy of the cached world. Raises ConfigurationInvalid when this home already has one."""
        folder = home / FOLDER
        if folder.exists():
            raise ConfigurationInvalid(f"{folder} already holds a local chain; {FRESH_START}")
        world = prepare_world(cache=cache, progress=report, warmup=warm_up, warmup_key=f"days={WARMUP_DAYS}")
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(world, folder)
        return cls(folder)

    @classmethod
    def of(cls, home: Path) -> PaperChain:
        if not cls.exists(home):
            raise ConfigurationInvalid(f"{home} has no local chain; run `autofi init`")
        return cls(home / FOLDER)

    @staticmethod
    def exists(home: Path) -> bool:
        return (home / FOLDER / MANIFEST_FILE).is_file()

    @property
    def extra(self) -> Path:
        return self.folder / EXTRA_FOLDER

    def url(self) -> str | None:
        """The running node's address; None when none answers."""
        return self._node.url()

    def start(self, *, report: Report = lambda _: None) -> str:
        """The node's address, after starting it where it does not run."""
        return self._node.start(self._arguments, report=report)

    def stop(self) -> bool:
        """End the node; its state is kept in the home. False when none ran."""
        return self._node.stop()

    def scenario(self) -> Scenario:
        return Scenario(NodeRpc(self.start()), self.manifest)

    def keep_alive(self) -> None:
        """After an idle hour every price feed reports again and the clock goes on from the head, not from now.

        The node's clock follows the machine's: left alone over night, its next block would find every price stale.
        Within the hour nothing is touched, so that a scene in which a feed stalls stays as it was played.
        """
        used = self.folder / USED_FILE
        idle_seconds = time.time() - used.stat().st_mtime if used.exists() else 0.0
        used.touch()
        if idle_seconds > IDLE_SECONDS:
            self.scenario().refresh_feeds()

    def _arguments(self) -> tuple[str, ...]:
        """Without the state's own time the first block would jump to the wall clock, and there is no way back."""
        state = self.folder / STATE_FILE
        clock = ("--timestamp", str(_head_time(state) + 1))
        return ("--state", str(state), "--state-interval", "5", *clock, "--order", "fifo")


def require_local_chain(catalog: Catalog, source: Path) -> None:
    """Raises ConfigurationInvalid when the catalog, read from source, describes another chain than paper mode's."""
    if catalog.chain_id != CHAIN_ID:
        raise ConfigurationInvalid(
            f"strategies {source}: chain_id is {catalog.chain_id}, the local chain of mode paper is {CHAIN_ID}; "
            "correct it, or set AUTOFI_MODE and AUTOFI_RPC_URL for another chain"
        )


def _read_manifest(file: Path) -> Manifest:
    try:
        return Manifest.model_validate_json(file.read_text())
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        raise _damaged(file, error) from None


def _head_time(state: Path) -> int:
    """Where the clock goes on. Raises ConfigurationInvalid for a damaged state file."""
    try:
        block = json.loads(state.read_text())["block"]
        return int(str(block["timestamp"]), 16 if str(block["timestamp"]).startswith("0x") else 10)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(state, error) from None


def _damaged(file: Path, error: Exception) -> ConfigurationInvalid:
    return ConfigurationInvalid(f"chain state {file} is damaged ({type(error).__name__}); {FRESH_START}")
