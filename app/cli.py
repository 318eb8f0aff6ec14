"""`autofi`: the root command and its one error handler. Commands live in app.commands; heavy imports are lazy."""

from __future__ import annotations

import sys
from typing import Annotated, Final

import typer

from app.commands import audit, books, chat, control, incidents, policy, runs, setup
from app.console import ERROR_EXIT, print_error
from domain.errors import AutofiError

INTERRUPTED_EXIT: Final = 130  # 128 and the number of SIGINT, as shells have it
HELP = """A treasury agent for DeFi: agents decide, hard guards refuse, money moves, the audit trail proves it.

Start with `autofi demo`: everything at once, offline, in a minute. Then `autofi init`, `autofi run`, `autofi status`.
State lives in AUTOFI_HOME (default ~/.autofi); limits in config/policy.toml (AUTOFI_POLICY names another file).
"""

cli = typer.Typer(help=HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
cli.command("demo")(setup.demo)
cli.command("init")(setup.init)
cli.command("run")(runs.run)
cli.command("chat")(chat.chat)
cli.command("approve")(control.approve)
cli.command("deny")(control.deny)
cli.command("status")(runs.status)
cli.command("runs")(runs.runs)
cli.add_typer(audit.commands, name="audit")
cli.add_typer(policy.commands, name="policy")
cli.add_typer(books.commands, name="books")
cli.add_typer(incidents.commands, name="incident")
cli.command("halt")(control.halt)
cli.command("resume")(control.resume)
cli.command("doctor")(setup.doctor)
cli.command("serve")(setup.serve)
cli.add_typer(setup.chain_commands, name="chain")


@cli.callback(invoke_without_command=True)
def root(*, version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False) -> None:
    if version:
        from app.version import code_version

        typer.echo(code_version())
        raise typer.Exit


def main() -> None:
    """Entry point: every expected error is one sentence on stderr and exit code 2."""
    try:
        cli()
    except AutofiError as error:
        print_error(f"{error}")
        sys.exit(ERROR_EXIT)
    except OSError as error:  # a full disk, a folder that may not be written
        print_error(f"{error.filename or 'the system'}: {error.strerror}; nothing further was done")
        sys.exit(ERROR_EXIT)
    except SystemExit as ending:  # typer makes one of Ctrl-C, too
        if ending.code == INTERRUPTED_EXIT:
            print_error("interrupted")
        raise
