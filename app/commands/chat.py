"""`autofi chat`: ask the agent; it answers from tools with citations and never executes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.console import MODEL_DOWN_EXIT, print_error, print_json, say

if TYPE_CHECKING:
    from app.settings import Settings
    from domain.stages import ChatAnswer


def chat(
    question: Annotated[str | None, typer.Argument(help="One question; without it a conversation starts.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print data instead of text.")] = False,
    home: Annotated[Path | None, typer.Option("--home", help="State directory (AUTOFI_HOME).")] = None,
) -> None:
    """Ask about the portfolio, the market, runs or limits. A chat can propose a run; only you can start it.

    Exit code 0: answered; 2: an error; 3: the model did not answer, and a rule spoke in its place.
    """
    from app.settings import load_settings
    from app.wiring import ask_question, open_application

    with open_application(load_settings(home=home)) as application:
        if question is not None:
            answer = ask_question(application, question)
            print_json(answer) if as_json else _print_answer(answer.text, answer.citations, answer.proposed_workflow)
            _complain_of_model(application.settings, answer)
            return
        say("Ask away; an empty line ends the conversation.")
        while line := _next_line():
            answer = ask_question(application, line)
            _print_answer(answer.text, answer.citations, answer.proposed_workflow)
            _complain_of_model(application.settings, answer)


def _next_line() -> str:
    """Empty where the input ends, too."""
    try:
        return str(typer.prompt(">", default="", show_default=False)).strip()
    except typer.Abort as ending:
        if isinstance(ending.__context__, KeyboardInterrupt):
            raise
        return ""


def _complain_of_model(settings: Settings, answer: ChatAnswer) -> None:
    from app.render import model_complaint

    trace = answer.trace
    if trace is None:
        return
    complaint = model_complaint(settings, trace.model_calls, (trace.decision,), consequence="the chat was answered")
    if complaint is not None:
        print_error(complaint)
        raise typer.Exit(MODEL_DOWN_EXIT)


def _print_answer(text: str, citations: tuple[str, ...], proposed: str | None) -> None:
    from rich.markup import escape

    say(escape(text))
    if citations:
        say(f"[dim]from {escape(', '.join(citations))}[/dim]")
    if proposed:
        say(f"[bold]proposed:[/bold] autofi run --workflow {proposed}")
