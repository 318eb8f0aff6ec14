"""What changes between two catalogs. Tighter is only what is known to let nothing pass that did not pass before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from domain.market import Catalog
from domain.policy_change import Change, Direction
from domain.units import Value

ABSENT: Final = "absent"
LISTED: Final = "listed"
GROUPS: Final = ("tokens", "strategies", "venues")
LABELS: Final = frozenset({"oracles", "collateral", "factors"})
"""Each names a risk that a cap limits: one more can only deny more."""
Entry = Mapping[str, object]


def compare(old: Catalog, new: Catalog) -> tuple[Change, ...]:
    """One per field that differs, such as `tokens.dai.feed_heartbeat_seconds`, and per entry that came or went."""
    before, after = _entries(old), _entries(new)
    return tuple(
        change
        for path in dict.fromkeys((*before, *after))
        for change in _compare_entry(path, before.get(path), after.get(path))
    )


def _entries(catalog: Catalog) -> dict[str, Entry]:
    """By path; what belongs to no entry is under the empty one."""
    whole = {name: value for name, value in catalog if name not in GROUPS and not isinstance(value, Value)}
    listed = {f"{group}.{entry.id}.": dict(entry) for group in GROUPS for entry in getattr(catalog, group)}
    return {"": whole, "contracts.": dict(catalog.contracts), **listed}


def _compare_entry(path: str, old: Entry | None, new: Entry | None) -> tuple[Change, ...]:
    if old is None or new is None:
        return (_whole(path.removesuffix("."), is_listed=new is not None),)
    return tuple(
        Change(
            key=f"{path}{field}",
            before=_text(old[field]),
            after=_text(new[field]),
            direction=_direction(field, old[field], new[field]),
        )
        for field in old
        if old[field] != new[field]
    )


def _whole(path: str, *, is_listed: bool) -> Change:
    """Looser both ways: what is held in a token or strategy that went is no longer seen, and a pool prices a token."""
    return Change(
        key=path,
        before=ABSENT if is_listed else LISTED,
        after=LISTED if is_listed else ABSENT,
        direction=Direction.LOOSER,
    )


def _direction(field: str, old: object, new: object) -> Direction:
    """Of two values that differ. What nobody has thought about is looser.

    A shorter heartbeat, too: with an oracle that counts as stale, an exit's floor comes from the pool.
    """
    match field, old, new:
        case "sequencer_feed", None, _:
            is_tighter = True
        case _, tuple(before), tuple(after) if field in LABELS:
            is_tighter = set(before) <= set(after)
        case _:
            is_tighter = False
    return Direction.TIGHTER if is_tighter else Direction.LOOSER


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(str(part) for part in value) or "none"
    return ABSENT if value is None else str(value)


def meet(old: Catalog, new: Catalog) -> Catalog:
    """The new one where all of it is tighter, else the old one: half a list of addresses is none that anybody wrote."""
    is_tighter = all(change.direction is Direction.TIGHTER for change in compare(old, new))
    return new if is_tighter else old
