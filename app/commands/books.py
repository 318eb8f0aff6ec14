"""`autofi books`: which books this home belongs to, leading it to others, accepting what the chain shows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.commands.control import require_reason
from app.console import print_json, say

commands = typer.Typer(
    help="Which books the home belongs to, and whether they know what the chain shows.", no_args_is_help=True
)

Reason = Annotated[str, typer.Option(help="Why, in at most 200 characters; kept in the journal.")]
Yes = Annotated[bool, typer.Option("--yes", help="Yes, somebody has looked.")]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print data instead of text.")]
AsUser = Annotated[str | None, typer.Option("--as", help="Who does it (AUTOFI_USER).")]
HomeOption = Annotated[Path | None, typer.Option("--home", help="State directory (AUTOFI_HOME).")]


@commands.command("show")
def show(*, as_json: JsonFlag = False, home: HomeOption = None) -> None:
    """Show the identity of the home's books, and where the database is."""
    from app.books import open_books
    from app.settings import load_settings

    database = open_books(load_settings(home=home))
    identity, name = database.identity(), database.name
    database.close()
    if as_json:
        print_json({"identity": identity, "database": name})
    else:
        say(f"books {identity} in {name}")


@commands.command("move")
def move(*, reason: Reason, yes: Yes = False, user: AsUser = None, home: HomeOption = None) -> None:
    """Lead the home to the books that AUTOFI_DATABASE_URL names, new ones where it is empty. Trading is halted."""
    from app.books_move import move_books
    from app.settings import load_settings

    reason, settings = require_reason(reason), load_settings(home=home, user=user)
    _require_yes("move leaves budgets and limits of the old books behind: compare both, then add --yes", yes=yes)
    identity = move_books(settings, reason=reason)
    say(f"{settings.home} belongs to books {identity} now; trading is [bold]halted[/bold], `autofi resume` ends that")


@commands.command("accept")
def accept(*, reason: Reason, yes: Yes = False, user: AsUser = None, home: HomeOption = None) -> None:
    """Accept that the chain shows more than the books know, after looking at it. The trading state stays."""
    from app.settings import load_settings
    from app.wiring import open_application

    reason, settings = require_reason(reason), load_settings(home=home, user=user)
    _require_yes("accept takes what the books do not know as right: look at it on the chain, then add --yes", yes=yes)
    with open_application(settings) as application:
        use = application.chain_books.accept(by=settings.user, reason=reason).use
        state = application.stores.trading_state.read()
    say(f"accepted by {settings.user}: operator {use.operator_count}, Safe {use.safe_count} transactions")
    say(f"trading is [bold]{state}[/bold]; `autofi resume --reason WHY` lets it go on")


def _require_yes(why: str, *, yes: bool) -> None:
    from domain.errors import ConfigurationInvalid

    if not yes:
        raise ConfigurationInvalid(why)
