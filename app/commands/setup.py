"""Setting up and looking after an installation: demo, init, doctor, serve, and the local chain."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.console import print_json, print_table, progress, say

HomeOption = Annotated[Path | None, typer.Option("--home", help="State directory (AUTOFI_HOME).")]

chain_commands = typer.Typer(
    help="The local chain of paper mode. After an hour without a command its price feeds report again.",
    no_args_is_help=True,
)


def demo(
    *,
    keep: Annotated[Path | None, typer.Option(help="Keep everything in this new directory afterwards.")] = None,
) -> None:
    """Show everything at once on a real local chain, offline: execute, deny, approve, mitigate, skip, verify."""
    from app.demo import run_demo

    run_demo(keep=keep)


def init(
    *,
    safe: Annotated[str | None, typer.Option(help="Adopt this existing Safe (its owner must be the operator).")] = None,
    new_safe: Annotated[bool, typer.Option("--new-safe", help="Make a new, empty Safe (paper mode).")] = False,
    home: HomeOption = None,
) -> None:
    """Set up a portfolio: database, limits to edit, account. Paper mode brings a funded demo Safe."""
    from app.initialize import initialize
    from app.settings import load_settings

    settings = load_settings(home=home)
    account = initialize(settings, safe=safe, new_safe=new_safe, report=progress)
    say(f"[green]ready[/green] {settings.home}, mode {settings.mode}, account {account}")
    say(f"limits: {settings.home / 'policy.toml'}   next: autofi run, autofi status")


def doctor(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print data instead of a table.")] = False,
    home: HomeOption = None,
) -> None:
    """Check every part; exit code 1 when something needs mending."""
    from app.doctor import examine
    from app.settings import load_settings

    findings = examine(load_settings(home=home))
    if as_json:
        print_json(list(findings))
    else:
        rows = [("ok" if each.is_healthy else "MEND", each.part, each.observed, each.fix) for each in findings]
        print_table("doctor", ("", "part", "observed", "fix"), rows)
    if not all(each.is_healthy for each in findings):
        raise typer.Exit(1)


def serve(
    *,
    host: Annotated[
        str, typer.Option(help="Address to listen on; other than loopback needs AUTOFI_API_TOKEN.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8420,
    home: HomeOption = None,
) -> None:
    """Serve the HTTP API: chat, runs, approvals, audit."""
    from app.api.server import serve as serve_api
    from app.settings import load_settings

    serve_api(load_settings(home=home), host=host, port=port)


@chain_commands.command("start")
def chain_start(*, home: HomeOption = None) -> None:
    """Start the local chain, or say where it runs."""
    from app.paper import PaperChain
    from app.settings import load_settings

    say(PaperChain.of(load_settings(home=home).home).start())


@chain_commands.command("stop")
def chain_stop(*, home: HomeOption = None) -> None:
    """Stop the local chain; its state stays in the home."""
    from app.paper import PaperChain
    from app.settings import load_settings

    stopped = PaperChain.of(load_settings(home=home).home).stop()
    say("stopped" if stopped else "was not running")


@chain_commands.command("play")
def chain_play(
    scene: Annotated[
        str | None, typer.Argument(help="What happens to the market; without it the scenes are listed.")
    ] = None,
    *,
    home: HomeOption = None,
) -> None:
    """Make something happen on the local chain: a day passes, a peg breaks, a feed stalls, gas spikes..."""
    from app.paper import PaperChain
    from app.scenes import SCENES, play, require_scene
    from app.settings import load_settings

    if scene is None:
        print_table("scenes", ("scene", "what happens"), [(name, story) for name, (story, _) in SCENES.items()])
        return
    require_scene(scene)  # before a chain is started for nothing
    say(play(PaperChain.of(load_settings(home=home).home).scenario(), scene))
