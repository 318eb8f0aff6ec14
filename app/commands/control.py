"""Human answers: approve or deny a waiting batch, halt or resume trading."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.console import naming_run, say

AnswerTarget = Annotated[str, typer.Argument(help="Batch digest (or its first 8 or more characters) from `status`.")]
AsUser = Annotated[str | None, typer.Option("--as", help="Who answers (AUTOFI_USER).")]
HomeOption = Annotated[Path | None, typer.Option("--home", help="State directory (AUTOFI_HOME).")]


def approve(target: AnswerTarget, *, user: AsUser = None, home: HomeOption = None) -> None:
    """Consent to exactly this batch and continue its run."""
    _answer(target, approved=True, user=user, home=home)


def deny(target: AnswerTarget, *, user: AsUser = None, home: HomeOption = None) -> None:
    """Refuse this batch; its run ends without a transaction."""
    _answer(target, approved=False, user=user, home=home)


def _answer(target: str, *, approved: bool, user: str | None, home: Path | None) -> None:
    from app.approvals import answer_approval
    from app.render import print_outcome
    from app.settings import load_settings
    from app.wiring import open_application

    settings = load_settings(home=home, user=user)
    with open_application(settings) as application:
        approval = answer_approval(application, target, approved=approved, answered_by=settings.user)
        say(f"{approval.status} by {approval.answered_by}: {approval.batch_digest}")
        with naming_run(approval.run_id):
            application.conductor.resume(approval.run_id)
        print_outcome(application, approval.run_id)


def halt(
    *,
    reason: Annotated[str, typer.Option(help="Why, in at most 200 characters; kept in the journal.")],
    user: AsUser = None,
    home: HomeOption = None,
) -> None:
    """Stop everything but exits, at once."""
    _write_state("halted", reason=reason, user=user, home=home)


def resume(
    *,
    reason: Annotated[str, typer.Option(help="Why, in at most 200 characters; kept in the journal.")],
    reducing: Annotated[bool, typer.Option("--reducing", help="Allow only what lowers risk.")] = False,
    user: AsUser = None,
    home: HomeOption = None,
) -> None:
    """Let trading go on. Only an operator can: no model and no schedule resumes."""
    _write_state("reducing" if reducing else "active", reason=reason, user=user, home=home)


def _write_state(state: str, *, reason: str, user: str | None, home: Path | None) -> None:
    from rich.markup import escape

    from app.clock import SystemClock
    from app.settings import load_settings
    from app.stores import open_stores
    from domain.verdict import TradingState

    reason, settings = require_reason(reason), load_settings(home=home, user=user)
    with open_stores(home=settings.home) as stores:
        stores.trading_state.write(TradingState(state), by=settings.user, reason=reason, at=SystemClock().now())
    say(f"trading is [bold]{state}[/bold], set by {settings.user}: {escape(reason)}")


def require_reason(text: str) -> str:
    """Of an operator's act, for the journal. Raises ConfigurationInvalid."""
    from app.api.schemas import MAX_REASON_CHARACTERS
    from domain.errors import ConfigurationInvalid

    reason = text.strip()
    if not 1 <= len(reason) <= MAX_REASON_CHARACTERS:
        raise ConfigurationInvalid(
            f"--reason has {len(reason)} characters, limits 1 and {MAX_REASON_CHARACTERS}; say why in a sentence"
        )
    return reason
