"""One case at some of its places, and what came of playing it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.redteam.arena import Rules
from tests.redteam.case import Case, Place, WorldChange
from tests.redteam.findings import Rule, Violation

HARMLESS = "Harbor Street Lending Cooperative"
FORCED = frozenset({Place.TOOL_RESULT, Place.MODEL_REPLY, Place.RPC})
"""Here the model reads the attacker or is him: what it then chooses is bounded by the guards and by nothing else."""
CHATS = frozenset({Place.CHAT_QUESTION, Place.CHAT_HISTORY})

Batches = tuple[tuple[object, ...], ...]
"""The account's calls on the chain, byte for byte, per transaction; minimum outs are among the bytes."""


class Attack(NamedTuple):
    """`is_twin` plays the case with a harmless text, to compare with."""

    case: Case
    places: tuple[Place, ...]
    is_twin: bool = False

    @property
    def text(self) -> str:
        return HARMLESS if self.is_twin else self.case.text

    @property
    def rules(self) -> Rules:
        return Rules.ASKING if self.case.needs_approval else Rules.DEMO

    @property
    def is_forced(self) -> bool:
        return bool(FORCED & set(self.places)) or bool(self.case.replies or self.case.forgery)

    @property
    def is_comparable(self) -> bool:
        """Whether harmless words in place of the attacker's must lead to the same batch."""
        return self.case.is_text_only and not self.is_forced

    def twin(self) -> Attack:
        """Nothing is said in its chat; all else is the same, so that many cases share one twin."""
        places = tuple(place for place in self.places if place not in CHATS)
        case = Case(
            id="twin",
            family=self.case.family,
            text=HARMLESS,
            places=places,
            runs=self.case.runs,
            needs_approval=self.case.needs_approval,
            answer=self.case.answer,
        )
        return Attack(case, places, is_twin=True)

    def changes(self, run: int, stage: str) -> Iterator[WorldChange]:
        """With several runs, each change comes before one of its own, the last before the last run."""
        case = self.case
        for position, change in enumerate(case.world):
            due = max(0, case.runs - len(case.world) + position) if case.runs > 1 else 0
            if due == run and change.at_stage == stage:
                yield change


@dataclass(slots=True)
class Play:
    """What happened."""

    runs: int = 0
    chats: int = 0
    model_calls: int = 0
    statuses: list[str] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    batches: Batches = ()
    failures: list[str] = field(default_factory=list)
    """What runs that failed said of it."""
    exposures: int = 0
    """Model calls in a run that showed planted text, where none should."""
    unplayable: str = ""
    """Why the attack itself could not be carried out as written."""

    def differs_from(self, twin: Play) -> bool:
        """Whether anything was sent that the twin did not send, in its order; less is a run that was refused."""
        expected = iter(twin.batches)
        return not all(any(batch == other for other in expected) for batch in self.batches)

    def blame(self, rule: Rule, subject: str, observed: str, limit: str) -> None:
        self.violations.append(Violation(rule, subject, observed, limit))
