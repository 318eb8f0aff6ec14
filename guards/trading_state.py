"""Trading state: ACTIVE lets the other guards decide, REDUCING asks for less risk, HALTED only for the way out."""

from __future__ import annotations

from domain.verdict import TradingState
from guards.asymmetry import is_exit, reduces_risk
from guards.case import Case
from guards.finding import Row, Ruler

RULER = Ruler("trading_state")


def check_trading_state(case: Case) -> tuple[Row, ...]:
    state = case.evidence.trading_state
    if is_exit(case):
        return (_row("trading_state", state, passed=True, limit="exits pass in every state"),)
    if state is TradingState.ACTIVE:
        return (_row("trading_state", state, passed=True, limit="active"),)
    if state is TradingState.REDUCING:
        limit = "exits, or less stress loss and no entry"
        return (_row("trading_state_reducing", state, passed=reduces_risk(case), limit=limit),)
    return (_row("trading_state_halted", state, passed=False, limit="exits only"),)


def _row(code: str, state: TradingState, *, passed: bool, limit: str) -> Row:
    return RULER.fact(code, "account", passed=passed, limit=limit, observed=state.value)
