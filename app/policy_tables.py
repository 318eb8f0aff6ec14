"""Policies and their changes as tables and sentences: what differs, when it takes effect, what waits, what happened."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from rich.markup import escape

from app.console import print_table, say
from domain.policy_change import Change, Direction, compare, limit_text, limits_of
from domain.policy_history import PolicyEvent, PolicyEventKind, PolicyStanding, Proposal
from domain.units import Digest, Value

if TYPE_CHECKING:
    from app.policy_replay import Replay, ReplayedRun
    from domain.policy import Policy

AT_ONCE: Final = "at once"
REFUSED: Final = "was refused; to ask again, let the file say something else first"
SHOWN_DIGEST: Final = 16


class PlannedChange(Change):
    """A difference between what is in force and the file."""

    takes_effect: str


class PolicyDifference(Value):
    in_force: Digest | None
    file: Digest
    changes: tuple[PlannedChange, ...]


def difference(standing: PolicyStanding, wish: Policy, *, at: datetime) -> PolicyDifference:
    """What the file asks for, key by key, and when that takes effect."""
    if standing.in_force is None:
        return PolicyDifference(in_force=None, file=wish.digest(), changes=())
    later = _when_looser(standing, standing.in_force, wish, at=at)
    return PolicyDifference(
        in_force=standing.in_force.digest(),
        file=wish.digest(),
        changes=tuple(
            PlannedChange(**dict(change), takes_effect=later if change.direction is Direction.LOOSER else AT_ONCE)
            for change in compare(standing.in_force, wish)
        ),
    )


def _when_looser(standing: PolicyStanding, in_force: Policy, wish: Policy, *, at: datetime) -> str:
    if standing.refused == wish.digest():
        return REFUSED
    proposal = standing.proposal
    if proposal is not None and proposal.digest == wish.digest():
        if proposal.approved_by is None:
            return f"when approved, from {_minute(proposal.not_before)}"
        return f"from {_minute(proposal.not_before)}, approved by {proposal.approved_by}"
    delay = timedelta(seconds=in_force.changes.loosening_delay_seconds)
    return f"when approved, from {_minute(at + delay)} if proposed now (autofi policy apply)"


def print_difference(found: PolicyDifference, file: str) -> None:
    rows = [(each.key, each.before, each.after, each.direction, each.takes_effect) for each in found.changes]
    say(f"in force {_short(found.in_force)}, file {_short(found.file)} {escape(file)}")
    empty = "none" if found.in_force else "nothing is in force yet; the first start adopts the file"
    print_table("differences", ("limit", "in force", "file", "direction", "takes effect"), rows, empty=empty)


def print_policy(policy: Policy, *, since: datetime | None) -> None:
    limits = [(*key.rpartition(".")[::2], limit_text(limit)) for key, limit in limits_of(policy).items() if "." in key]
    print_table(f"policy {policy.name}", ("section", "limit", "value"), limits)
    say(f"digest {policy.digest()}{f', in force since {_minute(since)}' if since else ''}")


def print_proposal(proposal: Proposal | None) -> None:
    if proposal is None:
        say("nothing waits")
        return
    say(
        f"policy {proposal.digest[:SHOWN_DIGEST]}, proposed by {escape(proposal.proposed_by)} at "
        f"{_minute(proposal.proposed_at)}, waits for {proposal.waits_for()}"
    )
    print_changes(proposal.changes)
    if proposal.approved_by is None:
        short = proposal.digest[:SHOWN_DIGEST]
        say(f"autofi policy approve {short} --as NAME   or   autofi policy reject {short} --reason WHY --as NAME")


def print_changes(changes: tuple[Change, ...]) -> None:
    rows = [(each.key, each.before, each.after, each.direction) for each in changes]
    print_table("changes", ("limit", "in force", "new", "direction"), rows, empty="none")


def print_event(event: PolicyEvent) -> None:
    """What just happened, and what it waits for."""
    say(f"{_words(event.kind)} by {escape(event.by)}: policy {event.digest[:SHOWN_DIGEST]}")
    if event.changes:
        print_changes(event.changes)
    if event.kind is PolicyEventKind.PROPOSED and event.not_before is not None:
        command = f"autofi policy approve {event.digest[:SHOWN_DIGEST]} --as NAME"
        say(f"when approved, from {_minute(event.not_before)}: {command}")


def print_history(events: list[PolicyEvent]) -> None:
    rows = [
        (_minute(each.at), _words(each.kind), each.by, _short(each.digest), _short(each.in_force), _summary(each))
        for each in events
    ]
    columns = ("time", "event", "by", "policy", "in force before", "")
    print_table("policy history", columns, rows, empty="none yet; the first start adopts the file")


def _summary(event: PolicyEvent) -> str:
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


def _words(kind: PolicyEventKind) -> str:
    return kind.removeprefix("policy_")


def _short(digest: str | None) -> str:
    return digest[:SHOWN_DIGEST] if digest else "nothing"


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
