"""Named events of the local market, for `autofi chain play` and the demo."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final

from chain.scenario import Scenario
from domain.errors import ConfigurationInvalid

GWEI: Final = 10**9

SCENES: Final[Mapping[str, tuple[str, Callable[[Scenario], None]]]] = {
    "day": ("one ordinary day passes", lambda market: market.step_day(market.day + 1)),
    "refresh-feeds": ("every price feed reports again", lambda market: market.refresh_feeds()),
    "dai-demand": (
        "borrowers bring DAI on Aave to 92 % utilization",
        lambda m: m.set_utilization("dai", Decimal("0.92")),
    ),
    "break-peg": ("USDX slides to 0.96 over six hours", lambda market: market.break_peg("usdx", Decimal("0.96"))),
    "collapse": ("USDX falls to 0.80 over six hours", lambda market: market.break_peg("usdx", Decimal("0.80"))),
    "stall-feed": ("the ETH price feed stops while its heartbeat passes", lambda market: market.stall_feed("weth")),
    "spike-gas": ("the base fee jumps to 900 gwei", lambda market: market.spike_gas(900 * GWEI)),
    "slash": ("the slashable vault loses 5 %", lambda market: market.slash_vault(500)),
}


def require_scene(scene: str) -> None:
    """Raises ConfigurationInvalid for an unknown one."""
    if scene not in SCENES:
        raise ConfigurationInvalid(f"scene {scene!r} is unknown; scenes: {', '.join(SCENES)}")


def play(market: Scenario, scene: str) -> str:
    """Returns what happened. Raises ConfigurationInvalid for an unknown scene."""
    require_scene(scene)
    story, act = SCENES[scene]
    act(market)
    return story
