"""`autofi demo`: the whole promise on one local chain, offline: five decisions, one audit trail, exit code 0."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from app.approvals import answer_approval
from app.console import progress, say
from app.hindsight import judge_exit
from app.initialize import initialize
from app.paper import PaperChain
from app.policy_edit import replace_limit
from app.render import print_holdings, print_outcome, sparkline, status_text
from app.scenes import play
from app.settings import POLICY_FILE, Settings, load_settings
from app.status import Standing, read_status
from app.verification import describe_proof, verify_journal
from app.wiring import Application, new_request, open_application
from domain.errors import AutofiError, ConfigurationInvalid, InvariantBroken
from domain.run import RunRecord, RunStatus, Trigger, Workflow

APPROVER: Final = "alice"
TIGHT_THRESHOLD_USD: Final = "10_000"
SETTLING_RUNS: Final = 5
"""A run may still improve on the last one; after at most so many there is nothing left worth moving."""
SILENCED: Final = "price_stale"
"""The one code that act 2's denial must name."""
FALLING: Final = "usdx"
NOT_THE_DEMOS: Final = dict.fromkeys(("policy", "strategies", "database_url", "rpc_url", "keystore"))
"""Whatever the environment says about a real portfolio, the demo touches only its own."""


@dataclass
class _Stage:
    """What the acts share: the installation and the value after each act."""

    settings: Settings
    values: list[float] = field(default_factory=list)


def run_demo(*, keep: Path | None) -> None:
    """Raises InvariantBroken when an act does not end as it must: the demo is a test, too."""
    with _home(keep) as home:
        settings = load_settings(home=home, mode="paper", model="offline", user="demo")
        stage = _Stage(settings.model_copy(update=NOT_THE_DEMOS))
        say("[bold]AutoFi-Nexus demo[/bold]: a real EVM node with real protocol bytecode, offline, no key, no account")
        say("agents speak through the [bold]offline policy model[/bold] (no language model is called)\n")
        try:
            initialize(stage.settings, safe=None, new_safe=False, report=progress)
            for act in (_execute, _deny, _approve, _mitigate, _skip):
                act(stage)
            _prove(stage)
        finally:
            _stop_chain(home)
        if keep is not None:
            say(f"kept in {home}; try: AUTOFI_HOME={home} autofi status")


