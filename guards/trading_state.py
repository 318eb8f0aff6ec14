"""Trading state: ACTIVE lets the other guards decide, REDUCING asks for less risk, HALTED only for the way out."""

from __future__ import annotations

from domain.verdict import Evidence, Finding, TradingState
from guards.asymmetry import is_exit, reduces_risk
from guards.finding import Ruler

RULER = Ruler("trading_state")


def check_trading_state(evidence: Evidence) -> tuple[Finding, ...]:
    state = evidence.trading_state
    if is_exit(evidence):
        return (_row("trading_state", evidence, passed=True, limit="exits pass in every state"),)
    if state is TradingState.ACTIVE:
        return (_row("trading_state", evidence, passed=True, limit="active"),)
    if state is TradingState.REDUCING:
        limit = "exits, or less stress loss and no entry"
        return (_row("trading_state_reducing", evidence, passed=reduces_risk(evidence), limit=limit),)
    return (_row("trading_state_halted", evidence, passed=False, limit="exits only"),)


def _row(code: str, evidence: Evidence, *, passed: bool, limit: str) -> Finding:
    return RULER.fact(code, "account", passed=passed, limit=limit, observed=str(evidence.trading_state))
