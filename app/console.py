"""How the command line speaks: tables and progress for people, JSON for programs, one error on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console

FAILED_EXIT: Final = 1
ERROR_EXIT: Final = 2
MODEL_DOWN_EXIT: Final = 3
PIPE_WIDTH: Final = 132  # of tables in files and CI logs, which have no width of their own


def console(*, to_stderr: bool = False) -> Console:
    from rich.console import Console

    stream = sys.stderr if to_stderr else sys.stdout
    return Console(stderr=to_stderr, highlight=False, width=None if stream.isatty() else PIPE_WIDTH)


def say(text: str) -> None:
    """One line for a person, with rich markup."""
    console().print(text)


def progress(text: str) -> None:
    """News on long work: stderr, so that stdout stays data."""
    console(to_stderr=True).print(f"[dim]{text}[/dim]")


@contextmanager
def naming_run(run_id: str) -> Iterator[None]:
    """Whoever interrupts a run learns how to go on with it."""
    try:
        yield
    except KeyboardInterrupt:
        progress(f"{run_id} is open; `autofi run --resume {run_id}` continues it")
        raise


def print_json(value: BaseModel | Sequence[BaseModel] | dict[str, object] | list[object]) -> None:
    sys.stdout.write(json.dumps(_plain(value), indent=2, ensure_ascii=False) + "\n")


def _plain(value: object) -> object:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def print_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str = "nothing yet"
) -> None:
    """A table, or the sentence that says why there is none and what to do."""
    from rich.markup import escape
    from rich.table import Table

    lines = [tuple(escape(cell) for cell in row) for row in rows]
    if not lines:
        say(f"{title}: [dim]{escape(empty)}[/dim]")
        return
    table = Table(title=title, title_justify="left", title_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for line in lines:
        table.add_row(*line)
    console().print(table)


def print_error(message: str) -> None:
    from rich.markup import escape

    console(to_stderr=True).print(f"[bold red]error:[/bold red] {escape(message)}", soft_wrap=True)


def print_warning(message: str) -> None:
    """What is wrong and stops nothing: stderr, so that stdout stays data."""
    from rich.markup import escape

    console(to_stderr=True).print(f"[bold yellow]warning:[/bold yellow] {escape(message)}", soft_wrap=True)
