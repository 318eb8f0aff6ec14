"""What a position earns at each size: our own deposit lowers the rate that everybody in the pool gets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from domain.market import RateCurve, RateObservation
from tools.history import FloatArray

SEGMENTS: Final = 8


@dataclass(frozen=True, slots=True, eq=False)
class EarningCurve:
    """Concave piecewise-linear yearly earnings (share of net asset value) by position size (same); starts at 0."""

    sizes: FloatArray
    earnings: FloatArray

    def segments(self) -> tuple[tuple[float, float], ...]:
        """(width, slope) from the first segment on, slopes falling."""
        widths = np.diff(self.sizes)
        slopes = np.diff(self.earnings) / widths
        return tuple((float(width), float(slope)) for width, slope in zip(widths, slopes, strict=True))


def curve_supply_apr(curve: RateCurve, utilization: float) -> float:
    """Aave's supply rate: borrow rate x utilization x (1 - reserve factor), DefaultReserveInterestRateStrategy."""
    optimal = curve.optimal_utilization
    borrow = curve.base + curve.slope_1 * min(utilization, optimal) / optimal
    borrow += curve.slope_2 * max(utilization - optimal, 0.0) / (1.0 - optimal)
    return borrow * utilization * (1.0 - curve.reserve_factor)


def diluted_apr(rate: RateObservation, apr: float, *, added: float) -> float:
    """The annual simple rate after `added` base units (negative: taken out) join the pool.

    With a rate curve the forecast is scaled by the curve's own change; without one the pool's earnings are taken as
    fixed and shared among more. A negative rate is a loss per unit and is not diluted away.
    """
    supplied = float(rate.supplied)
    if apr <= 0 or supplied <= 0:
        return apr
    after = max(supplied + added, 1.0)
    if rate.curve is not None and rate.borrowed is not None:
        now = curve_supply_apr(rate.curve, min(rate.borrowed / supplied, 1.0))
        if now > 0:
            return apr * curve_supply_apr(rate.curve, min(rate.borrowed / after, 1.0)) / now
    return apr * min(supplied / after, 1.0)


def earning_curve(
    rate: RateObservation,
    apr: float,
    *,
    current: float,
    upper: float,
    units_per_share: float,
    growth_apr: float | None = None,
) -> EarningCurve:
    """Sampled at SEGMENTS sizes up to `upper` and at `current`, then its upper concave envelope.

    Sizes are shares of net asset value; `units_per_share` is what one whole net asset value is in base units. What
    the size grows by earns `growth_apr` where given: a forecast's lower bound for what is yet to be entered. A kink in
    the rate curve can make the sampled earnings bend upwards: the envelope keeps the program convex, and what a
    candidate earns is computed with diluted_apr, not read from here.
    """
    sizes = np.unique(np.concatenate([np.linspace(0.0, max(upper, current, 1e-9), SEGMENTS + 1), [current]]))

    def earned(annual: float, held: FloatArray) -> FloatArray:
        rates = [diluted_apr(rate, annual, added=(size - current) * units_per_share) for size in held]
        return np.asarray(held * np.asarray(rates))

    earnings = earned(apr, sizes)
    if growth_apr is not None:
        grown = earned(growth_apr, sizes) - growth_apr * current
        earnings = np.where(sizes > current, apr * current + grown, earnings)
    return concave_envelope(sizes, earnings)


def concave_envelope(sizes: FloatArray, earnings: FloatArray) -> EarningCurve:
    """Upper hull of the points, sizes rising (Andrew's monotone chain)."""
    kept: list[int] = []
    for index in range(sizes.size):
        while len(kept) > 1 and _bends_up(sizes, earnings, kept[-2], kept[-1], index):
            kept.pop()
        kept.append(index)
    return EarningCurve(sizes=sizes[kept], earnings=earnings[kept])


def _bends_up(sizes: FloatArray, earnings: FloatArray, first: int, middle: int, last: int) -> bool:
    left = (earnings[middle] - earnings[first]) * (sizes[last] - sizes[middle])
    right = (earnings[last] - earnings[middle]) * (sizes[middle] - sizes[first])
    return bool(left <= right)


def tent(target: float, upper: float) -> EarningCurve:
    """Earnings that peak at a target size: maximizing them comes as close to the target as the limits allow."""
    sizes = np.unique([0.0, target, max(upper, target) + 1.0])
    return EarningCurve(sizes=sizes, earnings=target - np.abs(sizes - target))
