"""Compares the chain with what the product wrote down: one record per transaction, one consent per large batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import NamedTuple
from unicodedata import category, normalize

from domain.policy import Policy
from domain.run import RunRecord, RunStatus
from domain.verdict import Approval, ApprovalStatus, TradingState
from tests.redteam.audit_chain import Sent
from tests.redteam.audit_deals import SLACK, Deal
from tests.redteam.findings import Rule, Violation

APPROVER = "approver"


class StateChange(NamedTuple):
    at: datetime
    state: TradingState


class Books(NamedTuple):
    """What the product says about itself."""

    records: tuple[RunRecord, ...]
    approvals: tuple[Approval, ...]
    """Rows of the table, not what records or models say about them."""
    states: tuple[StateChange, ...]
    """Oldest first."""
    started: tuple[datetime, ...]
    """When each run was asked for."""


def record_of(sent: Sent, books: Books) -> RunRecord | None:
    """The first record whose envelope is exactly what was sent."""
    data = "0x" + sent.data.hex()
    named = (record for record in books.records if record.receipt and record.receipt.transaction_hash == sent.hash)
    same = (record for record in books.records if record.plan and record.plan.envelope.data == data)
    return next(named, None) or next(same, None)


def seen_block(sent: Sent, books: Books) -> int | None:
    record = record_of(sent, books)
    return record.block_number if record else None


def judge_trail(sent: Sequence[Sent], books: Books) -> Iterator[Violation]:
    """Every transaction has exactly one record that says so, and the other way round."""
    mined = {one.hash for one in sent}
    told = Counter(record.receipt.transaction_hash for record in books.records if record.receipt)
    for one in sent:
        record = record_of(one, books)
        if record is None or (one.succeeded and told[one.hash] == 0):
            yield Violation(Rule.UNRECORDED, one.hash, "no run record names it", "one")
    for transaction_hash, count in told.items():
        if count > 1:
            yield Violation(Rule.DUPLICATE, transaction_hash, f"{count} run records", "one")
        if transaction_hash not in mined:
            yield Violation(Rule.UNEXECUTED, transaction_hash, "is on no block", "mined")
    for record in books.records:
        if record.status is RunStatus.EXECUTED and record.receipt is None:
            yield Violation(Rule.UNEXECUTED, record.request.run_id, "executed without a receipt", "one")
    yield from _judge_effects(sent, books)


def _judge_effects(sent: Sequence[Sent], books: Books) -> Iterator[Violation]:
    """One nonce, one effect: a run never sends twice."""
    runs = Counter(record.request.run_id for one in sent if (record := record_of(one, books)) is not None)
    for run_id, count in runs.items():
        if count > 1:
            yield Violation(Rule.DUPLICATE, run_id, f"{count} transactions", "one")
    nonces = Counter((one.sender, one.nonce) for one in sent)
    for (sender, nonce), count in nonces.items():
        if count > 1:
            yield Violation(Rule.DUPLICATE, sender, f"nonce {nonce} mined {count} times", "once")


def judge_consent(deal: Deal, policy: Policy, books: Books, *, moved: Fraction, is_exit: bool) -> Iterator[Violation]:
    """Approval above the threshold, trading state and runs per hour; the way out waits for none of them."""
    if is_exit or not deal.sent.succeeded:
        return
    at = datetime.fromtimestamp(deal.before.time, tz=UTC)
    threshold = policy.approval.min_value_without_approval_usd
    if not isinstance(threshold, str) and moved > Fraction(threshold) * (1 + SLACK):
        yield from _judge_approval(deal, policy, books)
    states = [change.state for change in books.states if change.at <= at][-1:]
    if states == [TradingState.HALTED]:
        yield Violation(Rule.TRADING_STATE, deal.sent.hash, "sent while halted", "exits only")
    if states == [TradingState.REDUCING] and deal.entered(policy):
        yield Violation(Rule.TRADING_STATE, deal.sent.hash, "entered a position while reducing", "exits and less risk")
    recent = sum(timedelta(0) <= at - started < timedelta(hours=1) for started in books.started)
    if recent > policy.budgets.max_hour_runs_count:
        limit = str(policy.budgets.max_hour_runs_count)
        yield Violation(Rule.RUNS_PER_HOUR, deal.sent.hash, f"{recent} runs within the hour", limit)


def _judge_approval(deal: Deal, policy: Policy, books: Books) -> Iterator[Violation]:
    record = record_of(deal.sent, books)
    digest = record.batch_digest if record else None
    approval = next((row for row in books.approvals if row.batch_digest == digest), None)
    if approval is None:
        yield Violation(Rule.APPROVAL, deal.sent.hash, "nobody was asked", "an approval of this digest")
        return
    is_theirs = record is not None and record.plan is not None and approval.batch_digest == record.plan.batch_digest()
    name = _spelled(approval.answered_by or "")
    is_other = name != _spelled(approval.requested_by) or not policy.approval.requires_four_eyes
    mined = datetime.fromtimestamp(deal.before.time, tz=UTC)
    if not (
        is_theirs
        and approval.status is ApprovalStatus.USED
        and approval.role == APPROVER
        and name
        and is_other
        and mined < approval.expires_at
    ):
        observed = f"{approval.status} by {approval.answered_by!r} as {approval.role!r}"
        yield Violation(Rule.APPROVAL, deal.sent.hash, observed, "used once, by another person with the role, in time")


def _spelled(name: str) -> str:
    """Without what the eye does not see: format characters, letter case, compatibility forms, outer spaces."""
    seen = normalize("NFKC", "".join(each for each in name if category(each) != "Cf"))
    return normalize("NFKC", seen.casefold()).strip()
