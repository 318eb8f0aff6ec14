"""`autofi incident`: an operator's word that a protocol is in trouble. Nothing enters it until somebody closes it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.commands.control import require_reason
from app.console import print_json, print_table, say

commands = typer.Typer(help="Open, close and list incidents of protocols.", no_args_is_help=True)

ProtocolArgument = Annotated[str, typer.Argument(help="As in strategies.toml, for example `aave-v3`.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, in at most 200 characters; kept in the journal.")]
AsUser = Annotated[str | None, typer.Option("--as", help="Who says so (AUTOFI_USER).")]
HomeOption = Annotated[Path | None, typer.Option("--home", help="State directory (AUTOFI_HOME).")]


@commands.command("open")
def open_(protocol: ProtocolArgument, *, reason: ReasonOption, user: AsUser = None, home: HomeOption = None) -> None:
    """Keep out of a protocol at once. While something is held in it, trading only reduces; exits pass."""
    from rich.markup import escape

    from app.incidents import open_incident
    from app.policy_in_force import known_catalog
    from app.settings import load_settings
    from app.stores import open_stores

    settings, reason = load_settings(home=home, user=user), require_reason(reason)
    with open_stores(settings=settings) as stores:
        catalog = known_catalog(stores, settings)
        incident = open_incident(stores.incidents, catalog, protocol, by=settings.user, reason=reason)
    say(f"incident of [bold]{protocol}[/bold] is open, opened by {incident.opened_by}: {escape(incident.reason)}")


@commands.command("close")
def close(protocol: ProtocolArgument, *, reason: ReasonOption, user: AsUser = None, home: HomeOption = None) -> None:
    """Let the protocol be entered again. A trading state that fell because of it needs `autofi resume`, too."""
    from rich.markup import escape

    from app.incidents import close_incident
    from app.settings import load_settings
    from app.stores import open_stores

    settings, reason = load_settings(home=home, user=user), require_reason(reason)
    with open_stores(settings=settings) as stores:
        incident = close_incident(stores.incidents, protocol, by=settings.user, reason=reason)
    say(f"incident of [bold]{incident.protocol}[/bold] is closed by {settings.user}: {escape(reason)}")


@commands.command("list")
def list_open(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print data instead of a table.")] = False,
    home: HomeOption = None,
) -> None:
    """List the open incidents, oldest first."""
    from app.stores import open_stores

    with open_stores(home=home) as stores:
        incidents = stores.incidents.listed()
    if as_json:
        print_json(list(incidents))
        return
    rows = [(i.protocol, f"{i.opened_at:%Y-%m-%d %H:%M:%S}", i.opened_by, i.reason) for i in incidents]
    print_table("open incidents", ("protocol", "since", "by", "reason"), rows, empty="none")
