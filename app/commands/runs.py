"""`autofi run`, `runs` and `status`: start or continue a decision, and see where things stand."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.console import FAILED_EXIT, MODEL_DOWN_EXIT, naming_run, print_error, print_json, progress

if TYPE_CHECKING:
    from app.settings import Settings
    from app.wiring import Application
    from domain.run import RunRecord, RunStatus

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
    policy: Annotated[
        Path | None,
        typer.Option(help="File of limits to follow (AUTOFI_POLICY): tighter ones bind at once, looser ones wait."),
    ] = None,
    as_json: JsonFlag = False,
    home: HomeOption = None,
) -> None:
    """Make one decision and carry it out as far as the guards, and where needed a human, allow.

    Exit code 0: decided (executed, denied, held, waiting, unchanged...); 1: the run failed; 2: an error before it;
    3: the model did not answer, and a rule decided in its place.
    """
    from app.render import print_outcome
    from app.settings import load_settings
    from app.wiring import open_application
    from domain.run import RunStatus

    settings = load_settings(home=home, policy=policy)
    with open_application(settings, report=progress) as application:
        run_id = _new_run(application, workflow) if resume is None else _known_run(application, resume)
        status = _walk(application, run_id)
        record = application.dependencies.runs.record(run_id)
        if as_json:
            print_json(
                {"run_id": run_id, "status": status, "record": record.model_dump(mode="json") if record else None}
            )
        else:
            print_outcome(application, run_id)
    if status is RunStatus.FAILED:
        raise typer.Exit(FAILED_EXIT)
    if record is not None:
        _complain_of_model(settings, record)


def _new_run(application: Application, workflow: WorkflowName) -> str:
    """Admitted first, so that a crash at any later moment leaves a run that can be resumed."""
    from app.wiring import new_request
    from domain.run import Trigger, Workflow

    request = new_request(application, Workflow(workflow), trigger=Trigger.OPERATOR)
    application.dependencies.runs.start(request)
    return request.run_id


def _known_run(application: Application, run_id: str) -> str:
    from domain.errors import UnknownSubject

    if application.dependencies.runs.request(run_id) is None:
        raise UnknownSubject(f"run {run_id!r} was never started here; `autofi runs` lists the runs")
    return run_id


def _walk(application: Application, run_id: str) -> RunStatus:
    with naming_run(run_id):
        return application.conductor.resume(run_id, on_stage=lambda stage, _: progress(f"{run_id}: {stage}"))


def _complain_of_model(settings: Settings, record: RunRecord) -> None:
    from app.render import model_complaint

    consequence = f"the run {record.status}"
    complaint = model_complaint(settings, record.model_calls, record.decisions, consequence=consequence)
    if complaint is not None:
        print_error(complaint)
        raise typer.Exit(MODEL_DOWN_EXIT)


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
