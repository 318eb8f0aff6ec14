"""Loads the prompt files and fills their placeholders; a missing or unknown placeholder is an error.

The first line of a file lists its placeholders. Only numbers, ids and enums go in, never text from outside.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from domain.digest import sha256_hex
from domain.errors import InvariantBroken
from domain.units import Digest, Slug, Value

FOLDER: Final = Path(__file__).parent
HEADER: Final = "placeholders:"
_PLACEHOLDER: Final = re.compile(r"\{\{([a-z_]+)\}\}")


class PromptTemplate(Value):
    """A prompt file; the digest covers the whole file and is recorded with every call."""

    name: Slug
    text: str
    placeholders: tuple[str, ...]
    digest: Digest


@cache
def load(name: str) -> PromptTemplate:
    """The prompt of one task. Raises InvariantBroken when its header and its text disagree."""
    path = FOLDER / f"{name}.md"
    if not path.is_file():
        raise InvariantBroken(f"prompt {name} has no file {path.name}")
    return parse(name, path.read_text(encoding="utf-8"))


def parse(name: str, source: str) -> PromptTemplate:
    header, _, text = source.partition("\n")
    if not header.startswith(HEADER):
        raise InvariantBroken(f"prompt {name} must start with {HEADER!r}, got {header[:40]!r}")
    listed = tuple(sorted(word.strip() for word in header.removeprefix(HEADER).split(",") if word.strip()))
    used = tuple(sorted(set(_PLACEHOLDER.findall(text))))
    if listed != used:
        raise InvariantBroken(f"prompt {name} lists placeholders {listed} and uses {used}")
    return PromptTemplate(name=name, text=text.strip(), placeholders=listed, digest=sha256_hex(source.encode()))


def render(template: PromptTemplate, values: Mapping[str, str]) -> str:
    """The text with every placeholder filled in one pass, so that a value cannot smuggle in another placeholder."""
    if set(values) != set(template.placeholders):
        raise InvariantBroken(
            f"prompt {template.name} needs placeholders {template.placeholders}, got {tuple(sorted(values))}"
        )
    return _PLACEHOLDER.sub(lambda match: values[match.group(1)], template.text)
