"""The oracle: whether a batch may be sent, is an exit, waits for a human, and all codes that forbid it."""

from __future__ import annotations

from typing import Final, NamedTuple, cast

from domain.verdict import Evidence
from tests.oracle.book import Facts
from tests.oracle.limits_batch import judge_allowlist, judge_binding, judge_simulation
from tests.oracle.limits_market import judge_exposure, judge_freshness, judge_protocol
from tests.oracle.limits_money import judge_approval, judge_budgets, judge_economics, judge_slippage
from tests.oracle.limits_risk import judge_risk, judge_trading_state
from tests.oracle.shape import Shapes
from tests.oracle.sheet import Row, Sheet

APPLY_TO_EXITS: Final = frozenset(
    {
        "evidence_invalid",
        "batch_mismatch",
        *("undecoded", "chain_id", "contract", "selector", "recipient", "spender", "argument", "approval_amount"),
        *("leftover_approval", "native_value", "delegatecall"),
        *("min_out_zero", "emergency_floor"),
        *("simulation_failed", "simulation_digest", "delta_mismatch", "outflow_to_stranger", "unplanned_outflow"),
        "exit_fee_cap",
    }
)
"""All of them about what the batch does; an exit waives the rest."""
WAIVED_BY_EXITS: Final = frozenset(
    {
        *("trading_state_reducing", "trading_state_halted", "policy_digest", "snapshot_digest", "plan_expired"),
        "block_mismatch",
        *("price_missing", "price_stale", "price_sources_too_few", "price_disputed", "rate_stale", "strategy_paused"),
        *("stable_deviation", "snapshot_old", "block_lag", "sequencer_down"),
        *("strategy_share", "protocol_share", "chain_share", "token_share", "issuer_share", "oracle_share"),
        *("collateral_share", "factor_share", "reserve_share", "pool_supplied_share", "pool_withdrawable_share"),
        *("run_turnover", "day_turnover", "var_95", "var_99", "cvar_95", "cvar_99", "volatility", "drawdown"),
        *("sample_too_small", "interval_confidence", "stress_loss", "risk_missing", "protocol_score", "open_incident"),
        *("net_gain", "break_even", "gas_cost", "gas_price", "fee_cap"),
        *("trade_slippage", "day_slippage", "week_slippage"),
        *("transaction_value", "day_value", "week_value", "day_loss", "week_loss", "day_gas", "runs_per_hour"),
        *("ledger_corrupt", "simulation_stale", "approval_threshold", "approval_digest", "approval_denied"),
        *("approval_used", "approval_expired", "approval_role", "four_eyes"),
    }
)
FAMILIES: Final = (
    judge_trading_state,
    judge_binding,
    judge_allowlist,
    judge_simulation,
    judge_freshness,
    judge_exposure,
    judge_risk,
    judge_protocol,
    judge_economics,
    judge_slippage,
    judge_budgets,
)
_shapes: Final = Shapes()


class Judgement(NamedTuple):
    allowed: bool
    is_exit: bool
    needs_approval: bool
    codes: frozenset[str]
    is_readable: bool = True
    """False where the evidence is no evidence, or its bytes say something else than what is judged: denied, and
    of the codes only that one is certain."""
    is_impostor: bool = False
    """True where a value is of another type than it should be and only its text is right: may be refused as well."""


def judge(evidence: object) -> Judgement:
    """Total: whatever is handed over is evidence, or text that reads as evidence, or refused."""
    if _shapes.is_sound(evidence):
        return judge_sound(cast(Evidence, evidence))
    again = read_again(evidence)
    if again is None or not _shapes.is_sound(again):
        return Judgement(False, False, False, frozenset({"evidence_invalid"}), is_readable=False)
    return judge_sound(again)._replace(is_impostor=True)


def read_again(evidence: object) -> Evidence | None:
    """What the evidence's own text says, where that text is the same when it is written again."""
    try:
        text = Evidence.__pydantic_serializer__.to_json(evidence, warnings="error")
        again = Evidence.model_validate_json(text)
    except (ArithmeticError, AttributeError, TypeError, ValueError):
        return None
    return again if Evidence.__pydantic_serializer__.to_json(again) == text else None


def judge_sound(evidence: Evidence) -> Judgement:
    facts = Facts(evidence)
    if not facts.is_listed:
        return Judgement(False, False, False, frozenset({"evidence_invalid"}), is_readable=False)
    if facts.is_unspeakable:
        return Judgement(False, False, False, frozenset(), is_readable=False)
    rows, is_waiting = rows_of(facts)
    failed = {row.code for row in rows if not row.passed}
    codes = failed & APPLY_TO_EXITS if facts.is_exit else failed
    needs_approval = is_waiting and not facts.is_exit
    is_allowed = not codes and not needs_approval
    return Judgement(is_allowed, facts.is_exit, needs_approval, frozenset(codes), facts.reads_as_judged)


def rows_of(facts: Facts) -> tuple[list[Row], bool]:
    """Every comparison, and whether a human must be asked; exits waive neither here."""
    sheet = Sheet(facts.evidence.policy)
    for family in FAMILIES:
        family(facts, sheet)
    is_waiting = judge_approval(facts, sheet)
    return sheet.rows, is_waiting
