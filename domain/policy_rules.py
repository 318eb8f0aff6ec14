"""Which limits contradict each other: a written policy that breaks a rule is refused, with the rule's reason.

Rules bind what people write. The tighter of two policies may break one; it then allows less, never more.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final, NamedTuple

from domain.policy import Policy, is_unlimited
from domain.policy_change import LimitValue, limit_text, limits_of
from domain.units import BPS_PER_ONE, SECONDS_PER_DAY


class Contradiction(NamedTuple):
    """One limit that cannot stand as it is written."""

    key: str
    value: str
    allowed: str
    reason: str


class Ceiling(NamedTuple):
    """`child` is a part of `parent`. `unlimited` is above every number."""

    child: str
    parent: str
    reason: str
    allows_the_word: bool = False
    """Whether `unlimited` under a number says something of its own: ask nobody, keep no reserve."""


class Bounds(NamedTuple):
    """A number that makes sense only between two others; None is open."""

    key: str
    low: int | None
    high: int | None
    reason: str


_LONGER: Final = "a longer window holds the shorter one"
_HELD: Final = "what one of them holds counts in the other, too"
_TAIL: Final = "a rarer loss is at least as large"
_PART: Final = "a combination costs at least as much as each of its parts"
CEILINGS: Final = (
    Ceiling("budgets.max_transaction_value_usd", "budgets.max_day_value_usd", _LONGER),
    Ceiling("budgets.max_day_value_usd", "budgets.max_week_value_usd", _LONGER),
    Ceiling("budgets.max_day_loss_usd", "budgets.max_week_loss_usd", _LONGER),
    Ceiling("economics.max_gas_cost_usd", "budgets.max_day_gas_usd", _LONGER),
    Ceiling("slippage.max_day_slippage_usd", "slippage.max_week_slippage_usd", _LONGER),
    Ceiling("exposure.max_run_turnover_share", "exposure.max_day_turnover_share", _LONGER),
    Ceiling("breakers.max_day_drawdown_share", "breakers.max_week_drawdown_share", _LONGER),
    Ceiling("breakers.max_week_drawdown_share", "breakers.max_peak_drawdown_share", _LONGER),
    Ceiling("exposure.max_strategy_share", "exposure.max_protocol_share", _HELD),
    Ceiling("exposure.max_protocol_share", "exposure.max_chain_share", _HELD),
    Ceiling("exposure.max_token_share", "exposure.max_issuer_share", _HELD),
    Ceiling(
        "exposure.min_reserve_share",
        "exposure.max_issuer_share",
        "the reserve token counts for its issuer",
        allows_the_word=True,
    ),
    Ceiling("risk.max_var_95_share", "risk.max_var_99_share", _TAIL),
    Ceiling("risk.max_cvar_95_share", "risk.max_cvar_99_share", _TAIL),
    Ceiling("risk.max_var_95_share", "risk.max_cvar_95_share", "CVaR is the mean of what lies beyond VaR"),
    Ceiling("risk.max_var_99_share", "risk.max_cvar_99_share", "CVaR is the mean of what lies beyond VaR"),
    Ceiling("stress.max_depeg_3_loss_share", "stress.max_depeg_12_loss_share", "a deeper fall costs more"),
    Ceiling("stress.max_depeg_12_loss_share", "stress.max_depeg_50_loss_share", "a deeper fall costs more"),
    Ceiling("stress.max_depeg_12_loss_share", "stress.max_combined_loss_share", _PART),
    Ceiling("stress.max_volatile_fall_loss_share", "stress.max_combined_loss_share", _PART),
    Ceiling("stress.max_utilization_loss_share", "stress.max_combined_loss_share", _PART),
    Ceiling("stress.max_bad_debt_loss_share", "stress.max_combined_loss_share", _PART),
    Ceiling("stress.max_exploit_loss_share", "stress.max_combined_loss_share", _PART),
    Ceiling("stress.max_gas_loss_share", "stress.max_combined_loss_share", _PART),
    Ceiling("stress.max_oracle_lag_loss_share", "stress.max_combined_loss_share", _PART),
    Ceiling(
        "slippage.max_trade_slippage_bps", "slippage.emergency_floor_bps", "a way out may not be narrower than a trade"
    ),
    Ceiling(
        "economics.max_break_even_days",
        "economics.horizon_days",
        "what breaks even after the horizon gains nothing within it",
    ),
    Ceiling(
        "approval.min_value_without_approval_usd",
        "budgets.max_transaction_value_usd",
        'nobody would ever be asked; write "unlimited" if that is meant',
        allows_the_word=True,
    ),
    Ceiling(
        "freshness.max_stable_deviation_bps",
        "mitigation.max_peg_deviation_bps",
        "what may be entered would have to be left at once",
    ),
)
BOUNDS: Final = (
    Bounds("freshness.min_price_sources_count", 1, None, "a price that no source gives is no price"),
    Bounds("risk.min_sample_days_count", 2, None, "no spread can be measured on fewer observations"),
    Bounds("risk.horizon_days", None, 30, "no tail is measured further ahead"),
    Bounds("protocol.min_score_points", None, 100, "no protocol scores higher"),
    Bounds("slippage.max_trade_slippage_bps", None, BPS_PER_ONE - 1, "a swap must bring something"),
    Bounds("slippage.emergency_floor_bps", None, BPS_PER_ONE - 1, "a swap must bring something, on the way out too"),
    Bounds("simulation.max_delta_tolerance_bps", None, BPS_PER_ONE - 1, "a batch could do nothing of what it says"),
    Bounds("approval.expiry_seconds", 60, None, "plans expire before they can be sent, the way out included"),
    Bounds("approval.expiry_seconds", None, 7 * SECONDS_PER_DAY, "the market that was consented to is gone by then"),
    Bounds("changes.loosening_delay_seconds", None, 365 * SECONDS_PER_DAY, "a delay, and no prohibition"),
)


def contradictions(policy: Policy) -> tuple[Contradiction, ...]:
    """Every rule that the policy breaks, in the rules' order."""
    limits = limits_of(policy)
    return (*_above_parents(limits), *_out_of_bounds(limits))


def _above_parents(limits: dict[str, LimitValue]) -> Iterator[Contradiction]:
    for child, parent, reason, allows_the_word in CEILINGS:
        value, ceiling = _number(limits[child]), _number(limits[parent])
        is_meant = value is None and allows_the_word
        if ceiling is not None and not is_meant and (value is None or value > ceiling):
            allowed = f"at most {limit_text(limits[parent])}, which is {parent}"
            yield Contradiction(child, limit_text(limits[child]), allowed, reason)


def _out_of_bounds(limits: dict[str, LimitValue]) -> Iterator[Contradiction]:
    for key, low, high, reason in BOUNDS:
        value = _number(limits[key])
        if value is None:
            continue
        if low is not None and value < low:
            yield Contradiction(key, limit_text(limits[key]), f"at least {low}", reason)
        if high is not None and value > high:
            yield Contradiction(key, limit_text(limits[key]), f"at most {high}", reason)


def _number(limit: LimitValue) -> Decimal | None:
    return None if is_unlimited(limit) else Decimal(limit)
