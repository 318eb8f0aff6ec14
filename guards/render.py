"""Verdicts and batches as plain text, from codes, numbers and decoded bytes; never from a model's words."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Final

from domain.market import Catalog
from domain.plan import RebalancePlan
from domain.units import BPS_PER_ONE, EXACT, decimal_text, divide, to_tokens
from domain.verdict import Denial, Finding, Verdict
from guards.actions import Action, ActionKind
from guards.approval import REQUIRED
from guards.decode import read_envelope
from guards.finding import FACT, UNKNOWN, text
from guards.registry import make_registry

COLUMNS: Final = ("guard", "code", "subject", "observed", "limit", "unit", "headroom", "result")
MAX_NAMED: Final = 3


def verdict_rows(verdict: Verdict) -> list[tuple[str, ...]]:
    """One row per finding in the order of COLUMNS, denials first."""
    return [_row(finding) for finding in sorted(verdict.findings, key=lambda finding: finding.passed)]


def summary_rows(verdict: Verdict) -> list[tuple[str, ...]]:
    """The same, but of the rows that simply passed only one per code: the first, as guards list them."""
    shown: list[Finding] = []
    seen: set[str] = set()
    for finding in verdict.findings:
        if not finding.passed or finding.waived or finding.code not in seen:
            shown.append(finding)
        seen.add(finding.code)
    return [_row(finding) for finding in sorted(shown, key=lambda finding: finding.passed)]


def _row(finding: Finding) -> tuple[str, ...]:
    headroom = finding.headroom or ""
    return (
        finding.guard,
        finding.code,
        finding.subject,
        finding.observed,
        finding.limit,
        finding.unit,
        headroom,
        _result(finding),
    )


def _result(finding: Finding) -> str:
    if finding.waived:
        return "WAIVED"
    if not finding.passed:
        return "DENY"
    return "ASK" if finding.code == REQUIRED else "PASS"


def verdict_sentence(verdict: Verdict) -> str:
    """What was decided and, when denied, by which codes, observed against limit, and what part would have passed."""
    kind = "exit" if verdict.is_exit else "batch"
    if verdict.denials:
        named = [_sentence_of(denial) for denial in verdict.denials[:MAX_NAMED]]
        more = len(verdict.denials) - len(named)
        denied = f"Denied: {'; '.join(named)}{f'; and {more} more' if more else ''}."
        return " ".join((denied, *_alternative(verdict)))
    waived = sum(finding.waived for finding in verdict.findings)
    tail = f", {waived} waived because it is a way out" if waived else ""
    waits = "; it waits for a human" if verdict.needs_approval else ""
    return f"Passed: {kind} within {len(verdict.findings) - waived} measured limits{tail}{waits}."


def _sentence_of(denial: Denial) -> str:
    observed = denial.observed if denial.unit == FACT else f"{denial.observed} {denial.unit}"
    return f"{denial.code} ({denial.subject}: {observed}, limit {denial.limit})"


def _alternative(verdict: Verdict) -> Iterator[str]:
    """Dollars rounded down; no word where no part passes every limit."""
    value = next((row.observed for row in verdict.findings if row.code == "transaction_value"), UNKNOWN)
    if verdict.feasible_usd is not None and value != UNKNOWN:
        part = round(divide(EXACT.multiply(verdict.feasible_usd, BPS_PER_ONE), Decimal(value)))
        yield f"The largest part within every limit: {_percent(part)} of this batch, {int(verdict.feasible_usd):,} USD."


def alternative_rows(verdict: Verdict) -> list[tuple[str, str, str]]:
    """Code, subject and the largest part that each denial's own limit would pass, where one would."""
    return [
        (denial.code, denial.subject, _percent(denial.feasible_bps))
        for denial in verdict.denials
        if denial.feasible_bps is not None
    ]


def _percent(bps: int) -> str:
    return f"{text(Decimal(bps).scaleb(-2))} %"


def describe_batch(plan: RebalancePlan, *, catalog: Catalog) -> str:
    """What a human consents to, read back from the envelope's bytes, one call per line."""
    registry = make_registry(catalog)
    lines = []
    for call in read_envelope(plan.envelope, registry).calls:
        action = registry.read(call)
        lines.append(f"UNREADABLE call to {call.target}" if action is None else _describe(action))
    return "\n".join(
        (
            *lines,
            f"at most {plan.fee_cap_wei} wei ({_ether(plan.fee_cap_wei)} ETH) of gas, until {_minute(plan.expires_at)}",
        )
    )


def _ether(wei: int) -> str:
    """Every digit, because small caps would round to nothing."""
    return decimal_text(to_tokens(wei, 18).normalize(EXACT))


def _minute(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC")


def _describe(action: Action) -> str:
    if action.kind is ActionKind.SWAP:
        least = text(to_tokens(action.minimum_out, action.bought.decimals))
        venue = action.venue.id if action.venue else "an UNKNOWN venue"
        return f"swap {_amount(action)} for at least {least} {action.bought.id} on {venue}"
    if action.kind is ActionKind.APPROVE:
        return f"approve {_amount(action)} for {action.spender}"
    strategy = action.place.id
    if action.kind is ActionKind.REDEEM:
        return f"redeem {text(to_tokens(action.amount, action.place.receipt_decimals))} shares of {strategy}"
    if action.is_whole:
        return f"withdraw all {action.token.id} from {strategy}"
    return f"{action.kind.value} {_amount(action)} {'from' if action.kind is ActionKind.WITHDRAW else 'to'} {strategy}"


def _amount(action: Action) -> str:
    tokens: Decimal = to_tokens(action.amount, action.token.decimals)
    return f"{text(tokens)} {action.token.id}"
