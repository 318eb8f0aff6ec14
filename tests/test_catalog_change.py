"""Which changes of the catalog count as tighter: few, and every other field of every entry is looser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from domain.catalog_change import compare, meet
from domain.market import Catalog, Contracts, Strategy, StrategyKind, Token, Venue
from domain.policy_change import Direction
from domain.units import Value
from tests.builders import make_catalog

CATALOG = make_catalog()
OTHER_ADDRESS = "0x" + "ab" * 20
GROUPS = {"tokens": Token, "strategies": Strategy, "venues": Venue}
LABELS = ("oracles", "collateral", "factors")
NAMES = frozenset({"reserve_token", "native_token", "protocol", "token", "token_0", "token_1", "issuer"})


def other_value(entry: Value, field: str) -> object:
    value = getattr(entry, field)
    if isinstance(value, tuple):
        return ("else",)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if field == "kind":
        return next(kind for kind in StrategyKind if kind != value)
    return "other" if field in NAMES else OTHER_ADDRESS


def with_entry(group: str, entry: Value) -> Catalog:
    entries = tuple(entry if each.id == entry.id else each for each in getattr(CATALOG, group))
    return CATALOG.model_copy(update={group: entries})


def labelled() -> Strategy:
    return CATALOG.strategies[0].model_copy(update=dict.fromkeys(LABELS, ("one", "two")))


LABELLED = with_entry("strategies", labelled())


def field_changes() -> Iterator[tuple[str, Catalog]]:
    """Every field of the catalog, of its contracts and of an entry of each kind, at another value."""
    for field in set(Catalog.model_fields) - {"contracts", *GROUPS}:
        yield field, LABELLED.model_copy(update={field: other_value(CATALOG, field)})
    for field in Contracts.model_fields:
        contracts = LABELLED.contracts.model_copy(update={field: OTHER_ADDRESS})
        yield f"contracts.{field}", LABELLED.model_copy(update={"contracts": contracts})
    for group, kind in GROUPS.items():
        first = getattr(LABELLED, group)[0]
        for field in set(kind.model_fields) - {"id"}:
            changed = first.model_copy(update={field: other_value(first, field)})
            rest = getattr(LABELLED, group)[1:]
            yield f"{group}.{first.id}.{field}", LABELLED.model_copy(update={group: (changed, *rest)})


CHANGES = dict(field_changes())


@pytest.mark.parametrize("key", sorted(CHANGES))
def test_every_field_that_changes_is_told_and_looser_unless_it_adds_a_limit(key):
    (change,) = compare(LABELLED, CHANGES[key])

    assert change.key == key
    assert change.before != change.after
    assert (change.direction is Direction.TIGHTER) == (key == "contracts.sequencer_feed")


@pytest.mark.parametrize("field", LABELS)
@pytest.mark.parametrize(
    ("after", "direction"),
    [
        (("one", "two", "three"), Direction.TIGHTER),
        (("two", "one"), Direction.TIGHTER),
        (("one",), Direction.LOOSER),
        (("one", "three"), Direction.LOOSER),
        ((), Direction.LOOSER),
    ],
)
def test_a_label_more_is_a_cap_more_and_a_label_less_a_cap_less(field, after, direction):
    (change,) = compare(LABELLED, with_entry("strategies", labelled().model_copy(update={field: after})))

    assert (change.before, change.after, change.direction) == ("one, two", ", ".join(after) or "none", direction)


def test_a_feed_of_the_sequencer_that_goes_or_moves_is_looser():
    named = CATALOG.contracts.model_copy(update={"sequencer_feed": OTHER_ADDRESS})
    moved = named.model_copy(update={"sequencer_feed": "0x" + "cd" * 20})
    old = CATALOG.model_copy(update={"contracts": named})

    (gone,) = compare(old, CATALOG)
    (elsewhere,) = compare(old, CATALOG.model_copy(update={"contracts": moved}))

    assert (gone.before, gone.after, gone.direction) == (OTHER_ADDRESS, "absent", Direction.LOOSER)
    assert elsewhere.direction is Direction.LOOSER


@pytest.mark.parametrize("seconds", [1, 3_600_000])
def test_another_heartbeat_is_looser_both_ways(seconds):
    token = CATALOG.tokens[0].model_copy(update={"feed_heartbeat_seconds": seconds})

    (change,) = compare(CATALOG, with_entry("tokens", token))

    assert (change.key, change.after) == (f"tokens.{token.id}.feed_heartbeat_seconds", str(seconds))
    assert change.direction is Direction.LOOSER


@pytest.mark.parametrize("group", GROUPS)
def test_an_entry_that_comes_or_goes_is_looser(group):
    first, *rest = getattr(CATALOG, group)
    fewer = CATALOG.model_copy(update={group: tuple(rest)})

    (gone,), (came,) = compare(CATALOG, fewer), compare(fewer, CATALOG)

    assert (gone.key, gone.before, gone.after) == (f"{group}.{first.id}", "listed", "absent")
    assert (came.key, came.before, came.after) == (f"{group}.{first.id}", "absent", "listed")
    assert {gone.direction, came.direction} == {Direction.LOOSER}


def test_the_order_of_entries_is_no_change():
    turned = CATALOG.model_copy(update={group: getattr(CATALOG, group)[::-1] for group in GROUPS})

    assert compare(CATALOG, turned) == ()


def test_only_a_catalog_that_is_tighter_throughout_is_taken():
    more = labelled().model_copy(update={"factors": ("one", "two", "three")})
    mixed = more.model_copy(update={"collateral": ()})

    assert meet(LABELLED, with_entry("strategies", more)) == with_entry("strategies", more)
    assert meet(LABELLED, with_entry("strategies", mixed)) == LABELLED


def test_the_digest_tells_catalogs_apart():
    assert CATALOG.digest() == make_catalog().digest()
    assert len({catalog.digest() for catalog in (LABELLED, *CHANGES.values())}) == len(CHANGES) + 1
