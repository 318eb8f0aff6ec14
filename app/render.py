"""Tables and sentences for people: outcomes, records, verdicts, status. Model text is shown escaped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from rich.markup import escape

from app.console import print_table, say
from app.settings import without_secrets
from domain.run import AgentDecision, ModelCall, RunRecord, RunStatus
from domain.units import decimal_text, to_tokens
from domain.verdict import TradingState, Verdict
from guards.finding import FACT
from guards.render import alternative_rows, summary_rows

if TYPE_CHECKING:
    from app.settings import Settings
    from app.status import Standing
    from app.wiring import Application
    from memory.runs import RunSummary

COLORS: Final = {
    RunStatus.EXECUTED: "bold green",
    RunStatus.DENIED: "bold red",
    RunStatus.FAILED: "bold red",
    RunStatus.WAITING: "bold yellow",
    RunStatus.VETOED: "yellow",
    RunStatus.REFUSED: "yellow",
}
MAX_CELL: Final = 34
OPENAI_URL: Final = "https://api.openai.com/v1"
SILENT: Final = frozenset({"timeout", "unavailable"})
SPARK: Final = "▁▂▃▄▅▆▇█"


def status_text(status: RunStatus) -> str:
    color = COLORS.get(status, "bold")
    return f"[{color}]{status.upper()}[/{color}]"


def print_outcome(application: Application, run_id: str) -> None:
    """How a run ended, or what it waits for and the command that answers."""
    record = application.dependencies.runs.record(run_id)
    if record is not None:
        print_record(record)
        return
    for approval in application.dependencies.approvals.pending():
        if approval.run_id == run_id:
            say(f"{status_text(RunStatus.WAITING)} {run_id} needs an approver until {approval.expires_at:%H:%M:%S} UTC")
            say(escape(approval.summary))
            say(
                f"autofi approve {approval.batch_digest[:16]} --as NAME   or   autofi deny {approval.batch_digest[:16]}"
            )
            return
    say(f"{run_id} is open; `autofi run --resume {run_id}` continues it")


def print_record(record: RunRecord) -> None:
    """One run from trigger to receipt."""
    say(f"{status_text(record.status)} {record.request.run_id}: {escape(record.summary)}")
    for event in record.events:
        say(f"  event {event.kind} on {event.subject}: observed {event.observed}, limit {event.limit}")
    for decision in record.decisions:
        by = "by rule" if decision.is_by_rule else decision.model
        say(f"  {decision.agent} ({escape(by)}): {decision.choice} — {escape(decision.reason)}")
    if record.plan is not None:
        print_moves(record)
    if record.verdict is not None:
        print_verdict(record.verdict)
    if record.receipt is not None:
        receipt = record.receipt
        say(
            f"  transaction {receipt.transaction_hash} in block {receipt.block_number}: gas {receipt.gas_used:,}, "
            f"{decimal_text(to_tokens(receipt.gas_cost_wei, 18).normalize())} native"
        )
        print_surprises(record)


def model_complaint(
    settings: Settings, calls: Sequence[ModelCall], decisions: Sequence[AgentDecision], *, consequence: str
) -> str | None:
    """What to mend when the model was silent and a rule spoke in its place; None when the model had its say."""
    is_silent = any(call.outcome in SILENT and call.model == settings.model for call in calls)
    if not is_silent or not any(decision.is_by_rule for decision in decisions):
        return None
    address = without_secrets(settings.openai_base_url or OPENAI_URL)
    return (
        f"model {settings.model} at {address} did not answer (limit {settings.model_timeout_seconds:g} s); "
        f"{consequence} by rule; check OPENAI_BASE_URL and OPENAI_API_KEY; `autofi doctor`"
    )


def print_surprises(record: RunRecord) -> None:
    """What happened against what was simulated."""
    if not record.surprises:
        say("  realised = simulated, token by token within the policy's tolerance")
    for surprise in record.surprises:
        say(f"  [red]SURPRISE[/red] {surprise.token}: {surprise.amount} base units more than simulated")


def print_moves(record: RunRecord) -> None:
    if record.plan is None:
        return
    rows = [
        (move.kind, move.strategy or move.venue or "", move.token_in, str(move.amount_in), str(move.minimum_out))
        for move in record.plan.moves
    ]
    print_table(
        f"plan {record.batch_digest[:16] if record.batch_digest else ''} ({record.chosen})",
        ("move", "where", "token", "amount (base units)", "at least out"),
        rows,
    )


def print_verdict(verdict: Verdict) -> None:
    """Denials first, then one row per code, measured against limit; facts without a number only when denied."""
    rows = [
        (code, _short(subject), _short(observed), _short(limit), unit, _short(headroom), result)
        for _, code, subject, observed, limit, unit, headroom, result in summary_rows(verdict)
        if unit != FACT or result == "DENY"
    ]
    kind = "exit" if verdict.is_exit else "batch"
    answer = "PASS" if verdict.is_pass else "DENY"
    title = f"verdict {answer} on this {kind}: {len(verdict.findings)} limits judged, the first of each code shown"
    print_table(title, ("guard", "subject", "measured", "limit", "unit", "headroom", ""), rows)
    for code, subject, part in alternative_rows(verdict):
        say(f"  {code} ({escape(subject)}) would have passed {part} of this batch")


def _short(text: str) -> str:
    return text if len(text) <= MAX_CELL else f"{text[: MAX_CELL - 1]}…"


def print_runs(summaries: Sequence[RunSummary]) -> None:
    rows = [
        (s.request.run_id, s.request.workflow, s.status, f"{s.updated_at:%Y-%m-%d %H:%M:%S}", s.summary[:90])
        for s in summaries
    ]
    print_table("runs", ("run", "workflow", "status", "time", "summary"), rows, empty="none; `autofi run` starts one")


def print_holdings(standing: Standing, title: str) -> None:
    total = standing.net_asset_value_usd
    rows = [
        (h.strategy or "cash", h.token, f"{h.value_usd:,.2f}", f"{h.value_usd / total:.1%}" if total else "")
        for h in standing.holdings
    ]
    print_table(f"{title}: {total:,.2f} USD", ("where", "token", "USD", "share"), rows, empty="the account is empty")


def print_status(standing: Standing) -> None:
    state = "green" if standing.trading_state == "active" else "red"
    say(
        f"mode {standing.mode}, trading [{state}]{standing.trading_state}[/{state}], model {escape(standing.model)}, "
        f"block {standing.block_number}, {standing.time:%Y-%m-%d %H:%M:%S} UTC"
    )
    if standing.trading_state_problem:
        say(f"[red]{escape(standing.trading_state_problem)}[/red]")
    _print_restrictions(standing)
    for change in standing.pending_changes:
        say(f"[yellow]{escape(change)}[/yellow]")
    say(f"account {standing.account}")
    print_holdings(standing, "holdings")
    for approval in standing.approvals:
        say(
            f"waits for approval: {approval.batch_digest[:16]} ({approval.run_id}) until {approval.expires_at:%H:%M:%S}"
        )
    for run in standing.open_runs:
        say(f"open run: {run.request.run_id} is {run.status}; `autofi run --resume {run.request.run_id}`")


def _print_restrictions(standing: Standing) -> None:
    """Why trading is not active, and which protocols are closed to it."""
    change = standing.trading_state_change
    if change is not None and change.state == standing.trading_state != TradingState.ACTIVE:
        when = f"{change.at:%Y-%m-%d %H:%M:%S} UTC"
        say(f"{change.state} since {when} by {escape(change.by)}: {escape(change.reason)}; `autofi resume` ends it")
    for incident in standing.incidents:
        by = escape(incident.opened_by)
        say(f"[red]incident[/red] of {incident.protocol}, opened by {by}: {escape(incident.reason)}")


def sparkline(values: Sequence[float]) -> str:
    """One character a value, lowest to highest."""
    if not values:
        return ""
    low, high = min(values), max(values)
    width = (high - low) or 1.0
    return "".join(SPARK[round((value - low) / width * (len(SPARK) - 1))] for value in values)
