"""The user's limits. Every key carries its unit; every limit is a number or the word `unlimited`."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from domain.digest import digest_of
from domain.units import Bps, ExactDecimal, Slug, Value

Count = Annotated[int, Field(ge=0, strict=True)]
Seconds = Annotated[int, Field(ge=0, strict=True)]
NonNegative = Annotated[ExactDecimal, Field(ge=Decimal(0))]
Limit = NonNegative | Literal["unlimited"]
ShareLimit = Annotated[ExactDecimal, Field(ge=Decimal(0), le=Decimal(1))] | Literal["unlimited"]


class FreshnessLimits(Value):
    max_price_age_over_heartbeat_seconds: Seconds
    """Allowed beyond the feed's own heartbeat."""
    max_rate_age_seconds: Seconds
    max_snapshot_age_seconds: Seconds
    max_block_lag_blocks: Count
    min_price_sources_count: Count
    max_price_disagreement_bps: Bps
    max_stable_deviation_bps: Bps
    """A stable token further than this from one dollar may not be entered."""
    min_sequencer_uptime_seconds: Seconds
    """On chains with a sequencer: it must be up, and have been for this long."""


class ExposureLimits(Value):
    max_strategy_share: ShareLimit
    max_protocol_share: ShareLimit
    max_token_share: ShareLimit
    """Of any token except the reserve token."""
    max_chain_share: ShareLimit
    """Of everything invested through one chain, cash apart."""
    max_issuer_share: ShareLimit
    max_oracle_share: ShareLimit
    max_collateral_share: ShareLimit
    max_factor_share: ShareLimit
    min_reserve_share: ShareLimit
    """In the reserve token, uninvested."""
    max_pool_supplied_share: ShareLimit
    max_pool_withdrawable_share: ShareLimit
    max_run_turnover_share: ShareLimit
    max_day_turnover_share: ShareLimit


class RiskLimits(Value):
    horizon_days: Annotated[int, Field(gt=0, strict=True)]
    min_sample_days_count: Count
    max_var_95_share: ShareLimit
    max_var_99_share: ShareLimit
    max_cvar_95_share: ShareLimit
    max_cvar_99_share: ShareLimit
    max_volatility_share: Limit
    max_drawdown_share: ShareLimit
    min_interval_confidence_share: Annotated[ExactDecimal, Field(gt=Decimal(0), lt=Decimal(1))]
    """Limits hold for the upper end of an interval with at least this coverage."""


class StressLimits(Value):
    """Largest loss of each family of scenarios (domain.stress), as a share of net asset value."""

    utilization_days: Annotated[int, Field(gt=0, le=365, strict=True)]
    """How long a fully utilized pool lets nobody out."""
    max_depeg_3_loss_share: ShareLimit
    max_depeg_12_loss_share: ShareLimit
    max_depeg_50_loss_share: ShareLimit
    max_volatile_fall_loss_share: ShareLimit
    max_utilization_loss_share: ShareLimit
    max_bad_debt_loss_share: ShareLimit
    max_exploit_loss_share: ShareLimit
    max_gas_loss_share: ShareLimit
    max_oracle_lag_loss_share: ShareLimit
    max_reward_loss_share: ShareLimit
    max_combined_loss_share: ShareLimit


class ProtocolLimits(Value):
    min_score_points: NonNegative


class EconomicsLimits(Value):
    horizon_days: Annotated[int, Field(gt=0, strict=True)]
    min_net_gain_usd: NonNegative
    """Lower-bound gain over the horizon minus gas, slippage and fees."""
    max_break_even_days: Limit
    max_gas_cost_usd: Limit
    max_gas_price_wei: Limit


class SlippageLimits(Value):
    max_trade_slippage_bps: Bps
    """Below the oracle value of what is sold."""
    max_day_slippage_usd: Limit
    max_week_slippage_usd: Limit
    emergency_floor_bps: Bps
    """For exits: below the oracle's value, or the simulated quote where the oracle is stale or off its peg."""


class BudgetLimits(Value):
    max_transaction_value_usd: Limit
    max_day_value_usd: Limit
    max_week_value_usd: Limit
    max_day_loss_usd: Limit
    max_week_loss_usd: Limit
    max_day_gas_usd: Limit
    max_hour_runs_count: Count


class SimulationLimits(Value):
    max_age_blocks: Count
    max_delta_tolerance_bps: Bps


class ApprovalLimits(Value):
    min_value_without_approval_usd: Limit
    """A batch that moves more than this waits for a human."""
    expiry_seconds: Seconds
    requires_four_eyes: Annotated[bool, Field(strict=True)]


class BreakerLimits(Value):
    """Beyond these the trading state falls by itself; only an operator raises it again."""

    max_day_drawdown_share: ShareLimit
    """Fall of net asset value below its highest of the last 24 hours."""
    max_week_drawdown_share: ShareLimit
    max_peak_drawdown_share: ShareLimit
    """Below its highest since trading was last resumed."""
    max_failed_runs_count: Count
    """Failed runs in a row."""
    max_blind_runs_count: Count
    """Runs in a row that found their data stale, disputed or out of reach."""


class ChangeRules(Value):
    """How this policy may be replaced: tighter at once, looser after the delay and with a second person."""

    loosening_delay_seconds: Seconds
    requires_four_eyes: Annotated[bool, Field(strict=True)]


class MitigationRules(Value):
    max_peg_deviation_bps: Bps
    """A held stable token beyond this starts the mitigation workflow."""
    max_utilization_share: ShareLimit
    default_action: Literal["reduce", "exit", "exit_to_reserve"]
    """Taken when the model is down."""


class Policy(Value):
    """config/policy.toml. Its digest is in every batch, certificate and record."""

    name: Slug
    version: Literal[1]
    freshness: FreshnessLimits
    exposure: ExposureLimits
    risk: RiskLimits
    stress: StressLimits
    protocol: ProtocolLimits
    economics: EconomicsLimits
    slippage: SlippageLimits
    budgets: BudgetLimits
    simulation: SimulationLimits
    approval: ApprovalLimits
    breakers: BreakerLimits
    changes: ChangeRules
    mitigation: MitigationRules

    def digest(self) -> str:
        return digest_of(self, domain="autofi-policy-v1")


def is_unlimited(limit: object) -> bool:
    return limit == "unlimited"
