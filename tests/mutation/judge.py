"""Plants one mutant per forked process and lets the tests that reach it judge.

The parent has every library loaded and nothing of guards/, so that a child imports the package with the fault in it.
"""

from __future__ import annotations

import gc
import importlib
import importlib.abc
import importlib.util
import json
import os
import resource
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from enum import StrEnum
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType
from typing import Final, NamedTuple

import pytest

from tests.mutation.mutants import Mutant
from tests.mutation.reach import Reach, file_of
from tests.mutation.suite import Judge, run_suite
from tests.mutation.uses import Uses

WALL_SECONDS: Final = 600
"""Only against a child that waits for something; processor time is limited per test."""
MEMORY_BYTES: Final = 4 * 2**30
"""Address space, libraries included: a list that grows for ever must not take the machine with it."""
ASKED_FIRST: Final = 2
SURVIVED: Final = {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}
KILLED: Final = {pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED}


class Fate(StrEnum):
    KILLED = "killed"  # a test failed, or the package could not even be imported
    TIMEOUT = "timeout"  # it never ends, or eats all memory: noticed too
    SURVIVED = "survived"


class Outcome(NamedTuple):
    """What became of one mutant, and which test noticed."""

    fate: Fate
    killer: str | None = None


class Planted(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from compiled code instead of its file."""

    def __init__(self, path: Path, code: CodeType) -> None:
        self.path, self.code = path, code
        package = path.parent.name
        self.name = package if path.stem == "__init__" else f"{package}.{path.stem}"

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if fullname != self.name:
            return None
        is_package = self.path.stem == "__init__"
        return importlib.util.spec_from_loader(fullname, self, origin=str(self.path), is_package=is_package)

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = str(self.path)
        if self.path.stem == "__init__":
            module.__path__ = [str(self.path.parent)]
        exec(self.code, module.__dict__)


def load_ahead(reach: Reach) -> None:
    for name in reach.libraries:
        with suppress(ImportError):  # some libraries pretend modules that nobody can import by name
            importlib.import_module(name)
    if "guards" in sys.modules:
        raise RuntimeError("guards/ was loaded ahead: every mutant would survive unseen")
    gc.collect()
    gc.freeze()


def judge(mutants: Sequence[Mutant], reach: Reach, uses: Uses, *, root: Path) -> Iterator[Outcome]:
    """One after the other, in this order. Files that have killed most are asked first: neighbours die alike."""
    kills: Counter[str] = Counter()
    for mutant in mutants:
        seconds = reach.tests_of(mutant, uses)
        first = [file for file, _ in kills.most_common(ASKED_FIRST)]
        outcome = _judge_one(mutant, seconds, root, first) if seconds else Outcome(Fate.SURVIVED)
        if outcome.killer is not None:
            kills[file_of(outcome.killer)] += 1
        yield outcome


def _judge_one(mutant: Mutant, seconds: dict[str, float], root: Path, first: Sequence[str]) -> Outcome:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _run_child(mutant, seconds, root, first, writing)
    os.close(writing)
    _, status = os.waitpid(child, 0)
    with os.fdopen(reading) as answer:
        text = answer.read()
    if os.WIFSIGNALED(status):
        return Outcome(Fate.TIMEOUT)
    if not text:
        raise RuntimeError(f"the process that judged {mutant.key} ended with {os.waitstatus_to_exitcode(status)}")
    return _outcome(mutant, *json.loads(text))


def _outcome(mutant: Mutant, status: int, killer: str | None) -> Outcome:
    if status in KILLED:
        return Outcome(Fate.KILLED, killer)
    if status in SURVIVED:
        return Outcome(Fate.SURVIVED)
    raise RuntimeError(f"pytest ended with {status} while judging {mutant.key}")


def _run_child(mutant: Mutant, seconds: dict[str, float], root: Path, first: Sequence[str], answer: int) -> None:
    """Never returns. Output is dropped: the parent wants to know who failed, not how."""
    try:
        signal.alarm(WALL_SECONDS)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        path = root / mutant.key.module
        sys.meta_path.insert(0, Planted(path, compile(mutant.plant(), str(path), "exec", dont_inherit=True)))
        plugin = Judge(seconds)
        status = _ask(plugin, sorted({file_of(test) for test in seconds}), first)
        os.write(answer, json.dumps([status, plugin.killer]).encode())
    finally:
        os._exit(0)


def _ask(plugin: Judge, files: Sequence[str], first: Sequence[str]) -> int:
    """In two parts: to collect every file takes longer than most mutants live."""
    status = int(pytest.ExitCode.OK)
    for part in ([file for file in files if file in first], [file for file in files if file not in first]):
        if part and status in SURVIVED:
            status = run_suite(part, plugin, "-x")
    return status
