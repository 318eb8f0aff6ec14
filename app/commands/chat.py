"""`autofi chat`: ask the agent; it answers from tools with citations and never executes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.console import print_json, say


def chat(
    question: Annotated[str | None, typer.Argument(help="One question; without it a conversation starts.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print data instead of text.")] = False,
    home: Annotated[Path | None, typer.Option("--home", help="State directory (AUTOFI_HOME).")] = None,
) -> None:
    """Ask about the portfolio, the market, runs or limits. A chat can propose a run; only you can start it."""
    from app.settings import load_settings
    from app.wiring import ask_question, open_application

    with open_application(load_settings(home=home)) as application:
        if question is not None:
            answer = ask_question(application, question)
            print_json(answer) if as_json else _print_answer(answer.text, answer.citations, answer.proposed_workflow)
            return
        say("Ask away; an empty line ends the conversation.")
        while line := typer.prompt(">", default="", show_default=False).strip():
            answer = ask_question(application, line)
            _print_answer(answer.text, answer.citations, answer.proposed_workflow)


def _print_answer(text: str, citations: tuple[str, ...], proposed: str | None) -> None:
    from rich.markup import escape

    say(escape(text))
    if citations:
        say(f"[dim]from {escape(', '.join(citations))}[/dim]")
    if proposed:
        say(f"[bold]proposed:[/bold] autofi run --workflow {proposed}")
