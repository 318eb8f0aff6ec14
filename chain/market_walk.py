"""The ordinary days of the local market, as numbers: a fixed-seed mean-reverting walk; no chain, no state.

Shocks come from sha256, so every platform and Python version walks the same way.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Final, NamedTuple

from chain.world_parameters import TOKENS, VAULTS, TokenParameters

SEED: Final = "autofi-market-v1"
MEMORY_DAYS: Final = 90
UNIFORMS: Final = 12  # their sum less 6 is close to a standard normal (Irwin-Hall)
STABLE_BAND: Final = 0.001
UTILIZATION_BAND: Final = (0.30, 0.91)
CALM_BASE_FEE_WEI: Final = 15 * 10**9
BASE_FEE_BAND_WEI: Final = (10 * 10**9, 20 * 10**9)
MARKET_CORRELATION: Final = 0.7


class MarketDay(NamedTuple):
    """Where one day ends: USD prices and utilizations by token id, yields by vault id, fractions of one."""

    prices_usd: Mapping[str, Decimal]
    utilizations: Mapping[str, float]
    vault_aprs: Mapping[str, float]
    base_fee_wei: int


def market_day(day: int) -> MarketDay:
    """Day 0 is the world as built."""
    vaults = {vault.id: vault.apr for vault in VAULTS if vault.apr is not None}
    fee = CALM_BASE_FEE_WEI * math.exp(_deviation("gas", day, volatility=0.10, persistence=0.8))
    return MarketDay(
        prices_usd={token.id: _price_usd(token, day) for token in TOKENS},
        utilizations={token.id: _utilization(token, day) for token in TOKENS},
        vault_aprs={name: apr * (1 + _deviation(name, day, volatility=0.03)) for name, apr in vaults.items()},
        base_fee_wei=round(_within(fee, BASE_FEE_BAND_WEI)),
    )


def _price_usd(token: TokenParameters, day: int) -> Decimal:
    if token.is_stable:
        deviation = _deviation(token.id, day, volatility=token.daily_volatility, persistence=0.5)
        price = 1.0 + _within(deviation, (-STABLE_BAND, STABLE_BAND))
    else:
        together = _deviation("crypto", day, volatility=token.daily_volatility)
        alone = _deviation(token.id, day, volatility=token.daily_volatility)
        weight = MARKET_CORRELATION
        price = token.price_usd * math.exp(weight * together + math.sqrt(1 - weight**2) * alone)
    return Decimal(f"{price:.8f}")


def _utilization(token: TokenParameters, day: int) -> float:
    deviation = _deviation(f"{token.id}-loans", day, volatility=0.02, persistence=0.93)
    return _within(token.utilization + deviation, UTILIZATION_BAND)


def _deviation(name: str, day: int, *, volatility: float, persistence: float = 0.95) -> float:
    """An AR(1) path from 0 on day 0; what is older than its memory has faded to under 1 %."""
    ages = range(min(day, MEMORY_DAYS))
    return volatility * math.fsum(persistence**age * _shock(name, day - age) for age in ages)


@cache
def _shock(name: str, day: int) -> float:
    draw = hashlib.sha256(f"{SEED}:{name}:{day}".encode()).digest()
    pairs = (int.from_bytes(draw[2 * index : 2 * index + 2]) for index in range(UNIFORMS))
    return sum(pairs) / 2**16 - UNIFORMS / 2


def _within(value: float, band: tuple[float, float]) -> float:
    return min(max(value, band[0]), band[1])
