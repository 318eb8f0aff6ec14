"""Market shocks with sizes of one's own: a crash, a run on a stable token, a drained protocol, all of it on one day.

Where a size is left out it is the median of the recorded episodes (tools.shocks.episodes).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from domain.errors import StaleOrDisputed
from domain.risk_facts import STABLE_ROLES, TokenRole
from tools.shocks.market_shock import MarketShock

BITCOIN_PER_ETHER: Final = 0.83
ALTCOIN_PER_ETHER: Final = 1.72
"""Of ether's fall in the five episodes, the median."""
CRASH_DISCOUNT: Final = 0.03
CRASH_GAS_FACTOR: Final = 2.86


def ether_crash(
    fall: float,
    *,
    bitcoin_per_ether: float = BITCOIN_PER_ETHER,
    altcoin_per_ether: float = ALTCOIN_PER_ETHER,
    discount: float = CRASH_DISCOUNT,
    gas_factor: float = CRASH_GAS_FACTOR,
) -> MarketShock:
    """Everything volatile falls with ether, at most to nothing; liquid staking tokens by a discount more.

    `fall` and `discount` are shares of one. Raises StaleOrDisputed for sizes that cannot be, naming the role.
    """
    return MarketShock(
        falls={
            TokenRole.ETHER: fall,
            TokenRole.LIQUID_STAKING: 1.0 - (1.0 - fall) * (1.0 - discount),
            TokenRole.BITCOIN: min(fall * bitcoin_per_ether, 1.0),
            TokenRole.ALTCOIN: min(fall * altcoin_per_ether, 1.0),
        },
        gas_factor=gas_factor,
    )


def run_on_stable(role: TokenRole, fall: float, *, gas_factor: float = CRASH_GAS_FACTOR) -> MarketShock:
    """One kind of stable token falls and its lending pools let nobody out. Raises StaleOrDisputed for other roles."""
    if role not in STABLE_ROLES:
        raise StaleOrDisputed(f"a run on a stable token needs one of {sorted(STABLE_ROLES)}, got {role}")
    return MarketShock(falls={role: fall}, gas_factor=gas_factor, blocked=frozenset({role}))


def drain(protocols: Iterable[str], share: float = 1.0) -> MarketShock:
    """Protocols lose a share of their deposits: an exploit takes everything, bad debt a part.

    Raises StaleOrDisputed for a single name, whose letters would count as protocols, and for what is no share.
    """
    if isinstance(protocols, str):
        raise StaleOrDisputed(f"protocols to drain must be a list of names, got the single name {protocols!r}")
    return MarketShock(falls={}, lost_in=dict.fromkeys(protocols, share))


def freeze(roles: Iterable[TokenRole] = TokenRole) -> MarketShock:
    """Lending pools of these roles are lent out to the last, at unchanged prices."""
    return MarketShock(falls={}, blocked=frozenset(roles))


def together(*shocks: MarketShock) -> MarketShock:
    """All of them on one day: what is left after one is hit by the next, gas at the dearest, everybody blocked.

    Without any shock, today. The order does not matter.
    """
    falls: dict[TokenRole, float] = {}
    lost: dict[str, float] = {}
    for shock in shocks:
        for role, fall in shock.falls.items():
            falls[role] = 1.0 - (1.0 - falls.get(role, 0.0)) * (1.0 - fall)
        for protocol, share in shock.lost_in.items():
            lost[protocol] = 1.0 - (1.0 - lost.get(protocol, 0.0)) * (1.0 - share)
    return MarketShock(
        falls=falls,
        gas_factor=max((shock.gas_factor for shock in shocks), default=1.0),
        blocked=frozenset().union(*(shock.blocked for shock in shocks)),
        lost_in=lost,
    )
