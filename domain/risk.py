"""Risk of one portfolio, with the sample behind every number."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from domain.stress import StressFamily, scenario_name
from domain.units import Ratio, Slug, Value

AFTER: Final = "after"
"""Subject of the report on the book that the simulation left."""


class Estimate(Value):
    """A statistic with its evidence: a number without a sample size and an interval is not judged, it is denied.

    Losses and deviations, never below zero: where nothing was lost, the loss is 0 and not a gain.
    """

    value: Ratio = Field(ge=0)
    lower: Ratio = Field(ge=0)
    upper: Ratio = Field(ge=0)
    confidence: Ratio = Field(gt=0, lt=1)
    """Coverage of [lower, upper]."""
    sample_size: int = Field(ge=0)
    method: Slug


class TailRisk(Value):
    """VaR or CVaR as a loss: a positive fraction of net asset value over the horizon; 0 when nothing was ever lost."""

    level: Ratio = Field(gt=0.5, lt=1)
    horizon_days: int = Field(gt=0)
    var: Estimate
    cvar: Estimate


class StressLoss(Value):
    """Loss of one scenario as a fraction of net asset value, gains floored at 0."""

    family: StressFamily
    subject: Slug
    """What is hit: a token, a protocol, a combination, or the whole book."""
    loss: Ratio = Field(ge=0)

    @property
    def scenario(self) -> str:
        return scenario_name(self.family, self.subject)


class RiskReport(Value):
    """What the tools measured on one portfolio. None is unknown and denies wherever a limit stands."""

    subject: Slug
    """`current`, `after` or a candidate id."""
    net_asset_value_usd: Ratio | None
    tails: tuple[TailRisk, ...]
    volatility: Estimate | None
    """Annualized."""
    max_drawdown: Estimate | None
    stress: tuple[StressLoss, ...]
    herfindahl: Ratio | None
    """Sum of squared shares over strategies and cash tokens."""

    def tail(self, level: float) -> TailRisk | None:
        """None when it was not measured, or twice."""
        found = [tail for tail in self.tails if tail.level == level]
        return found[0] if len(found) == 1 else None


class ProtocolScore(Value):
    """0 (worst) to 100 (best) with the reason for each part."""

    protocol: Slug
    score: Ratio = Field(ge=0, le=100)
    has_open_incident: bool
    reasons: tuple[str, ...]
