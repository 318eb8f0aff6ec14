"""`autofi policy`: limits and catalog in force, what the files would change, who approves it, what it would block."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.console import print_json, print_warning, say

if TYPE_CHECKING:
    from datetime import datetime

    from app.settings import Settings
    from app.stores import Stores
    from domain.change_history import ChangeEvent, D, Standing
    from domain.market import Catalog
    from domain.policy import Policy
    from memory.policies import SqlCatalogStore, SqlPolicyStore

commands = typer.Typer(
    help="Show, change and try the limits (policy.toml) and the catalog of what may be touched (strategies.toml).",
    no_args_is_help=True,
)

FileArgument = Annotated[Path | None, typer.Argument(help="A policy file; default is policy.toml of the home.")]
DigestArgument = Annotated[str, typer.Argument(help="Its digest, or the first 8 or more characters, from `pending`.")]
AsUser = Annotated[str | None, typer.Option("--as", help="Who does it (AUTOFI_USER).")]
HomeOption = Annotated[Path | None, typer.Option("--home", help="State directory (AUTOFI_HOME).")]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print data instead of tables.")]
Reason = Annotated[str, typer.Option(help="Why; kept in the journal.")]
Days = Annotated[int, typer.Option(min=1, max=3650, help="How far to look back from the newest run.")]


@commands.command("show")
def show(file: FileArgument = None, *, as_json: JsonFlag = False, home: HomeOption = None) -> None:
    """Show every limit in force with its unit and the catalog's digest, or the limits of a file."""
    from app.policy_tables import print_catalog, print_policy
    from app.settings import load_policy, load_settings
    from app.stores import open_stores
    from domain.change_history import Standing

    settings = load_settings(home=home)
    standing: Standing[Policy] = Standing()
    catalog: Standing[Catalog] = Standing()
    if file is None:
        with open_stores(settings=settings) as stores:
            standing, catalog = stores.policies.standing(), stores.catalogs.standing()
    policy = standing.in_force or load_policy(file or settings.policy_path)
    if file is None and standing.in_force is None:
        print_warning(f"nothing is in force yet; this is the file {settings.policy_path}")
    if as_json:
        of_catalog = None if catalog.in_force is None else _shown("catalog", catalog.in_force, catalog.since)
        print_json({**_shown("policy", policy, standing.since), "catalog": of_catalog})
        return
    print_policy(policy, since=standing.since)
    if catalog.in_force is not None:
        print_catalog(catalog.in_force, since=catalog.since)


def _shown(name: str, version: Policy | Catalog, since: datetime | None) -> dict[str, object]:
    return {"digest": version.digest(), "since": since.isoformat() if since else None, name: version}


@commands.command("check")
def check(file: FileArgument = None) -> None:
    """Check a policy file: exit code 0 and its digest, or one error that names line, key and what is allowed."""
    from app.settings import load_policy, load_settings

    path = file or load_settings().policy_path
    policy = load_policy(path)
    say(f"[green]ok[/green] {path}: policy {policy.name!r}, digest {policy.digest()}")


@commands.command("diff")
def diff(file: FileArgument = None, *, as_json: JsonFlag = False, home: HomeOption = None) -> None:
    """Show what the files would change: each key, its direction, and when it would take effect. Changes nothing.

    With FILE: what that policy would.
    """
    from app.policy_in_force import load_wish
    from app.policy_tables import difference, print_difference
    from app.settings import load_policy, load_settings
    from app.stores import open_stores

    settings, of_catalog = load_settings(home=home), None
    path = file or settings.policy_path
    with open_stores(settings=settings) as stores:
        policies, catalogs = stores.policies, stores.catalogs
        found = difference(policies.document(), policies.standing(), load_policy(path), at=_now())
        if file is None:
            of_catalog = difference(catalogs.document(), catalogs.standing(), load_wish(settings), at=_now())
    if as_json:
        print_json({**dict(found), "catalog": of_catalog})
        return
    print_difference(found, "policy", str(path))
    if of_catalog is not None:
        print_difference(of_catalog, "catalog", str(settings.strategies_path))


@commands.command("apply")
def apply(*, user: AsUser = None, as_json: JsonFlag = False, home: HomeOption = None) -> None:
    """Follow the home's files now: tighter takes effect, looser is proposed. Every run does the same."""
    from app.policy_in_force import CatalogInForce, PolicyInForce
    from app.settings import load_settings
    from app.stores import open_stores
    from domain.errors import StoreUnavailable

    settings = load_settings(home=home, user=user)
    with open_stores(settings=settings) as stores:
        policy, catalog = PolicyInForce(stores, settings), CatalogInForce(stores, settings)
        events = [*policy.follow_file(), *catalog.follow_file()]
        problem = policy.problem or catalog.problem
        if problem is not None:
            raise StoreUnavailable(f"trading is halted: {problem}")
        told = _where_files_stand(stores, settings)
    if as_json or events:
        _report(events, as_json=as_json)
    else:
        for line in told:
            say(line)


