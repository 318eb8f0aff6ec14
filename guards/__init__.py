"""REFUSE: the public table of guards and `check`, pure and total: every guard runs, whatever is not proven denies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

from domain.digest import GENESIS
from domain.errors import AutofiError
from domain.verdict import Evidence, Verdict
from guards.allowlist import check_allowlist
from guards.alternatives import largest_feasible, nothing_feasible
from guards.approval import REQUIRED, check_approval
from guards.asymmetry import is_exit
from guards.binding import batch_digest, check_binding, policy_digest
from guards.budgets import check_budgets
from guards.case import Case
from guards.economics import check_economics
from guards.exposure import check_exposure
from guards.finding import Row, Ruler, findings_of
from guards.freshness import check_freshness
from guards.protocol import check_protocol
from guards.risk import check_risk
from guards.simulation import check_simulation
from guards.slippage import check_slippage
from guards.soundness import SOUND, read_again, unreadable
from guards.trading_state import check_trading_state

Known = TypeVar("Known")
Guard = Callable[[Case], tuple[Row, ...]]

GUARDS: Final[Mapping[str, Guard]] = {
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
"""Soundness is no guard of this table: it decides whether there is a case at all."""

REFUSES_EXITS: Final = frozenset({"binding", "allowlist", "simulation", "slippage"})
"""Guards whose denials, faults included, hold for exits too (slippage asks of an exit only its emergency floor)."""
WAIVED_CODES: Final = frozenset(
    {"simulation_stale", "policy_digest", "snapshot_digest", "plan_expired", "block_mismatch"}
)
"""Codes of those guards that do not: about age and origin. Sender and signer still refuse an expired envelope."""

DENIAL_FIELDS: Final = ("code", "subject", "limit", "observed", "unit")


def check(evidence: Evidence) -> Verdict:
    """Every guard's rows; denied unless each one passed or is a limit that a way out may break."""
    try:
        case = Case(read_again(evidence))
    except Exception as fault:  # noqa: BLE001  # whatever cannot be written down and read again is no evidence
        return _refuse(unreadable(_words(fault)))
    way_out = bool(_attempt(is_exit, case))  # what cannot be seen to be a way out gets no privilege
    rows = [SOUND, *(row for name, guard in GUARDS.items() for row in _run(name, guard, case))]
    return _answer(case, [_waive(row) for row in rows] if way_out else rows, way_out=way_out)


def _run(name: str, guard: Guard, case: Case) -> tuple[Row, ...]:
    try:
        return guard(case)
    except Exception as fault:  # noqa: BLE001  # a guard that cannot judge must deny, whatever stopped it
        return (Ruler(name).fact("guard_fault", name, passed=False, limit="a judgement", observed=_words(fault)),)


def _words(fault: Exception) -> str:
    return " ".join(str(fault).split() if isinstance(fault, AutofiError) else (f"{type(fault).__name__}:", str(fault)))


def _attempt(measure: Callable[[Case], Known], case: Case) -> Known | None:
    try:
        return measure(case)
    except Exception:  # noqa: BLE001  # the guards that need it deny by name, this only keeps the answer total
        return None


def _waive(row: Row) -> Row:
    if row.passed or (row.guard in REFUSES_EXITS and row.code not in WAIVED_CODES):
        return row
    return row._replace(passed=True, waived=True)


def _answer(case: Case, rows: Sequence[Row], *, way_out: bool) -> Verdict:
    findings = findings_of(rows)
    denied = [row for row in rows if not row.passed]
    feasible = _attempt(lambda known: largest_feasible(known, denied), case) if denied else None
    feasible = feasible or nothing_feasible(denied)
    denials = [
        {name: finding[name] for name in DENIAL_FIELDS} | {"feasible_bps": bps}
        for finding, bps in zip((f for f in findings if not f["passed"]), feasible.bps, strict=True)
    ]
    return Verdict.model_validate(
        {
            # The digest of nothing, where there is none, is one that no certificate ever names.
            "batch_digest": _attempt(batch_digest, case) or GENESIS,
            "policy_digest": _attempt(policy_digest, case) or GENESIS,
            "is_exit": way_out,
            "findings": findings,
            "denials": denials,
            "needs_approval": any(row.code == REQUIRED for row in rows),
            "feasible_usd": feasible.value_usd,
        }
    )


def _refuse(row: Row) -> Verdict:
    """About what is no evidence: one denial, no privilege, and the digest of nothing, which no certificate names."""
    (finding,) = findings_of((row,))
    return Verdict.model_validate(
        {
            "batch_digest": GENESIS,
            "policy_digest": GENESIS,
            "is_exit": False,
            "findings": [finding],
            "denials": [{name: finding[name] for name in DENIAL_FIELDS}],
            "needs_approval": False,
        }
    )
