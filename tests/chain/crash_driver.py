"""Processes that die on purpose, or resume what died. Imported once by a fork server, so that each starts at once."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path

import eth_account  # noqa: F401  # what the product imports late, paid once here
import web3  # noqa: F401

import app.render  # noqa: F401
import graph.model_offline  # noqa: F401
from app.cli import main
from app.settings import Settings
from app.wiring import new_request, open_application
from domain.run import Trigger, Workflow


def die_at(settings: Settings, run_id: str, point: str) -> None:
    """Start a run and kill this process right after the named stage of the graph or step of the sender."""

    def reach(name: str) -> None:
        if name == point:
            os.kill(os.getpid(), signal.SIGKILL)

    with open_application(settings, on_step=reach) as application:
        request = new_request(application, Workflow.OPTIMIZE, trigger=Trigger.OPERATOR)
        named = request.model_copy(update={"run_id": run_id})
        application.conductor.start(named, on_stage=lambda stage, _: reach(stage))


def run_command(settings: Settings, arguments: list[str], output: Path) -> None:
    """`autofi` with these arguments, as `python -m app` starts it."""
    os.environ["AUTOFI_HOME"], os.environ["AUTOFI_CACHE"] = str(settings.home), str(settings.cache)
    sys.argv = ["autofi", *arguments]
    with output.open("w") as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
        main()
