"""State files of the local chain: dump, slim, write atomically, read back with a checksum."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from chain.anvil import NodeRpc
from chain.world_manifest import WORLD_FORMAT, Manifest
from domain.errors import ConfigurationInvalid

STATE_FILE: Final = "state.json"
MANIFEST_FILE: Final = "manifest.json"
EXTRA_FOLDER: Final = "extra"
BLOCK_GAS_LIMIT: Final = 60_000_000  # as on Ethereum's mainnet since November 2025
SEALING_SECONDS: Final = 12


def dump_state(rpc: NodeRpc) -> bytes:
    """The head's accounts and one last, empty block; transactions and older blocks are dropped: a fifth remains."""
    _seal(rpc)
    state = json.loads(gzip.decompress(bytes.fromhex(rpc.call("anvil_dumpState")[2:])))
    head = state["best_block_number"]
    state["blocks"] = [block for block in state["blocks"] if int(block["header"]["number"], 16) == head]
    state["transactions"] = []
    state["historical_states"] = None
    return json.dumps(state, separators=(",", ":")).encode()


def _seal(rpc: NodeRpc) -> None:
    rpc.call("evm_setBlockGasLimit", hex(BLOCK_GAS_LIMIT))
    head = rpc.head()
    rpc.call("evm_setNextBlockTimestamp", int(head["timestamp"], 16) + SEALING_SECONDS)
    rpc.call("anvil_setNextBlockBaseFeePerGas", head["baseFeePerGas"])
    rpc.call("evm_mine")


def write_world(folder: Path, *, rpc: NodeRpc, manifest: Manifest, extra: Path | None = None) -> None:
    """All or nothing: the folder appears complete. When another process was faster, its folder stays."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    staged = Path(tempfile.mkdtemp(prefix="staged-", dir=folder.parent))
    try:
        _fill(staged, rpc=rpc, manifest=manifest, extra=extra)
        staged.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _fill(folder: Path, *, rpc: NodeRpc, manifest: Manifest, extra: Path | None) -> None:
    state = dump_state(rpc)
    (folder / STATE_FILE).write_bytes(state)
    sealed = _at_head(manifest, rpc=rpc, state=state)
    (folder / MANIFEST_FILE).write_text(sealed.model_dump_json(indent=1))
    if extra is None:
        (folder / EXTRA_FOLDER).mkdir()
    else:
        extra.rename(folder / EXTRA_FOLDER)


def _at_head(manifest: Manifest, *, rpc: NodeRpc, state: bytes) -> Manifest:
    head = rpc.head()
    return manifest.model_copy(
        update={
            "state_sha256": hashlib.sha256(state).hexdigest(),
            "head_number": int(head["number"], 16),
            "head_time": int(head["timestamp"], 16),
        }
    )


def read_manifest(folder: Path) -> Manifest:
    """Raises ConfigurationInvalid when either file is missing, damaged or of another format."""
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST_FILE).read_text())
        digest = hashlib.sha256((folder / STATE_FILE).read_bytes()).hexdigest()
    except FileNotFoundError as error:
        raise _damaged(folder, f"{Path(str(error.filename)).name} is missing") from error
    except (ValidationError, UnicodeDecodeError) as error:
        raise _damaged(folder, f"{MANIFEST_FILE} cannot be read") from error
    if manifest.format != WORLD_FORMAT:
        raise _damaged(folder, f"its format is {manifest.format}, this version reads {WORLD_FORMAT}")
    if digest != manifest.state_sha256:
        raise _damaged(folder, f"{STATE_FILE} has sha256 {digest[:16]}, its manifest says {manifest.state_sha256[:16]}")
    return manifest


def _damaged(folder: Path, fact: str) -> ConfigurationInvalid:
    return ConfigurationInvalid(f"the cached local chain in {folder} is damaged: {fact}; delete it: rm -r {folder}")
