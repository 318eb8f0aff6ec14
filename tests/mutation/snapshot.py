"""A copy of the sources under build/, so that whoever works on them meanwhile does not change what is judged."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.repository import PACKAGES, ROOT

FOLDERS: Final = (*PACKAGES, "tests", "bench", "config")
SUFFIXES: Final = {".py", ".toml", ".md", ".json", ".txt"}


def take_snapshot(target: Path) -> None:
    """Makes the target equal to the sources; compiled bytecode of unchanged files stays."""
    wanted = {path.relative_to(ROOT) for path in _sources(ROOT)}
    for path in [path for path in _sources(target) if path.relative_to(target) not in wanted]:
        path.unlink()
    for name in wanted:
        source, copy = ROOT / name, target / name
        if not copy.exists() or copy.read_bytes() != source.read_bytes():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy)


def _sources(root: Path) -> Iterator[Path]:
    yield root / "pyproject.toml"
    for folder in FOLDERS:
        yield from (path for path in (root / folder).rglob("*") if path.is_file() and path.suffix in SUFFIXES)
