"""The local chain: built once from the npm packages, cached as a state file, booted in well under a second."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from chain.anvil import CHAIN_ID, REPOSITORY, LocalNode
from chain.scenario import Scenario
from chain.world_build import BUILD_ARGUMENTS, build_world
from chain.world_manifest import Manifest
from chain.world_state import EXTRA_FOLDER, STATE_FILE, read_manifest, write_world
from domain.errors import ConfigurationInvalid
from domain.market import Catalog

_BUILD_INPUTS: Final = (
    "contracts/world/*.sol",
    "contracts/compile.cjs",
    "chain/world_*.py",
    "chain/transactor.py",
    "chain/uniswap_math.py",
    "package.json",
)
_WARMUP_INPUTS: Final = ("chain/scenario.py", "chain/market_*.py")
DIGEST_LETTERS: Final = 16

Progress = Callable[[str], None]


class World:
    """A running local chain. Leaving it stops the node; what happened on it is gone unless saved."""

    def __init__(self, node: LocalNode, *, manifest: Manifest, extra_dir: Path) -> None:
        self.node = node
        self.manifest = manifest
        self.extra_dir = extra_dir
        """Files that a warm-up left beside the state; read-only for everybody else."""
        self.scenario = Scenario(node.rpc, manifest)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def rpc_url(self) -> str:
        return self.node.rpc_url

    @property
    def chain_id(self) -> int:
        return CHAIN_ID

    @property
    def catalog(self) -> Catalog:
        return self.manifest.catalog

    def stop(self) -> None:
        self.node.stop()


Warmup = Callable[[World], None]


def default_cache() -> Path:
    """$AUTOFI_CACHE, else ~/.cache/autofi."""
    named = os.environ.get("AUTOFI_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "autofi"


def open_world(
    *,
    cache: Path,
    port: int | None = None,
    progress: Progress = lambda _: None,
    warmup: Warmup | None = None,
    warmup_key: str = "",
) -> World:
    """Boots a fresh copy of the world, building it and running the warm-up first when the cache lacks them.

    The warm-up runs once per key on a running world and may write files into its `extra_dir`.
    Raises ConfigurationInvalid for a missing part, a busy port or a damaged cache.
    """
    folder = prepare_world(cache=cache, progress=progress, warmup=warmup, warmup_key=warmup_key)
    return _boot(folder, port=port)


def prepare_world(
    *,
    cache: Path,
    progress: Progress = lambda _: None,
    warmup: Warmup | None = None,
    warmup_key: str = "",
) -> Path:
    """The folder with state and manifest, built and warmed up first when the cache lacks it. Raises as open_world."""
    folder = _built(cache, progress)
    if warmup is None:
        return folder
    return _warmed(folder, warmup=warmup, key=warmup_key, progress=progress)


def _built(cache: Path, progress: Progress) -> Path:
    folder = cache / f"world-{_digest_of(_BUILD_INPUTS)}"
    if not folder.is_dir():
        progress("building the local chain (once)")
        with LocalNode(arguments=BUILD_ARGUMENTS) as node:
            manifest = build_world(node.rpc, progress)
            write_world(folder, rpc=node.rpc, manifest=manifest)
    return folder


def _warmed(base: Path, *, warmup: Warmup, key: str, progress: Progress) -> Path:
    folder = base.with_name(f"{base.name}-{_digest_of(_WARMUP_INPUTS, key=key)}")
    if folder.is_dir():
        return folder
    progress("warming up the local chain (once)")
    scratch = Path(tempfile.mkdtemp(prefix="staged-", dir=base.parent))
    try:
        extra = scratch / EXTRA_FOLDER
        extra.mkdir()
        with _boot(base, extra_dir=extra) as world:
            warmup(world)
            write_world(folder, rpc=world.node.rpc, manifest=world.manifest, extra=extra)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def _boot(folder: Path, *, port: int | None = None, extra_dir: Path | None = None) -> World:
    manifest = read_manifest(folder)
    # Without the state's own time the first block would jump to the wall clock, and there is no way back.
    clock = ("--timestamp", str(manifest.head_time + 1))
    node = LocalNode(port=port, arguments=("--load-state", str(folder / STATE_FILE), *clock, "--order", "fifo"))
    return World(node, manifest=manifest, extra_dir=extra_dir or folder / EXTRA_FOLDER)


def _digest_of(patterns: Sequence[str], *, key: str = "") -> str:
    """Over everything that decides what is built, so that a change builds anew."""
    digest = hashlib.sha256(key.encode() + b"\0")
    for pattern in patterns:
        paths = sorted(REPOSITORY.glob(pattern))
        if not paths:
            raise ConfigurationInvalid(f"no file matches {pattern} in {REPOSITORY}; run from a complete checkout")
        for path in paths:
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:DIGEST_LETTERS]
