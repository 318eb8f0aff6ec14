"""Five days on which DeFi broke, as market shocks: every number with where it was recorded, or named as assumed.

Volatile roles: the close before the episode to its lowest close. Stable roles: one dollar to the lowest daily low.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from domain.risk_facts import TokenRole
from tools.shocks.market_shock import MarketShock

BINANCE: Final = "Binance daily closes"
YAHOO: Final = "Yahoo Finance daily closes"
LOWS: Final = "CoinMarketCap daily lows"
STETH: Final = "CoinGecko hourly stETH and WETH in USD, lowest 6 hour median of their ratio"
ETHERSCAN: Final = "Etherscan daily average gas price, highest day over the median of the 30 days before"
AAVE: Final = "Aave subgraph snapshots, daily mean utilization"
ASSUMED: Final = "assumed: "


@dataclass(frozen=True, slots=True)
class Recorded:
    """One number and its source; what was not recorded at the time is assumed, and the source says from what."""

    value: float
    source: str

    @property
    def is_assumed(self) -> bool:
        return self.source.startswith(ASSUMED)


@dataclass(frozen=True)
class Episode:
    """What happened between two days. `discount` is a liquid staking token's, against ether."""

    name: str
    title: str
    first_day: datetime.date
    last_day: datetime.date
    falls: Mapping[TokenRole, Recorded]
    discount: Recorded
    gas_factor: Recorded
    full_utilization_days: Mapping[TokenRole, Recorded]
    """Days on which the largest lending pools of a role stood above 98 %; a role that is absent stayed below."""
    utilization_is_known: bool = True

    @cached_property
    def shock(self) -> MarketShock:
        """As one vector: a liquid staking token falls with ether and by its discount."""
        ether = self.falls[TokenRole.ETHER].value
        falls = {role: recorded.value for role, recorded in self.falls.items()}
        falls[TokenRole.LIQUID_STAKING] = 1.0 - (1.0 - ether) * (1.0 - self.discount.value)
        return MarketShock(falls=falls, gas_factor=self.gas_factor.value, blocked=frozenset(self.full_utilization_days))

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What of this episode was not recorded, in words."""
        named = [(role.value, recorded) for role, recorded in self.falls.items()]
        named += [("liquid staking discount", self.discount), ("gas factor", self.gas_factor)]
        found = [f"{name}: {recorded.source.removeprefix(ASSUMED)}" for name, recorded in named if recorded.is_assumed]
        return (
            *found,
            *(() if self.utilization_is_known else ("utilization: not recorded, nobody counts as blocked",)),
        )


def _falls(
    bitcoin: float, ether: float, alt: tuple[float, str], stables: tuple[Recorded, Recorded, Recorded]
) -> Mapping[TokenRole, Recorded]:
    (altcoin, of_what), (reserve, crypto, algorithmic) = alt, stables
    return {
        TokenRole.BITCOIN: Recorded(bitcoin, f"{BINANCE}, BTCUSDT"),
        TokenRole.ETHER: Recorded(ether, f"{BINANCE}, ETHUSDT"),
        TokenRole.ALTCOIN: Recorded(altcoin, f"{YAHOO}, {of_what}, the largest fall of the coins listed"),
        TokenRole.RESERVE_BACKED: reserve,
        TokenRole.CRYPTO_BACKED: crypto,
        TokenRole.ALGORITHMIC: algorithmic,
    }


UST_LOST: Final = Recorded(0.906, f"{LOWS}, USTC, 2022-05-16")
STILL_BROKEN: Final = Recorded(0.906, f"{ASSUMED}as UST in May 2022, the largest recorded; none of size traded then")

EPISODES: Final = (
    Episode(
        name="crash-2020-03",
        title="12 March 2020: everything volatile fell at once",
        first_day=datetime.date(2020, 3, 12),
        last_day=datetime.date(2020, 3, 16),
        falls=_falls(
            0.395,
            0.446,
            (0.534, "LINK"),
            (Recorded(0.101, f"{LOWS}, USDT"), Recorded(0.022, f"{LOWS}, DAI"), STILL_BROKEN),
        ),
        discount=Recorded(0.066, f"{ASSUMED}as in June 2022, the largest recorded; none traded then"),
        gas_factor=Recorded(7.17, ETHERSCAN),
        full_utilization_days={},
        utilization_is_known=False,
    ),
    Episode(
        name="ust-2022-05",
        title="May 2022: UST lost its peg for good",
        first_day=datetime.date(2022, 5, 7),
        last_day=datetime.date(2022, 5, 16),
        falls=_falls(
            0.194,
            0.272,
            (0.468, "AVAX (LUNA itself lost everything)"),
            (Recorded(0.052, f"{LOWS}, USDT"), Recorded(0.006, f"{LOWS}, DAI"), UST_LOST),
        ),
        discount=Recorded(0.037, STETH),
        gas_factor=Recorded(4.02, ETHERSCAN),
        full_utilization_days={TokenRole.ALGORITHMIC: Recorded(6, f"{AAVE}, v2 UST; until 26 May it did not end")},
    ),
    Episode(
        name="steth-2022-06",
        title="June 2022: stETH below ether while lenders failed",
        first_day=datetime.date(2022, 6, 10),
        last_day=datetime.date(2022, 6, 20),
        falls=_falls(
            0.370,
            0.444,
            (0.438, "XMR"),
            (Recorded(0.002, f"{LOWS}, USDT"), Recorded(0.002, f"{LOWS}, DAI"), STILL_BROKEN),
        ),
        discount=Recorded(0.066, STETH),
        gas_factor=Recorded(2.22, ETHERSCAN),
        full_utilization_days={},
    ),
    Episode(
        name="ftx-2022-11",
        title="November 2022: FTX failed",
        first_day=datetime.date(2022, 11, 6),
        last_day=datetime.date(2022, 11, 16),
        falls=_falls(
            0.252,
            0.322,
            (0.642, "SOL"),
            (Recorded(0.018, f"{LOWS}, USDT"), Recorded(0.010, f"{LOWS}, DAI"), STILL_BROKEN),
        ),
        discount=Recorded(0.015, STETH),
        gas_factor=Recorded(2.67, ETHERSCAN),
        full_utilization_days={},
    ),
    Episode(
        name="usdc-2023-03",
        title="March 2023: USDC's bank failed, and lenders were drained of USDT",
        first_day=datetime.date(2023, 3, 9),
        last_day=datetime.date(2023, 3, 16),
        falls=_falls(
            0.072,
            0.069,
            (0.217, "CFX"),
            (Recorded(0.123, f"{LOWS}, USDC"), Recorded(0.103, f"{LOWS}, DAI"), STILL_BROKEN),
        ),
        discount=Recorded(0.023, "Compound v3 oracle, cbETH in ETH, lowest hour against the last one before"),
        gas_factor=Recorded(2.86, ETHERSCAN),
        full_utilization_days={TokenRole.RESERVE_BACKED: Recorded(2, f"{AAVE}, v3 USDT")},
    ),
)
"""Oldest first. A role falls like its worst token: history spared USDT in 2023, a replay spares none of the role."""
