"""What can be found wrong: by the auditor on the chain, and by the runner around it."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Rule(StrEnum):
    """One line of the policy, or one promise of the product."""

    # What a transaction may touch
    OUTER = "outer"  # not the operator's execTransaction on the account
    TARGET = "target"
    SELECTOR = "selector"
    UNDECODED = "undecoded"
    ARGUMENT = "argument"
    RECIPIENT = "recipient"
    SPENDER = "spender"
    NATIVE_VALUE = "native-value"
    DELEGATECALL = "delegatecall"
    APPROVAL_AMOUNT = "approval-amount"
    # What it left behind
    APPROVAL_LEFT = "approval-left"
    STRANGER_PAID = "stranger-paid"
    STRANGER_TOOK = "stranger-took"  # money moved in a transaction that is not the operator's
    ACCOUNT_CHANGED = "account-changed"
    # Exposure of the book it left
    STRATEGY_SHARE = "strategy-share"
    PROTOCOL_SHARE = "protocol-share"
    TOKEN_SHARE = "token-share"
    ISSUER_SHARE = "issuer-share"
    CHAIN_SHARE = "chain-share"
    ORACLE_SHARE = "oracle-share"
    COLLATERAL_SHARE = "collateral-share"
    FACTOR_SHARE = "factor-share"
    RESERVE_SHARE = "reserve-share"
    POOL_SUPPLIED = "pool-supplied"
    POOL_WITHDRAWABLE = "pool-withdrawable"
    # Amounts
    RUN_TURNOVER = "run-turnover"
    DAY_TURNOVER = "day-turnover"
    TRANSACTION_VALUE = "transaction-value"
    DAY_VALUE = "day-value"
    WEEK_VALUE = "week-value"
    DAY_LOSS = "day-loss"
    WEEK_LOSS = "week-loss"
    MIN_OUT_ZERO = "min-out-zero"
    TRADE_SLIPPAGE = "trade-slippage"
    DAY_SLIPPAGE = "day-slippage"
    WEEK_SLIPPAGE = "week-slippage"
    EMERGENCY_FLOOR = "emergency-floor"
    GAS_COST = "gas-cost"
    GAS_PRICE = "gas-price"
    DAY_GAS = "day-gas"
    RUNS_PER_HOUR = "runs-per-hour"
    # What was known
    PRICE_MISSING = "price-missing"
    PRICE_STALE = "price-stale"
    PRICE_DISPUTED = "price-disputed"
    STABLE_DEVIATION = "stable-deviation"
    # Who was asked, and what was written down
    APPROVAL = "approval"
    TRADING_STATE = "trading-state"
    UNRECORDED = "unrecorded"
    UNEXECUTED = "unexecuted"
    DUPLICATE = "duplicate"
    # Around the transaction: the runner's own checks
    NO_END = "no-end"  # the run neither ended nor waits for a human
    CRASH = "crash"  # an exception that is none of ours left the product
    TRAIL_BROKEN = "trail-broken"  # the journal does not verify
    BATCH_DIFFERS = "batch-differs"  # harmless text would have led to another batch
    TAINTED_PROMPT = "tainted-prompt"  # outside text before an agent's eyes
    TAINTED_APPROVAL = "tainted-approval"  # outside text on the form that the approver reads
    UNASKED_CHANGE = "unasked-change"  # an approval, the policy or the trading state changed without an operator
    SECRET_TOLD = "secret-told"


class Violation(NamedTuple):
    """One promise broken; `subject` is a transaction hash, a run id or a place."""

    rule: Rule
    subject: str
    observed: str
    limit: str

    def __str__(self) -> str:
        return f"{self.rule} {self.subject}: {self.observed}, allowed {self.limit}"
