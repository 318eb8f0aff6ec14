"""Prompts: files whose first line lists their placeholders, filled exactly or not at all."""

from __future__ import annotations

import pytest

from domain.digest import sha256_hex
from domain.errors import InvariantBroken
from prompts.load import FOLDER, load, parse, render

NAMES = sorted(path.stem for path in FOLDER.glob("*.md"))
SOURCE = "placeholders: a, b\n\nFirst {{a}}, then {{b}}.\n"


def test_every_agent_has_a_prompt() -> None:
    assert NAMES == ["mitigation", "optimizer", "rebalancer", "risk", "router"]


@pytest.mark.parametrize("name", NAMES)
def test_prompt_file_loads_with_the_digest_of_its_bytes(name: str) -> None:
    template = load(name)

    assert template.digest == sha256_hex((FOLDER / f"{name}.md").read_bytes())
    assert template.placeholders


@pytest.mark.parametrize("name", NAMES)
def test_every_fact_stands_on_a_line_of_its_own(name: str) -> None:
    """The offline policy reads `name: JSON` lines, as a model reads a labelled fact."""
    template = load(name)

    assert all(f"\n{fact}: {{{{{fact}}}}}" in template.text for fact in template.placeholders)


def test_render_fills_every_placeholder() -> None:
    assert render(parse("x", SOURCE), {"a": "1", "b": "2"}) == "First 1, then 2."


def test_value_cannot_bring_in_another_placeholder() -> None:
    assert render(parse("x", SOURCE), {"a": "{{b}}", "b": "2"}) == "First {{b}}, then 2."


@pytest.mark.parametrize("values", [{"a": "1"}, {"a": "1", "b": "2", "c": "3"}])
def test_missing_or_unknown_value_is_refused(values: dict[str, str]) -> None:
    with pytest.raises(InvariantBroken, match="needs placeholders"):
        render(parse("x", SOURCE), values)


@pytest.mark.parametrize("header", ["placeholders: a", "placeholders: a, b, c"])
def test_header_that_disagrees_with_the_text_is_refused(header: str) -> None:
    with pytest.raises(InvariantBroken, match="lists placeholders"):
        parse("x", f"{header}\n{{{{a}}}} {{{{b}}}}")


def test_prompt_without_header_is_refused() -> None:
    with pytest.raises(InvariantBroken, match="must start with"):
        parse("x", "You are an agent.\n")


def test_unknown_prompt_is_refused() -> None:
    with pytest.raises(InvariantBroken, match="has no file"):
        load("trader")
