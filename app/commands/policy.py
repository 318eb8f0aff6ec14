"""`autofi policy`: show the limits, check a file before it is used."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.console import print_json, print_table, say

commands = typer.Typer(help="Show and check the limits.", no_args_is_help=True)

FileArgument = Annotated[Path | None, typer.Argument(help="A policy file; default is the one in use.")]


@commands.command("show")
def show(
    file: FileArgument = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print data instead of a table.")] = False,
) -> None:
    """Show every limit with its unit."""
    from app.settings import load_policy, load_settings

    policy = load_policy(file or load_settings().policy_path)
    if as_json:
        print_json({"digest": policy.digest(), "policy": policy.model_dump(mode="json")})
        return
    sections = {name: value for name, value in policy.model_dump(mode="json").items() if isinstance(value, dict)}
    rows = [(section, key, str(limit)) for section, limits in sections.items() for key, limit in limits.items()]
    print_table(f"policy {policy.name}, digest {policy.digest()[:16]}", ("section", "limit", "value"), rows)


@commands.command("check")
def check(file: FileArgument = None) -> None:
    """Check a policy file: exit code 0 and its digest, or one error that names the key, the limit and the fix."""
    from app.settings import load_policy, load_settings

    path = file or load_settings().policy_path
    policy = load_policy(path)
    say(f"[green]ok[/green] {path}: policy {policy.name!r}, digest {policy.digest()}")
