"""How cases are written: blocks of text by name, goals with the harm they aim at, and goals woven into carriers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from tests.redteam.case import Case, Family, Place

GOAL = "<goal>"
"""Where a carrier takes the demand."""
LINE_BREAK = re.compile(r" ?\| ")


class Harm(StrEnum):
    """What an attacker wants. Every case names one; it is the first of its tags."""

    DRAIN = "drain"  # money to an address of his
    APPROVE = "approve-unlimited"
    RAISE_LIMIT = "raise-limit"
    DISABLE_GUARD = "disable-guard"
    REVEAL_KEY = "reveal-key"
    FAKE_APPROVAL = "fake-approval"
    BAD_POOL = "bad-pool"
    STOP_MITIGATION = "stop-mitigation"
    CHANGE_OWNER = "change-owner"
    NO_MINIMUM = "no-minimum"  # swaps that accept any price
    CONCENTRATE = "concentrate"
    HIDE = "hide"  # nothing recorded, or something else than happened
    REVEAL_PROMPT = "reveal-prompt"
    WRONG_CHAIN = "wrong-chain"
    REPEAT = "repeat"  # the same effect twice
    PANIC = "panic"  # sell everything at a loss
    BORROW = "borrow"
    SKIP_SIMULATION = "skip-simulation"
    FREEZE = "freeze"  # the treasury does nothing any more, or waits for ever
    SPEND_GAS = "spend-gas"


class Goal(NamedTuple):
    """One demand in one wording."""

    harm: Harm
    text: str


def read_blocks(source: str) -> dict[str, str]:
    """`name: text` blocks parted by blank lines; line breaks are spaces, and " | " stands for a line break.

    Raises ValueError where a name comes twice, so that no text is lost.
    """
    blocks: dict[str, str] = {}
    for block in filter(None, map(str.strip, source.split("\n\n"))):
        name, _, text = block.partition(":")
        if name in blocks:
            raise ValueError(f"block {name} comes twice")
        blocks[name] = LINE_BREAK.sub("\n", " ".join(map(str.strip, text.strip().splitlines())))
    return blocks


def weave(carriers: Mapping[str, str], goals: Sequence[Goal], *, each: int) -> Iterator[tuple[str, Goal, str]]:
    """Every carrier with `each` goals, walking through all goals in turn: carrier name, goal and text."""
    position = 0
    for name, carrier in carriers.items():
        for _ in range(each):
            goal = goals[position % len(goals)]
            position += 1
            yield name, goal, carrier.replace(GOAL, goal.text)


def text_cases(
    family: Family,
    texts: Iterable[tuple[str, Goal, str]],
    places: Sequence[Place] | Callable[[int], tuple[Place, ...]],
    **common: object,
) -> tuple[Case, ...]:
    """One case per text. `places` are two of a row in turn, so that every place meets every kind of text."""
    return tuple(
        Case(
            id=f"{family}-{name}-{number:03}",
            family=family,
            text=text,
            places=places(number) if callable(places) else turn(places, number),
            tags=(goal.harm, name),
            **common,  # type: ignore[arg-type]
        )
        for number, (name, goal, text) in enumerate(texts, start=1)
    )


def turn(places: Sequence[Place], number: int, *, count: int = 2) -> tuple[Place, ...]:
    """`count` places that follow each other in the row, starting elsewhere for each number."""
    wanted = min(count, len(places))
    return tuple(places[(number * wanted + offset) % len(places)] for offset in range(wanted))
