"""What changes between two policies: which limits become tighter, which looser, and the tighter of both.

Tighter means that no batch passes which did not pass before. Whatever is not known to be tighter counts as looser.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Final

from domain.errors import InvariantBroken
from domain.policy import Policy, is_unlimited
from domain.units import Value, decimal_text

LimitValue = Decimal | int | bool | str


class Direction(StrEnum):
    TIGHTER = "tighter"
    LOOSER = "looser"
    NEUTRAL = "neutral"  # a name: no limit reads it


class Order(StrEnum):
    """Which way a key tightens."""

    LOWER = "lower"
    HIGHER = "higher"
    NONE = "none"  # neither way is known to be tighter
    LABEL = "label"


ORDERS: Final[Mapping[str, Order]] = {
    "name": Order.LABEL,
    "version": Order.NONE,
    # Risk and forecasts over another horizon are other numbers, not larger ones.
    "risk.horizon_days": Order.NONE,
    "economics.horizon_days": Order.NONE,
    # The longer nobody gets out, the more the scenario loses.
    "stress.utilization_days": Order.HIGHER,
    "slippage.emergency_floor_bps": Order.LOWER,
    # In spite of its name the most that passes without a human.
    "approval.min_value_without_approval_usd": Order.LOWER,
    "approval.expiry_seconds": Order.LOWER,
    "approval.requires_four_eyes": Order.HIGHER,
    "changes.loosening_delay_seconds": Order.HIGHER,
    "changes.requires_four_eyes": Order.HIGHER,
    # Selling a broken token and keeping it are different risks.
    "mitigation.default_action": Order.NONE,
}
"""Every key whose prefix does not say it."""
PREFIXES: Final[Mapping[str, Order]] = {"max_": Order.LOWER, "min_": Order.HIGHER}


class Change(Value):
    """One key that differs."""

    key: str
    """With its section: `budgets.max_day_value_usd`."""
    before: str
    after: str
    direction: Direction


def order_of(key: str) -> Order:
    """Order.NONE for a key that nobody has thought about."""
    if key in ORDERS:
        return ORDERS[key]
    name = key.rpartition(".")[2]
    return next((order for prefix, order in PREFIXES.items() if name.startswith(prefix)), Order.NONE)


def limits_of(policy: Policy) -> dict[str, LimitValue]:
    """Every key with its section, in the file's order."""
    return dict(_limits(policy))


def _limits(policy: Policy) -> Iterator[tuple[str, LimitValue]]:
    for name, section in policy:
        if isinstance(section, Value):
            yield from ((f"{name}.{key}", limit) for key, limit in section)
        else:
            yield name, section


def compare(old: Policy, new: Policy) -> tuple[Change, ...]:
    """One change per key that differs; amounts that only are written otherwise do not."""
    after = limits_of(new)
    return tuple(
        Change(
            key=key,
            before=limit_text(limit),
            after=limit_text(after[key]),
            direction=_direction(key, limit, after[key]),
        )
        for key, limit in limits_of(old).items()
        if limit != after[key]
    )


def meet(old: Policy, new: Policy) -> Policy:
    """The tighter value of each limit; where neither is known to be tighter, the old one. Labels are the new ones.

    It may be stricter than a written policy can be: a cap of one beside a minimum of the other that it cannot hold.
    """
    after = limits_of(new)
    kept = {key: _tighter(key, limit, after[key]) for key, limit in limits_of(old).items()}
    sections = {
        name: section.model_copy(update={key: kept[f"{name}.{key}"] for key, _ in section})
        if isinstance(section, Value)
        else kept[name]
        for name, section in old
    }
    return old.model_copy(update=sections)


def _tighter(key: str, old: LimitValue, new: LimitValue) -> LimitValue:
    return old if old == new or _direction(key, old, new) is Direction.LOOSER else new


def _direction(key: str, old: LimitValue, new: LimitValue) -> Direction:
    """Of two values that differ."""
    order = order_of(key)
    if order is Order.LABEL:
        return Direction.NEUTRAL
    if order is Order.NONE:
        return Direction.LOOSER
    before, after = _rank(order, old), _rank(order, new)
    return Direction.TIGHTER if after < before else Direction.LOOSER


def _rank(order: Order, limit: LimitValue) -> Decimal:
    """Smaller is tighter; `unlimited` is above everything."""
    if isinstance(limit, str):
        if not is_unlimited(limit):
            raise InvariantBroken(f"limit {limit!r} is a word without an order, only `unlimited` has one")
        return Decimal("Infinity")
    return Decimal(limit) if order is Order.LOWER else -Decimal(limit)


def limit_text(limit: LimitValue) -> str:
    """As the policy file writes it, words without quotes."""
    if isinstance(limit, bool):
        return str(limit).lower()
    return decimal_text(limit) if isinstance(limit, Decimal) else str(limit)
