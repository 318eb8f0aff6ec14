"""What another policy would have answered: recorded evidence judged again, beside what was answered then."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from pydantic import Field, ValidationError, computed_field

from domain.errors import StoreUnavailable, UnknownSubject
from domain.policy import Policy
from domain.run import RunRecord, RunStatus
from domain.units import Digest, Slug, UtcDatetime, Value
from domain.verdict import Evidence, Verdict
from guards import check
from guards.what_if import under_policy, unmeasured

if TYPE_CHECKING:
    from app.stores import Stores

MAX_REPLAYED: Final = 10_000
NO_EVIDENCE: Final = "it was recorded before evidence was kept, so nobody can tell"
OTHER_VERSION: Final = "its evidence was kept by another version, so nobody can tell"


class Answer(StrEnum):
    PASS = "pass"  # noqa: S105  # no password
    ASK = "ask"  # passes once a human consents
    DENY = "deny"


class ReplayedRun(Value):
    """One run that reached the guards. `now` is None where nobody can tell."""

    run_id: Slug
    finished_at: UtcDatetime
    status: RunStatus
    is_exit: bool
    before: Answer
    now: Answer | None = None
    new_codes: tuple[Slug, ...] = ()
    """Of denials that were not there then, in the guards' order."""
    note: str = ""


class Replay(Value):
    """Runs newest first, and what they come to."""

    policy_digest: Digest
    since: UtcDatetime | None
    """None where there is no run at all."""
    runs: tuple[ReplayedRun, ...]
    without_verdict: int = Field(ge=0)
    """Runs in that time that never reached the guards."""

    @computed_field  # type: ignore[prop-decorator]  # pydantic's own way
    @property
    def newly_denied(self) -> int:
        return sum(run.now is Answer.DENY and run.before is not Answer.DENY for run in self.runs)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def newly_passing(self) -> int:
        return sum(run.before is Answer.DENY and run.now in {Answer.PASS, Answer.ASK} for run in self.runs)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def newly_asking(self) -> int:
        return sum(run.before is Answer.PASS and run.now is Answer.ASK for run in self.runs)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def unknown(self) -> int:
        return sum(run.now is None for run in self.runs)


def replay(stores: Stores, policy: Policy, *, days: int) -> Replay:
    """Of the last days before the newest run: a simulated chain has a time of its own. At most MAX_REPLAYED runs."""
    summaries = stores.runs.recent(limit=MAX_REPLAYED)
    newest = max((summary.updated_at for summary in summaries), default=None)
    since = None if newest is None else newest - timedelta(days=days)
    recent = [summary for summary in summaries if since is not None and summary.updated_at >= since]
    records = [record for each in recent if (record := stores.runs.record(each.request.run_id)) is not None]
    judged = tuple(_replayed(record, record.verdict, stores, policy) for record in records if record.verdict)
    return Replay(policy_digest=policy.digest(), since=since, runs=judged, without_verdict=len(records) - len(judged))


def _replayed(record: RunRecord, then: Verdict, stores: Stores, policy: Policy) -> ReplayedRun:
    run = ReplayedRun(
        run_id=record.request.run_id,
        finished_at=record.finished_at,
        status=record.status,
        is_exit=then.is_exit,
        before=_answer(then),
    )
    try:
        evidence = _evidence_of(record, stores)
    except (UnknownSubject, StoreUnavailable) as error:
        return run.model_copy(update={"note": str(error)})
    except ValidationError:
        return run.model_copy(update={"note": OTHER_VERSION})
    if evidence is None:
        return run.model_copy(update={"note": NO_EVIDENCE})
    now = check(under_policy(evidence, policy))
    codes = _codes(now, without=frozenset(denial.code for denial in then.denials))
    note = unmeasured(evidence, policy) or ""
    return run.model_copy(update={"now": _answer(now), "new_codes": codes, "note": note})


def _evidence_of(record: RunRecord, stores: Stores) -> Evidence | None:
    if record.evidence_digest is None:
        return None
    return Evidence.model_validate_json(stores.artifacts.get(record.evidence_digest))


def _answer(verdict: Verdict) -> Answer:
    if not verdict.is_pass:
        return Answer.DENY
    return Answer.ASK if verdict.needs_approval else Answer.PASS


def _codes(verdict: Verdict, *, without: Iterable[str]) -> tuple[str, ...]:
    known = set(without)
    return tuple(dict.fromkeys(denial.code for denial in verdict.denials if denial.code not in known))
