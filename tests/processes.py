"""`autofi` in processes of their own, forked from one that has imported everything: they start at once.

Nothing but files passes from one to the next, as between any two commands.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import tempfile
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

import eth_account  # noqa: F401  # what the product imports late, paid once here
import web3  # noqa: F401

import app.render  # noqa: F401
import graph.model_offline  # noqa: F401
from app.cli import main
from app.settings import Settings
from app.wiring import new_request, open_application
from domain.run import Trigger, Workflow
from tests.network import block_network

block_network()  # for the fork server and all that it forks; a test's own hook ends with its process
DEADLINE_SECONDS = 60
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([__name__])


class Answer(NamedTuple):
    """What a command said and how it ended."""

    exit_code: int | None
    stdout: str
    stderr: str


class Command:
    """One `autofi` with these arguments and environment, running beside the test."""

    def __init__(self, *arguments: str, **environment: object) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="autofi-command-")
        self._outputs = (Path(self._folder.name, "stdout"), Path(self._folder.name, "stderr"))
        given = {name: str(value) for name, value in environment.items()}
        self._process = FORKS.Process(target=_run, args=(arguments, given, *self._outputs))
        self._process.start()

    def wait(self) -> Answer:
        exit_code = _end(self._process)
        stdout, stderr = (output.read_text() for output in self._outputs)
        self._folder.cleanup()
        return Answer(exit_code, stdout, stderr)


def autofi(*arguments: str, **environment: object) -> Answer:
    return Command(*arguments, **environment).wait()


def die_at(point: str, *, run_id: str, settings: Settings) -> int | None:
    """Start a run that is killed right after the named stage of the graph or step of the sender."""
    process = FORKS.Process(target=_walk_until, args=(settings, run_id, point))
    process.start()
    return _end(process)


def _end(process: BaseProcess) -> int | None:
    process.join(DEADLINE_SECONDS)
    if process.exitcode is None:
        process.kill()
    process.join()
    return process.exitcode


def _run(arguments: tuple[str, ...], environment: dict[str, str], stdout: Path, stderr: Path) -> None:
    os.environ.update(environment)
    sys.argv = ["autofi", *arguments]
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(stack.enter_context(stdout.open("w"))))
        stack.enter_context(contextlib.redirect_stderr(stack.enter_context(stderr.open("w"))))
        main()


def _walk_until(settings: Settings, run_id: str, point: str) -> None:
    def reach(name: str) -> None:
        if name == point:
            os.kill(os.getpid(), signal.SIGKILL)

    with open_application(settings, on_step=reach) as application:
        request = new_request(application, Workflow.OPTIMIZE, trigger=Trigger.OPERATOR)
        named = request.model_copy(update={"run_id": run_id})
        application.conductor.start(named, on_stage=lambda stage, _: reach(stage))
