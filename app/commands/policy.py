"""`autofi policy`: the limits in force, what a file would change, who approves it, what it would have blocked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.console import print_json, print_warning, say

if TYPE_CHECKING:
    from datetime import datetime

    from domain.policy import Policy
    from domain.policy_history import PolicyEvent, PolicyStanding

commands = typer.Typer(help="Show, change and try the limits.", no_args_is_help=True)

FileArgument = Annotated[Path | None, typer.Argument(help="A policy file; default is policy.toml of the home.")]
DigestArgument = Annotated[str, typer.Argument(help="Its digest, or the first 8 or more characters, from `pending`.")]
AsUser = Annotated[str | None, typer.Option("--as", help="Who does it (AUTOFI_USER).")]
HomeOption = Annotated[Path | None, typer.Option("--home", help="State directory (AUTOFI_HOME).")]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print data instead of tables.")]
Reason = Annotated[str, typer.Option(help="Why; kept in the journal.")]
Days = Annotated[int, typer.Option(min=1, max=3650, help="How far to look back from the newest run.")]


@commands.command("show")
def show(file: FileArgument = None, *, as_json: JsonFlag = False, home: HomeOption = None) -> None:
    """Show every limit in force with its unit, or those of a file."""
    from app.policy_tables import print_policy
    from app.settings import load_policy, load_settings
    from app.stores import open_stores
    from domain.policy_history import PolicyStanding

    settings, standing = load_settings(home=home), PolicyStanding()
    if file is None:
        with open_stores(settings=settings) as stores:
            standing = stores.policies.standing()
    policy = standing.in_force or load_policy(file or settings.policy_path)
    if file is None and standing.in_force is None:
        print_warning(f"nothing is in force yet; this is the file {settings.policy_path}")
    if as_json:
        since = standing.since.isoformat() if standing.since else None
        print_json({"digest": policy.digest(), "since": since, "policy": policy})
    else:
        print_policy(policy, since=standing.since)


@commands.command("check")
def check(file: FileArgument = None) -> None:
    """Check a policy file: exit code 0 and its digest, or one error that names line, key and what is allowed."""
    from app.settings import load_policy, load_settings

    path = file or load_settings().policy_path
    policy = load_policy(path)
    say(f"[green]ok[/green] {path}: policy {policy.name!r}, digest {policy.digest()}")


@commands.command("diff")
def diff(file: FileArgument = None, *, as_json: JsonFlag = False, home: HomeOption = None) -> None:
    """Show what a file would change: each limit, its direction, and when it would take effect. Changes nothing."""
    from app.policy_tables import difference, print_difference
    from app.settings import load_policy, load_settings
    from app.stores import open_stores

    settings = load_settings(home=home)
    with open_stores(settings=settings) as stores:
        path = file or settings.policy_path
        found = difference(stores.policies.standing(), load_policy(path), at=_now())
    if as_json:
        print_json(found)
    else:
        print_difference(found, str(path))


@commands.command("apply")
def apply(*, user: AsUser = None, as_json: JsonFlag = False, home: HomeOption = None) -> None:
    """Follow the home's file now: what is tighter takes effect, what is looser is proposed. Every run does the same."""
    from app.policy_in_force import PolicyInForce
    from app.settings import load_policy, load_settings
    from app.stores import open_stores
    from domain.errors import StoreUnavailable

    settings = load_settings(home=home, user=user)
    with open_stores(settings=settings) as stores:
        policy = PolicyInForce(stores, settings)
        events = list(policy.follow_file())
        if policy.problem is not None:
            raise StoreUnavailable(f"trading is halted: {policy.problem}")
        told = _where_file_stands(stores.policies.standing(), load_policy(settings.policy_path))
    if as_json or events:
        _report(events, as_json=as_json)
    else:
        say(told)


def _where_file_stands(standing: PolicyStanding, wish: Policy) -> str:
    """After the file was followed and nothing came of it."""
    if standing.refused == wish.digest():
        return (
            "the file is not in force: what it loosens was refused; to ask again, let the file say something else "
            "first (`autofi policy diff`)"
        )
    waits = standing.proposal is not None
    return "nothing new: `autofi policy pending` shows what waits" if waits else "the file is in force"


