"""`autofi audit`: read the decision trail, prove it, take it along. Needs the database only, no chain and no model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.console import print_json, print_table, say

commands = typer.Typer(help="Read, prove and export the decision audit trail.", no_args_is_help=True)

JsonFlag = Annotated[bool, typer.Option("--json", help="Print data instead of tables.")]
HomeOption = Annotated[Path | None, typer.Option("--home", help="State directory (AUTOFI_HOME).")]


@commands.command("list")
def list_entries(
    *,
    kind: Annotated[str | None, typer.Option(help="Only entries of this kind, for example `run`.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most this many, newest first.")] = 50,
    as_json: JsonFlag = False,
    home: HomeOption = None,
) -> None:
    """List the journal's entries, newest first."""
    from app.stores import open_stores

    with open_stores(home=home) as stores:
        entries = list(reversed(stores.journal.entries(kind=kind, limit=limit)))
    if as_json:
        print_json(list(entries))
        return
    rows = [
        (str(e.sequence), f"{e.recorded_at:%Y-%m-%d %H:%M:%S}", e.kind, e.subject, e.entry_hash[:16]) for e in entries
    ]
    print_table("journal", ("#", "time", "kind", "subject", "hash"), rows, empty="no entries; `autofi run` makes one")


@commands.command("show")
def show(
    run_id: Annotated[str, typer.Argument(help="The run to show; `autofi runs` lists them.")],
    *,
    as_json: JsonFlag = False,
    home: HomeOption = None,
) -> None:
    """Show one run's whole record: inputs, decisions, verdict table, transaction."""
    from app.render import print_record
    from app.stores import open_stores
    from domain.errors import UnknownSubject

    with open_stores(home=home) as stores:
        record = stores.runs.record(run_id)
    if record is None:
        raise UnknownSubject(f"run {run_id!r} has no record; `autofi runs` lists the runs")
    if as_json:
        print_json(record)
        return
    print_record(record)


@commands.command("verify")
def verify(*, as_json: JsonFlag = False, home: HomeOption = None) -> None:
    """Walk every book's hash chain and check every artifact; exit code 1 when anything does not hold."""
    from app.settings import load_settings
    from app.verification import describe_proof, verify_journal

    result = verify_journal(load_settings(home=home))
    if as_json:
        print_json(result)
    elif result.is_verified:
        say(f"[bold green]VERIFIED[/bold green] {describe_proof(result)}")
    else:
        place = "" if result.broken_sequence is None else f" at entry {result.broken_sequence}"
        say(f"[bold red]BROKEN[/bold red]{place}: {result.problem}")
    if not result.is_verified:
        raise typer.Exit(1)


@commands.command("reanchor")
def reanchor(
    *,
    reason: Annotated[str, typer.Option(help="Why; kept in the journal.")],
    yes: Annotated[bool, typer.Option("--yes", help="Yes, whatever is missing from the books is accepted.")] = False,
    user: Annotated[str | None, typer.Option("--as", help="Who accepts it (AUTOFI_USER).")] = None,
    home: HomeOption = None,
) -> None:
    """Accept the books as they are, after a backup was restored or the anchor beside the database was lost."""
    from app.clock import SystemClock
    from app.settings import load_settings
    from app.stores import open_stores
    from app.verification import accept_books
    from domain.errors import ConfigurationInvalid

    if not yes:
        raise ConfigurationInvalid(
            "reanchor accepts the loss of every entry that only the anchor knew: restore database and anchor from one "
            "backup instead, or add --yes"
        )
    settings = load_settings(home=home, user=user)
    with open_stores(settings=settings) as stores:
        entry = accept_books(stores, by=settings.user, reason=reason, clock=SystemClock())
    say(f"books accepted as they are by {settings.user}, journal entry {entry.sequence}: {reason}")


@commands.command("export")
def export(
    target: Annotated[Path, typer.Argument(help="File to write; one JSON object a line.")],
    *,
    home: HomeOption = None,
) -> None:
    """Write every entry with its body as JSON lines, oldest first."""
    from app.stores import open_stores
    from app.verification import export_journal

    with open_stores(home=home) as stores:
        count = export_journal(stores.journal, target)
    say(f"{count} entries written to {target}")
