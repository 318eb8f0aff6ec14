"""The 21 return samples of DeFi that break optimizers: seven kinds of defect, three fixed seeds each.

Daily returns of 20 strategies; deviations from 0.003 % (lending) to 5 % (liquidity positions) in one sample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import numpy as np

from tools.history import FloatArray

STRATEGIES: Final = 20
DAYS: Final = 250
FEW_DAYS: Final = 15
SEEDS: Final = (11, 12, 13)
HOURLY: Final = 1e-3


class Sample(NamedTuple):
    """Returns of shape (days, strategies), fractions of one."""

    name: str
    returns: FloatArray


def ill_conditioned_samples() -> Iterator[Sample]:
    for kind, spoil in KINDS.items():
        for seed in SEEDS:
            generator = np.random.default_rng(seed)
            yield Sample(f"{kind}-{seed}", spoil(_returns(generator), generator))


def _returns(generator: np.random.Generator) -> FloatArray:
    """One common factor and fat tails, deviations spread evenly in logarithms."""
    deviations = np.geomspace(3e-5, 5e-2, STRATEGIES)
    common = generator.standard_t(5, (DAYS, 1)) * generator.uniform(0.0, 0.6, STRATEGIES)
    return np.asarray((common + generator.standard_t(5, (DAYS, STRATEGIES))) * deviations + deviations * 0.02)


def _as_it_is(returns: FloatArray, _: np.random.Generator) -> FloatArray:
    return returns


def _duplicate_pools(returns: FloatArray, _: np.random.Generator) -> FloatArray:
    """The same market listed twice, six times over."""
    returns[:, 6:12] = returns[:, :6]
    return returns


def _too_few_days(returns: FloatArray, _: np.random.Generator) -> FloatArray:
    return returns[:FEW_DAYS]


def _fixed_rates(returns: FloatArray, generator: np.random.Generator) -> FloatArray:
    """Columns that never move: a fixed rate, read to rounding."""
    returns[:, :2] = generator.uniform(0.02, 0.06, 2) / 365
    return returns


def _zero_columns(returns: FloatArray, generator: np.random.Generator) -> FloatArray:
    returns[:, generator.choice(STRATEGIES, 3, replace=False)] = 0.0
    return returns


def _hourly_accruals(returns: FloatArray, _: np.random.Generator) -> FloatArray:
    return returns * HOURLY


def _jumps(returns: FloatArray, generator: np.random.Generator) -> FloatArray:
    """A collapse of 95 % and a reward of 3000 %."""
    days, (fallen, risen) = generator.choice(DAYS, 2), generator.choice(STRATEGIES, 2, replace=False)
    returns[days[0], fallen], returns[days[1], risen] = -0.95, 30.0
    return returns


KINDS: Final[dict[str, Callable[[FloatArray, np.random.Generator], FloatArray]]] = {
    "wide": _as_it_is,
    "duplicates": _duplicate_pools,
    "few_days": _too_few_days,
    "fixed_rates": _fixed_rates,
    "zero_columns": _zero_columns,
    "hourly": _hourly_accruals,
    "jumps": _jumps,
}
