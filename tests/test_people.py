"""Whether two names are one person, however they are spelled."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.people import is_same_person, person_key


@pytest.mark.parametrize(
    "spelled",
    ["Olga", " olga\t", "ol\u200bga", "\u2066olga\u2069", "ol\u00adga", "\uff2f\uff2c\uff27\uff21", "\ufeffolga"],
    ids=["capital", "spaces", "zero-width space", "direction marks", "soft hyphen", "full width", "byte order mark"],
)
def test_a_name_spelled_otherwise_is_the_same_person(spelled: str) -> None:
    assert is_same_person("olga", spelled)


@pytest.mark.parametrize("other", ["olgb", "olga2", "ol ga", "\u043elga", ""])
def test_another_name_is_another_person(other: str) -> None:
    """The fourth one starts with a Cyrillic letter: who looks alike is not the same."""
    assert not is_same_person("olga", other)


@pytest.mark.parametrize("nobody", ["", " ", "\u200b", " \u2060\t"])
def test_a_name_of_nothing_that_can_be_seen_is_nobodys(nobody: str) -> None:
    assert person_key(nobody) == ""


def test_letters_that_fold_to_several_are_the_same_person() -> None:
    assert person_key("Strauß") == person_key("STRAUSS") == "strauss"


@given(st.text(max_size=12))
def test_the_key_of_a_key_is_the_key(name: str) -> None:
    assert person_key(person_key(name)) == person_key(name)
