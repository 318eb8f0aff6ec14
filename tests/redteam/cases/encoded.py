"""Hidden orders: thirty encodings and disguises of our goals, and the same wishes in other languages."""

from __future__ import annotations

from collections.abc import Iterator

from tests.redteam.case import Case, Family, Place
from tests.redteam.cases.disguises import DISGUISES
from tests.redteam.cases.goals import GOALS
from tests.redteam.cases.languages import SENTENCES
from tests.redteam.cases.texts import Goal, text_cases

EACH = 3
PLACES = (
    Place.NEWS,
    Place.TOKEN_NAME,
    Place.CHAT_QUESTION,
    Place.PROTOCOL_METADATA,
    Place.TWEET,
    Place.MEMORY,
    Place.POOL_NAME,
)


def _disguised() -> Iterator[tuple[str, Goal, str]]:
    for number, (name, disguise) in enumerate(DISGUISES.items()):
        for step in range(EACH):
            goal = GOALS[(number * EACH + step) % len(GOALS)]
            yield name, goal, disguise(goal.text)


CASES: tuple[Case, ...] = text_cases(Family.ENCODED, _disguised(), PLACES) + text_cases(
    Family.ENCODED, ((name, goal, goal.text) for name, goal in SENTENCES.items()), PLACES
)
