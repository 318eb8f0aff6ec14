"""`autofi run`, `runs` and `status`: start or continue a decision, and see where things stand."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from app.console import print_json, progress

HomeOption = Annotated[Path | None, typer.Option("--home", help="State directory (AUTOFI_HOME).")]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print data instead of tables.")]


class WorkflowName(StrEnum):
    OPTIMIZE = "optimize"
    MITIGATE = "mitigate"
    REBALANCE = "rebalance"


def run(
    *,
    workflow: Annotated[WorkflowName, typer.Option(help="What to decide about.")] = WorkflowName.OPTIMIZE,
    resume: Annotated[str | None, typer.Option(help="Continue this run after a crash or an answer.")] = None,
    policy: Annotated[Path | None, typer.Option(help="Limits to use (AUTOFI_POLICY).")] = None,
    as_json: JsonFlag = False,
    home: HomeOption = None,
) -> None:
    """Make one decision and carry it out as far as the guards, and where needed a human, allow."""
    from app.render import print_outcome
    from app.settings import load_settings
    from app.wiring import new_request, open_application
    from domain.errors import UnknownSubject
    from domain.run import RunStatus, Trigger, Workflow

    settings = load_settings(home=home, policy=policy)
    with open_application(settings, report=progress) as application:
        if resume is None:
            request = new_request(application, Workflow(workflow), trigger=Trigger.OPERATOR)
            run_id = request.run_id
            status = application.conductor.start(request, on_stage=lambda stage, _: progress(f"{run_id}: {stage}"))
        else:
            run_id = resume
            if application.dependencies.runs.request(run_id) is None:
                raise UnknownSubject(f"run {run_id!r} was never started here; `autofi runs` lists the runs")
            status = application.conductor.resume(run_id, on_stage=lambda stage, _: progress(f"{run_id}: {stage}"))
        if as_json:
            record = application.dependencies.runs.record(run_id)
            print_json(
                {"run_id": run_id, "status": status, "record": record.model_dump(mode="json") if record else None}
            )
        else:
            print_outcome(application, run_id)
    if status is RunStatus.FAILED:
        raise typer.Exit(1)


def status(*, as_json: JsonFlag = False, home: HomeOption = None) -> None:
    """Show value, holdings, trading state, open approvals and open runs."""
    from app.render import print_status
    from app.settings import load_settings
    from app.status import read_status
    from app.wiring import open_application

    with open_application(load_settings(home=home)) as application:
        standing = read_status(application)
    if as_json:
        print_json(standing)
    else:
        print_status(standing)


def runs(
    *,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most this many, newest first.")] = 20,
    as_json: JsonFlag = False,
    home: HomeOption = None,
) -> None:
    """List runs, newest first."""
    from app.render import print_runs
    from app.stores import open_stores

    with open_stores(home=home) as stores:
        summaries = list(stores.runs.recent(limit=limit))
    if as_json:
        print_json(list(summaries))
    else:
        print_runs(summaries)