@contextmanager
def _home(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        if keep.exists():
            raise ConfigurationInvalid(f"--keep {keep}: exists already; name a new directory")
        yield keep.absolute()
        return
    folder = Path(tempfile.mkdtemp(prefix="autofi-demo-"))
    try:
        yield folder / "home"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _stop_chain(home: Path) -> None:
    if not PaperChain.exists(home):
        return
    try:
        PaperChain.of(home).stop()
    except AutofiError as error:
        progress(f"local chain: {error}")


def _execute(stage: _Stage) -> None:
    _title(1, "idle money is put to work, and every guard agrees")
    with open_application(stage.settings) as application:
        before = read_status(application)
        stage.values.append(float(before.net_asset_value_usd))
        print_holdings(before, "before")
        _expect(application, _run(application), RunStatus.EXECUTED)
        _show_after(stage, application)


def _deny(stage: _Stage) -> None:
    _title(2, "DAI demand lifts its rate, but the ETH price feed has gone silent: a guard refuses")
    _play(stage, "dai-demand", "stall-feed")
    with open_application(stage.settings) as application:
        run_id = _run(application)
        _expect(application, run_id, RunStatus.DENIED)
        _expect_silenced(_record(application, run_id))
        _note_value(stage, application)


def _expect_silenced(record: RunRecord) -> None:
    codes = {denial.code for denial in record.verdict.denials} if record.verdict else set()
    if codes != {SILENCED}:
        raise InvariantBroken(f"run {record.request.run_id} must be denied by {SILENCED} alone, got {sorted(codes)}")


def _approve(stage: _Stage) -> None:
    _title(3, f"the feed is back; the owner now wants to see everything above {TIGHT_THRESHOLD_USD} USD")
    replace_limit(stage.settings.home / POLICY_FILE, "approval", "min_value_without_approval_usd", TIGHT_THRESHOLD_USD)
    _play(stage, "refresh-feeds")
    with open_application(stage.settings) as application:
        run_id = _run(application)
        _expect(application, run_id, RunStatus.WAITING)
        say(f"[bold]{APPROVER}[/bold] reads the decoded calls above and consents to exactly these")
        _consent(application, run_id)
        _expect(application, run_id, RunStatus.EXECUTED)
        _show_after(stage, application)


def _consent(application: Application, run_id: str) -> None:
    for waiting in application.dependencies.approvals.pending():
        say(f"[bold]{APPROVER}[/bold] approves digest {waiting.batch_digest[:16]}")
        answer_approval(application, waiting.batch_digest, approved=True, answered_by=APPROVER)
    application.conductor.resume(run_id)


def _mitigate(stage: _Stage) -> None:
    _title(4, "USDX loses its peg: the mitigation workflow leaves the position, no human and no limit in the way")
    _play(stage, "break-peg")
    with open_application(stage.settings) as application:
        run_id = _run(application)
        _expect(application, run_id, RunStatus.EXECUTED)
        standing = _show_after(stage, application)
        _expect_left(_record(application, run_id), standing)
    _play(stage, "collapse")
    with open_application(stage.settings) as application:
        _say_what_holding_on_had_cost(application, run_id)


def _expect_left(record: RunRecord, standing: Standing) -> None:
    run_id = record.request.run_id
    if not record.events or record.verdict is None or not record.verdict.is_exit:
        raise InvariantBroken(f"run {run_id} must be an exit that answers risk events, got {len(record.events)} events")
    held = [holding.strategy for holding in standing.holdings if holding.token == FALLING and holding.strategy]
    if held:
        raise InvariantBroken(f"run {run_id} must leave every {FALLING} position, still held are {held}")


def _say_what_holding_on_had_cost(application: Application, run_id: str) -> None:
    dependencies = application.dependencies
    record, snapshot = _record(application, run_id), dependencies.market.snapshot()
    exited = judge_exit(record, FALLING, snapshot=snapshot, catalog=dependencies.catalog)
    say(
        f"the exit sold {exited.sold_tokens:,.2f} {FALLING.upper()} for {exited.brought_usd:,.2f} USD; at "
        f"{exited.price_usd:.4f} USD they are worth {exited.worth_usd:,.2f} USD: "
        f"holding on had lost [bold]{exited.avoided_loss_usd:,.2f} USD[/bold]"
    )


def _skip(stage: _Stage) -> None:
    _title(5, "nothing changed: no model is asked")
    with open_application(stage.settings) as application:
        run_id = _settle_down(application)
        _expect(application, run_id, RunStatus.UNCHANGED)
        if _record(application, run_id).model_calls:
            raise InvariantBroken(f"run {run_id} is unchanged and yet called a model")
        say("model calls: 0")
        _note_value(stage, application)


def _settle_down(application: Application) -> str:
    """Run until a run finds what the last one left."""
    for _ in range(SETTLING_RUNS):
        run_id = _run(application)
        if _status(application, run_id) is RunStatus.WAITING:
            _consent(application, run_id)
        status = _status(application, run_id)
        if status is RunStatus.UNCHANGED:
            return run_id
        say(f"{run_id}: {status_text(status)}, looking again")
    return _run(application)


def _prove(stage: _Stage) -> None:
    say("\n[bold]audit[/bold]")
    result = verify_journal(stage.settings)
    if not result.is_verified:
        raise InvariantBroken(f"the audit trail does not hold: {result.problem}")
    say(f"autofi audit verify: [bold green]VERIFIED[/bold green] {describe_proof(result)}")
    first, last = stage.values[0], stage.values[-1]
    say(f"value over time {sparkline(stage.values)} {first:,.2f} → {last:,.2f} USD")


def _play(stage: _Stage, *scenes: str) -> None:
    market = PaperChain.of(stage.settings.home).scenario()
    for scene in scenes:
        say(f"[dim]market: {play(market, scene)}[/dim]")


def _run(application: Application) -> str:
    request = new_request(application, Workflow.OPTIMIZE, trigger=Trigger.OPERATOR)
    application.conductor.start(request)
    return request.run_id


def _record(application: Application, run_id: str) -> RunRecord:
    record = application.dependencies.runs.record(run_id)
    if record is None:
        raise InvariantBroken(f"run {run_id} ended and left no record")
    return record


def _status(application: Application, run_id: str) -> RunStatus:
    record = application.dependencies.runs.record(run_id)
    return record.status if record is not None else RunStatus.WAITING


def _expect(application: Application, run_id: str, status: RunStatus) -> None:
    print_outcome(application, run_id)
    actual = _status(application, run_id)
    if actual is not status:
        raise InvariantBroken(f"this act must end {status}, run {run_id} is {actual}")


def _show_after(stage: _Stage, application: Application) -> Standing:
    standing = _note_value(stage, application)
    print_holdings(standing, "after")
    return standing


def _note_value(stage: _Stage, application: Application) -> Standing:
    standing = read_status(application)
    stage.values.append(float(standing.net_asset_value_usd))
    return standing


def _title(number: int, text: str) -> None:
    say(f"\n[bold cyan]({number}) {text}[/bold cyan]")