def _where_files_stand(stores: Stores, settings: Settings) -> tuple[str, str]:
    """After the files were followed and nothing came of it."""
    from app.policy_in_force import load_wish
    from app.settings import load_policy

    policy = _where_file_stands(stores.policies.standing(), load_policy(settings.policy_path))
    return f"policy: {policy}", f"catalog: {_where_file_stands(stores.catalogs.standing(), load_wish(settings))}"


def _where_file_stands(standing: Standing[D], wish: D) -> str:
    if standing.refused == wish.digest():
        return (
            "the file is not in force: what it loosens was refused; to ask again, let the file say something else "
            "first (`autofi policy diff`)"
        )
    waits = standing.proposal is not None
    return "nothing new: `autofi policy pending` shows what waits" if waits else "the file is in force"


@commands.command("pending")
def pending(*, as_json: JsonFlag = False, home: HomeOption = None) -> None:
    """Show the looser policy and the other catalog that wait for an approval, or for their time."""
    from app.policy_tables import print_proposals
    from app.stores import open_stores

    with open_stores(home=home) as stores:
        policy, catalog = stores.policies.standing().proposal, stores.catalogs.standing().proposal
    if as_json:
        print_json({"pending": policy, "catalog": catalog})
    else:
        print_proposals([each for each in (policy, catalog) if each is not None])


@commands.command("approve")
def approve(digest: DigestArgument, *, user: AsUser = None, as_json: JsonFlag = False, home: HomeOption = None) -> None:
    """Consent to exactly this looser policy or catalog; it takes effect when its delay is over."""
    from app.settings import load_settings
    from app.stores import open_stores

    settings = load_settings(home=home, user=user)
    with open_stores(settings=settings) as stores:
        store = _store_that_waits(stores, digest)
        event = store.approve(digest, by=settings.user, at=_now())
        proposal = store.standing().proposal
    _report([event], as_json=as_json)
    if proposal is not None and not as_json:
        when = "next run of a server" if event.document == "policy" else "next start of a server"
        say(f"it waits for {proposal.waits_for()} and takes effect at the next command, or the {when}")


@commands.command("reject")
def reject(
    digest: DigestArgument, *, reason: Reason, user: AsUser = None, as_json: JsonFlag = False, home: HomeOption = None
) -> None:
    """Refuse a looser policy or catalog that waits, approved or not; also to take back what you proposed."""
    from app.settings import load_settings
    from app.stores import open_stores

    settings = load_settings(home=home, user=user)
    with open_stores(settings=settings) as stores:
        store = _store_that_waits(stores, digest)
        event = store.refuse(digest, by=settings.user, at=_now(), reason=reason)
    _report([event], as_json=as_json)


def _store_that_waits(stores: Stores, digest: str) -> SqlPolicyStore | SqlCatalogStore:
    """The one whose proposal the digest names; where it names none, the store's refusal says so."""
    from domain.change_history import is_named

    catalog, policy = stores.catalogs.standing().proposal, stores.policies.standing().proposal
    is_catalog = catalog is not None and (policy is None or is_named(catalog, digest))
    return stores.catalogs if is_catalog else stores.policies


@commands.command("history")
def history(*, as_json: JsonFlag = False, home: HomeOption = None) -> None:
    """Every policy and catalog that was adopted, tightened, proposed, approved, refused, newest first."""
    from app.policy_tables import print_history
    from app.stores import open_stores

    with open_stores(home=home) as stores:
        both = (*stores.policies.history(), *stores.catalogs.history())
    events = sorted(both, key=lambda event: event.at, reverse=True)
    if as_json:
        print_json(events)
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
    """Take the file where this version cannot read the policy or catalog in force. Refused wherever it can."""
    from app.settings import load_settings
    from app.stores import open_stores
    from domain.errors import ConfigurationInvalid

    if not yes:
        raise ConfigurationInvalid("adopt replaces what is in force without a delay: compare the file, then add --yes")
    settings = load_settings(home=home, user=user)
    with open_stores(settings=settings) as stores:
        events = _restart(stores, settings, reason)
    _report(events, as_json=as_json)


def _restart(stores: Stores, settings: Settings, reason: str) -> list[ChangeEvent]:
    """Whichever of both cannot be read. Raises ConfigurationInvalid where both can."""
    from app.policy_in_force import load_wish
    from app.settings import load_policy
    from domain.errors import ConfigurationInvalid

    events, by, refusals = [], settings.user, []
    try:
        events.append(stores.policies.restart(load_policy(settings.policy_path), by=by, at=_now(), reason=reason))
    except ConfigurationInvalid as error:
        refusals.append(str(error))
    try:
        events.append(stores.catalogs.restart(load_wish(settings), by=by, at=_now(), reason=reason))
    except ConfigurationInvalid as error:
        refusals.append(str(error))
    if not events:
        raise ConfigurationInvalid("; ".join(refusals))
    return events


def _report(events: list[ChangeEvent], *, as_json: bool) -> None:
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
