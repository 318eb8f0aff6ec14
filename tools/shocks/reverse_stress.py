"""The smallest shock along a direction that breaks something, whatever the caller says breaking is.

The measure is the guards' or the breakers' own, handed in as a function: this module only searches.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Generic, TypeVar

from domain.errors import StaleOrDisputed
from domain.risk_facts import TokenRole
from tools.shocks.market_shock import MarketShock

STEPS: Final = 64
TOLERANCE: Final = 1e-6

Breach = TypeVar("Breach", bound=Hashable)

TOTAL_LOSSES: Final[Mapping[str, MarketShock]] = MappingProxyType(
    {
        "ether": MarketShock(falls={TokenRole.ETHER: 1.0, TokenRole.LIQUID_STAKING: 1.0}),
        "everything-volatile": MarketShock(
            falls=dict.fromkeys((TokenRole.BITCOIN, TokenRole.ETHER, TokenRole.LIQUID_STAKING, TokenRole.ALTCOIN), 1.0)
        ),
        **{
            role.value.replace("_", "-"): MarketShock(falls={role: 1.0})
            for role in (
                TokenRole.BITCOIN,
                TokenRole.LIQUID_STAKING,
                TokenRole.RESERVE_BACKED,
                TokenRole.CRYPTO_BACKED,
                TokenRole.ALGORITHMIC,
            )
        },
    }
)
"""Directions whose size is the fall itself: 0.12 along `reserve-backed` is 12 % off every dollar at a custodian."""


@dataclass(frozen=True, slots=True)
class Breaking(Generic[Breach]):
    """The smallest size found that breaks, what it breaks, and the largest size below it that was seen to hold.

    `size` is None when nothing up to the largest size breaks, and 0 when it is broken already; `breaches` holds what
    breaks at `size` only.
    """

    size: float | None
    holds_at: float | None
    breaches: frozenset[Breach]
    measurements: int


def smallest_breaking(
    measure: Callable[[float], frozenset[Breach]],
    *,
    largest: float = 1.0,
    steps: int = STEPS,
    tolerance: float = TOLERANCE,
) -> Breaking[Breach]:
    """Where `measure` first says that something breaks: a scan of `steps` equal sizes, then bisection to `tolerance`.

    The answer is exact to `tolerance` where what is broken stays broken along the direction. Where it mends again (a
    falling token's own share shrinks), a break narrower than `largest / steps` can be missed; none that the scan
    touches is. Raises StaleOrDisputed unless largest and tolerance are above 0 and finite, and steps at least 1.
    """
    if not (math.isfinite(largest) and largest > 0 and math.isfinite(tolerance) and tolerance > 0 and steps >= 1):
        raise StaleOrDisputed(
            f"a reverse stress needs largest and tolerance above 0 and steps of at least 1, got {largest}, "
            f"{tolerance} and {steps}"
        )
    if breaches := measure(0.0):
        return Breaking(0.0, None, breaches, 1)
    for step in range(1, steps + 1):
        size = largest * step / steps
        if breaches := measure(size):
            return _bisect(measure, largest * (step - 1) / steps, size, breaches, (tolerance, step + 1))
    return Breaking(None, largest, frozenset(), steps + 1)


def _bisect(
    measure: Callable[[float], frozenset[Breach]],
    holds: float,
    breaks: float,
    breaches: frozenset[Breach],
    search: tuple[float, int],
) -> Breaking[Breach]:
    """`measure` is empty at `holds` and not at `breaks`, always: the answer is a size that was measured."""
    tolerance, measurements = search
    while breaks - holds > tolerance:
        middle = (holds + breaks) / 2.0
        if not holds < middle < breaks:  # no number lies between: finer than floats can say
            break
        found = measure(middle)
        measurements += 1
        holds, breaks, breaches = (holds, middle, found) if found else (middle, breaks, breaches)
    return Breaking(breaks, holds, breaches, measurements)
