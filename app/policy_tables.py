"""Policy, catalog and their changes as tables and sentences: what differs, when it takes effect, what happened."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from rich.markup import escape

from app.console import print_table, say
from domain.change_history import ChangeEvent, D, Document, Proposal, Standing, Step
from domain.policy_change import Change, limit_text, limits_of
from domain.units import Digest, Value

if TYPE_CHECKING:
    from app.policy_replay import Replay, ReplayedRun
    from domain.market import Catalog
    from domain.policy import Policy

AT_ONCE: Final = "at once"
REFUSED: Final = "was refused; to ask again, let the file say something else first"
SHOWN_DIGEST: Final = 16


class PlannedChange(Change):
    """A difference between what is in force and the file."""

    takes_effect: str


class Difference(Value):
    in_force: Digest | None
    file: Digest
    changes: tuple[PlannedChange, ...]


def difference(document: Document[D], standing: Standing[D], wish: D, *, at: datetime) -> Difference:
    """What the file asks for, key by key, and when that takes effect."""
    in_force = standing.in_force
    if in_force is None:
        return Difference(in_force=None, file=wish.digest(), changes=())
    later = _when_looser(document, standing, in_force, wish, at=at)
    tightened = document.meet(in_force, wish)
    waiting = {change.key for change in document.compare(tightened, wish)}
    return Difference(
        in_force=in_force.digest(),
        file=wish.digest(),
        changes=tuple(
            PlannedChange(**dict(change), takes_effect=later if change.key in waiting else AT_ONCE)
            for change in document.compare(in_force, wish)
        ),
    )


def _when_looser(document: Document[D], standing: Standing[D], in_force: D, wish: D, *, at: datetime) -> str:
    if standing.refused == wish.digest():
        return REFUSED
    proposal = standing.proposal
    if proposal is not None and proposal.digest == wish.digest():
        if proposal.approved_by is None:
            return f"when approved, from {_minute(proposal.not_before)}"
        return f"from {_minute(proposal.not_before)}, approved by {proposal.approved_by}"
    delay = timedelta(seconds=document.rules(in_force).loosening_delay_seconds)
    return f"when approved, from {_minute(at + delay)} if proposed now (autofi policy apply)"


def print_difference(found: Difference, name: str, file: str) -> None:
    rows = [(each.key, each.before, each.after, each.direction, each.takes_effect) for each in found.changes]
    say(f"{name} in force {_short(found.in_force)}, file {_short(found.file)} {escape(file)}")
    empty = "none" if found.in_force else "nothing is in force yet; the first start adopts the file"
    print_table(
        f"differences of the {name}", ("key", "in force", "file", "direction", "takes effect"), rows, empty=empty
    )


def print_catalog(catalog: Catalog, *, since: datetime | None) -> None:
    """In one line: the file itself is the table."""
    say(
        f"catalog: {len(catalog.strategies)} strategies, {len(catalog.tokens)} tokens, {len(catalog.venues)} venues, "
        f"digest {catalog.digest()}{f', in force since {_minute(since)}' if since else ''}"
    )


def print_policy(policy: Policy, *, since: datetime | None) -> None:
    limits = [(*key.rpartition(".")[::2], limit_text(limit)) for key, limit in limits_of(policy).items() if "." in key]
    print_table(f"policy {policy.name}", ("section", "limit", "value"), limits)
    say(f"digest {policy.digest()}{f', in force since {_minute(since)}' if since else ''}")


def print_proposals(proposals: list[Proposal]) -> None:
    if not proposals:
        say("nothing waits")
    for proposal in proposals:
        _print_proposal(proposal)


def _print_proposal(proposal: Proposal) -> None:
    say(
        f"{proposal.document} {proposal.digest[:SHOWN_DIGEST]}, proposed by {escape(proposal.proposed_by)} at "
        f"{_minute(proposal.proposed_at)}, waits for {proposal.waits_for()}"
    )
    print_changes(proposal.changes)
    if proposal.approved_by is None:
        short = proposal.digest[:SHOWN_DIGEST]
        say(f"autofi policy approve {short} --as NAME   or   autofi policy reject {short} --reason WHY --as NAME")


def print_changes(changes: tuple[Change, ...]) -> None:
    rows = [(each.key, each.before, each.after, each.direction) for each in changes]
    print_table("changes", ("key", "in force", "new", "direction"), rows, empty="none")


def print_event(event: ChangeEvent) -> None:
    """What just happened, and what it waits for."""
    say(f"{event.step} by {escape(event.by)}: {event.document} {event.digest[:SHOWN_DIGEST]}")
    if event.changes:
        print_changes(event.changes)
    if event.step is Step.PROPOSED and event.not_before is not None:
        command = f"autofi policy approve {event.digest[:SHOWN_DIGEST]} --as NAME"
        say(f"when approved, from {_minute(event.not_before)}: {command}")


def print_history(events: list[ChangeEvent]) -> None:
    rows = [
        (
            _minute(each.at),
            each.document,
            each.step,
            each.by,
            _short(each.digest),
            _short(each.in_force),
            _summary(each),
        )
        for each in events
    ]
    columns = ("time", "of", "event", "by", "digest", "in force before", "")
    print_table("history of policy and catalog", columns, rows, empty="none yet; the first start adopts the files")


def _summary(event: ChangeEvent) -> str:
    if event.reason:
        return event.reason
    return ", ".join(f"{change.key} {change.before} → {change.after}" for change in event.changes)


def print_replay(found: Replay) -> None:
    rows = [_replay_row(run) for run in found.runs]
    since = f" since {_minute(found.since)}" if found.since else ""
    say(f"policy {_short(found.policy_digest)} on runs{since} ({found.without_verdict} more never reached the guards)")
    columns = ("run", "time", "was", "then → now", "new denials", "note")
    print_table("runs", columns, rows, empty="none reached the guards")
    say(
        f"{len(found.runs)} judged again: {found.newly_denied} would newly be denied, {found.newly_passing} would pass "
        f"that did not, {found.newly_asking} would newly ask a human; nobody can tell of {found.unknown}"
    )


def _replay_row(run: ReplayedRun) -> tuple[str, ...]:
    now = "?" if run.now is None else run.now
    kind = "exit" if run.is_exit else "batch"
    return (
        run.run_id, _minute(run.finished_at), f"{run.status} {kind}", f"{run.before} → {now}",
        ", ".join(run.new_codes), run.note,
    )  # fmt: skip


def _short(digest: str | None) -> str:
    return digest[:SHOWN_DIGEST] if digest else "nothing"


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
