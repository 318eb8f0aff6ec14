"""What earlier runs found, kept under build/ so that only what changed is judged again.

A kill holds while the module, what it imports of guards/ and domain/, and the killing test's file are what they were;
a survival while nothing has changed.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from tests.mutation.judge import Fate, Outcome
from tests.mutation.mutants import Key

JUDGES: Final = ("tests/builders.py", "tests/builders_evidence.py", "tests/mutation/suite.py")
"""Every verdict rests on these."""
OFTEN: Final = 100


class Sources:
    """Digests of the files in front of us."""

    def __init__(self, root: Path, folders: tuple[str, ...] = ("domain", "guards", "tests")) -> None:
        files = sorted(path for folder in folders for path in (root / folder).rglob("*.py"))
        self.by_file = {str(path.relative_to(root)): sha256(path.read_bytes()).hexdigest() for path in files}
        self._root = root
        self._behind: dict[str, tuple[str, ...]] = {}

    def digest(self, *files: str) -> str:
        """Of these files, or of all."""
        named = files or tuple(self.by_file)
        return sha256("".join(self.by_file.get(file, "gone") for file in named).encode()).hexdigest()

    def behind(self, module: str) -> tuple[str, ...]:
        """The module and all that it imports of these files, directly or through others."""
        if module not in self._behind:
            found, waiting = {module}, [module]
            while waiting:
                fresh = set(self._imported_by(waiting.pop())) - found
                found |= fresh
                waiting += fresh
            self._behind[module] = tuple(sorted(found))
        return self._behind[module]

    def _imported_by(self, module: str) -> Iterator[str]:
        """`from guards import case` may mean the package or a module in it: both count where both exist."""
        if module not in self.by_file:
            return
        for node in ast.walk(ast.parse((self._root / module).read_text())):
            if isinstance(node, ast.ImportFrom) and node.module is not None:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                continue
            for name in names:
                path = name.replace(".", "/")
                yield from (file for file in (f"{path}.py", f"{path}/__init__.py") if file in self.by_file)


class _Entry(NamedTuple):
    fate: Fate
    killer: str | None
    digest: str


class Ledger:
    """One JSON file; entries whose sources changed are not found, and written over."""

    def __init__(self, path: Path, sources: Sources) -> None:
        self._path, self._sources, self._unwritten = path, sources, 0
        stored = json.loads(path.read_text()) if path.exists() else []
        self._entries: dict[Key, _Entry] = {
            Key(*key): _Entry(Fate(fate), killer, digest) for key, fate, killer, digest in stored
        }

    def find(self, key: Key) -> Outcome | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        outcome = Outcome(entry.fate, entry.killer)
        return outcome if entry.digest == self._digest(key, outcome) else None

    def _digest(self, key: Key, outcome: Outcome) -> str:
        if outcome.killer is None:
            return self._sources.digest()
        return self._sources.digest(*self._sources.behind(key.module), outcome.killer.partition("::")[0], *JUDGES)

    def keep(self, key: Key, outcome: Outcome) -> None:
        """Written now and then, so that an interrupted run is not lost."""
        self._entries[key] = _Entry(outcome.fate, outcome.killer, self._digest(key, outcome))
        self._unwritten += 1
        if self._unwritten >= OFTEN:
            self.write()

    def write(self) -> None:
        self._unwritten = 0
        self._path.write_text(json.dumps([[list(key), *entry] for key, entry in self._entries.items()]))
