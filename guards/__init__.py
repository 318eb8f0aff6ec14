"""REFUSE: the public table of guards and `check`, pure and total: every guard runs, whatever is not proven denies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from domain.digest import GENESIS
from domain.verdict import Denial, Evidence, Finding, Verdict
from guards.allowlist import check_allowlist
from guards.approval import REQUIRED, check_approval
from guards.asymmetry import is_exit
from guards.binding import check_binding
from guards.budgets import check_budgets
from guards.economics import check_economics
from guards.exposure import check_exposure
from guards.finding import Ruler
from guards.freshness import check_freshness
from guards.protocol import check_protocol
from guards.risk import check_risk
from guards.simulation import check_simulation
from guards.slippage import check_slippage
from guards.soundness import check_soundness
from guards.trading_state import check_trading_state

Guard = Callable[[Evidence], tuple[Finding, ...]]

GUARDS: Final[Mapping[str, Guard]] = {
    "soundness": check_soundness,
    "trading_state": check_trading_state,
    "binding": check_binding,
    "allowlist": check_allowlist,
    "simulation": check_simulation,
    "freshness": check_freshness,
    "exposure": check_exposure,
    "risk": check_risk,
    "protocol": check_protocol,
    "economics": check_economics,
    "slippage": check_slippage,
    "budgets": check_budgets,
    "approval": check_approval,
}

REFUSES_EXITS: Final = frozenset({"soundness", "binding", "allowlist", "simulation", "slippage"})
"""Guards whose denials, faults included, hold for exits too (slippage asks of an exit only its emergency floor)."""
WAIVED_CODES: Final = frozenset({"simulation_stale", "policy_digest", "snapshot_digest", "plan_expired"})
"""Codes of those guards that do not: they are about age. Sender and signer still refuse an expired envelope."""


def check(evidence: Evidence) -> Verdict:
    """Every guard's rows; denied unless each one passed or is a limit that a way out may break."""
    way_out = _is_exit(evidence)
    rows = tuple(row for name, guard in GUARDS.items() for row in _run(name, guard, evidence))
    findings = tuple(_waive(row) for row in rows) if way_out else rows
    batch_digest, policy_digest = _digests(evidence)
    return Verdict(
        batch_digest=batch_digest,
        policy_digest=policy_digest,
        is_exit=way_out,
        findings=findings,
        denials=tuple(_deny(row) for row in findings if not row.passed),
        needs_approval=any(row.code == REQUIRED for row in findings),
    )


def _run(name: str, guard: Guard, evidence: Evidence) -> tuple[Finding, ...]:
    try:
        return guard(evidence)
    except Exception as fault:  # noqa: BLE001  # a guard that cannot judge must deny, whatever stopped it
        return (_fault(name, fault),)


def _fault(name: str, fault: Exception) -> Finding:
    return Ruler(name).fact("guard_fault", name, passed=False, limit="a judgement", observed=_first_line(fault))


def _first_line(fault: Exception) -> str:
    try:
        return f"{type(fault).__name__}: {fault}".splitlines()[0]
    except Exception:  # noqa: BLE001  # even the message may fail to render
        return type(fault).__name__


def _is_exit(evidence: Evidence) -> bool:
    try:
        return is_exit(evidence)
    except Exception:  # noqa: BLE001  # what cannot be seen to be a way out gets no privilege
        return False


def _digests(evidence: Evidence) -> tuple[str, str]:
    """Of unreadable evidence: the digest of nothing, which no certificate ever names."""
    try:
        return evidence.plan.batch_digest(), evidence.policy.digest()
    except Exception:  # noqa: BLE001  # the soundness guard denies it, this only keeps the answer total
        return GENESIS, GENESIS


def _waive(row: Finding) -> Finding:
    if row.passed or (row.guard in REFUSES_EXITS and row.code not in WAIVED_CODES):
        return row
    return row.model_copy(update={"passed": True, "waived": True})


def _deny(row: Finding) -> Denial:
    return Denial(code=row.code, subject=row.subject, limit=row.limit, observed=row.observed, unit=row.unit)