@commands.command("pending")
def pending(*, as_json: JsonFlag = False, home: HomeOption = None) -> None:
    """Show the looser policy that waits for an approval, or for its time."""
    from app.policy_tables import print_proposal
    from app.stores import open_stores

    with open_stores(home=home) as stores:
        proposal = stores.policies.standing().proposal
    if as_json:
        print_json({"pending": proposal})
    else:
        print_proposal(proposal)


@commands.command("approve")
def approve(digest: DigestArgument, *, user: AsUser = None, as_json: JsonFlag = False, home: HomeOption = None) -> None:
    """Consent to exactly this looser policy; it takes effect when its delay is over."""
    from app.settings import load_settings
    from app.stores import open_stores

    settings = load_settings(home=home, user=user)
    with open_stores(settings=settings) as stores:
        event = stores.policies.approve(digest, by=settings.user, at=_now())
        proposal = stores.policies.standing().proposal
    _report([event], as_json=as_json)
    if proposal is not None and not as_json:
        say(f"it waits for {proposal.waits_for()} and takes effect at the next command, or the next run of a server")


@commands.command("reject")
def reject(
    digest: DigestArgument, *, reason: Reason, user: AsUser = None, as_json: JsonFlag = False, home: HomeOption = None
) -> None:
    """Refuse a looser policy that waits, approved or not; also to take back what you proposed."""
    from app.settings import load_settings
    from app.stores import open_stores

    settings = load_settings(home=home, user=user)
    with open_stores(settings=settings) as stores:
        event = stores.policies.refuse(digest, by=settings.user, at=_now(), reason=reason)
    _report([event], as_json=as_json)


@commands.command("history")
def history(*, as_json: JsonFlag = False, home: HomeOption = None) -> None:
    """Every policy that was adopted, tightened, proposed, approved, refused, newest first."""
    from app.policy_tables import print_history
    from app.stores import open_stores

    with open_stores(home=home) as stores:
        events = list(reversed(stores.policies.history()))
    if as_json:
        print_json(list(events))
    else:
        print_history(events)


@commands.command("test")
def judge_again(
    file: FileArgument = None, *, days: Days = 7, as_json: JsonFlag = False, home: HomeOption = None
) -> None:
    """Judge recorded runs again under a file: what would it have blocked, what let pass? Changes nothing."""
    from app.policy_replay import replay
    from app.policy_tables import print_replay
    from app.settings import load_policy, load_settings
    from app.stores import open_stores

    settings = load_settings(home=home)
    with open_stores(settings=settings) as stores:
        found = replay(stores, load_policy(file or settings.policy_path), days=days)
    if as_json:
        print_json(found)
    else:
        print_replay(found)


@commands.command("adopt")
def adopt(
    *,
    reason: Reason,
    yes: Annotated[bool, typer.Option("--yes", help="Yes, the file replaces a policy that nobody can read.")] = False,
    user: AsUser = None,
    as_json: JsonFlag = False,
    home: HomeOption = None,
) -> None:
    """Take the file where this version cannot read the policy in force. Refused wherever it can."""
    from app.settings import load_policy, load_settings
    from app.stores import open_stores
    from domain.errors import ConfigurationInvalid

    if not yes:
        raise ConfigurationInvalid(
            "adopt replaces the policy in force without a delay: compare the file, then add --yes"
        )
    settings = load_settings(home=home, user=user)
    wish = load_policy(settings.policy_path)
    with open_stores(settings=settings) as stores:
        event = stores.policies.restart(wish, by=settings.user, at=_now(), reason=reason)
    _report([event], as_json=as_json)


def _report(events: list[PolicyEvent], *, as_json: bool) -> None:
    from app.policy_tables import print_event

    if as_json:
        print_json(list(events))
        return
    for event in events:
        print_event(event)


def _now() -> datetime:
    """Of the machine: see app.policy_in_force."""
    from app.clock import SystemClock

    return SystemClock().now()
