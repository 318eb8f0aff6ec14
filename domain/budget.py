"""What one batch takes from the rolling windows, and how much the windows may hold."""

from __future__ import annotations

from decimal import Decimal

from domain.policy import Limit, Policy
from domain.units import EXACT, Spent, Value


class Spending(Value):
    """The most that a batch may use; in flight all of it counts as used."""

    value_usd: Spent
    loss_usd: Spent
    gas_usd: Spent
    slippage_usd: Spent
    turnover_usd: Spent


class WindowLimits(Value):
    """The policy's limits of one batch and of the windows that end now, all in USD."""

    max_transaction_value_usd: Limit
    max_day_value_usd: Limit
    max_week_value_usd: Limit
    max_day_loss_usd: Limit
    max_week_loss_usd: Limit
    max_day_gas_usd: Limit
    max_day_slippage_usd: Limit
    max_week_slippage_usd: Limit
    max_day_turnover_usd: Limit

    @classmethod
    def of(cls, policy: Policy, *, net_asset_value_usd: Decimal) -> WindowLimits:
        """The policy's turnover is a share of net asset value; everything else is USD there, too."""
        budgets, slippage, share = policy.budgets, policy.slippage, policy.exposure.max_day_turnover_share
        return cls(
            max_transaction_value_usd=budgets.max_transaction_value_usd,
            max_day_value_usd=budgets.max_day_value_usd,
            max_week_value_usd=budgets.max_week_value_usd,
            max_day_loss_usd=budgets.max_day_loss_usd,
            max_week_loss_usd=budgets.max_week_loss_usd,
            max_day_gas_usd=budgets.max_day_gas_usd,
            max_day_slippage_usd=slippage.max_day_slippage_usd,
            max_week_slippage_usd=slippage.max_week_slippage_usd,
            max_day_turnover_usd=share if isinstance(share, str) else EXACT.multiply(share, net_asset_value_usd),
        )
