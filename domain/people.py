"""Whether two names are one person: names are what people typed, and nobody is somebody else by a capital letter."""

from __future__ import annotations

import unicodedata
from typing import Final

FORMAT_CHARACTER: Final = "Cf"  # the Unicode category of zero-width joiners, direction marks and soft hyphens


def person_key(name: str) -> str:
    """What identifies a person: NFKC, case folded, without format characters or outer spaces. Empty is nobody."""
    visible = "".join(each for each in name if unicodedata.category(each) != FORMAT_CHARACTER)
    folded = unicodedata.normalize("NFKC", visible).casefold()  # folding may compose anew
    return unicodedata.normalize("NFKC", folded).strip()


def is_same_person(one: str, other: str) -> bool:
    return person_key(one) == person_key(other)
