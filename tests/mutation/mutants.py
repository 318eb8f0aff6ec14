"""All mutants of a module, in the order of its lines, each with a key that outlives edits elsewhere in the file."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tests.mutation.operators import EXPRESSIONS, Change
from tests.mutation.sites import Place, Site, lines_of, sites_of
from tests.mutation.structures import STRUCTURES, call_changes, sibling_changes
from tests.mutation.uses import targets_of
from tests.mutation.vocabulary import Vocabulary

SHOWN = 110


class Key(NamedTuple):
    """What a mutant is, wherever its line moves; `occurrence` counts equal ones in a function."""

    module: str
    function: str
    operator: str
    source: str
    becomes: str
    occurrence: int = 1

    def __str__(self) -> str:
        again = f" (occurrence {self.occurrence})" if self.occurrence > 1 else ""
        return f"{self.function}: {self.operator}: {_short(self.source)}  ->  {_short(self.becomes)}{again}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}..."


@dataclass(frozen=True, slots=True)
class Mutant:
    """One planted fault: `tree` is shared by all mutants of a module, so only a forked process may plant."""

    key: Key
    lines: range
    names: frozenset[str]
    """What the statement gives a value, or the function it stands in: who names these may notice."""
    tree: ast.Module
    place: Place
    node: ast.AST

    def plant(self) -> ast.Module:
        """The tree with this one fault in it."""
        self.place.put(self.node)
        return ast.fix_missing_locations(self.tree)


def mutants_of(module: str, text: str, vocabulary: Vocabulary) -> list[Mutant]:
    tree = ast.parse(text, filename=module)
    seen: Counter[Key] = Counter()
    mutants = []
    for site in sites_of(tree):
        for changed in _distinct(site, vocabulary):
            first = Key(module, site.function, changed.operator, changed.source, changed.becomes)
            seen[first] += 1
            node = ast.copy_location(changed.node, site.node)
            names = frozenset({site.definition.name}) if site.definition else targets_of(site.statement)
            key = first._replace(occurrence=seen[first])
            mutants.append(Mutant(key, lines_of(site), names, tree, site.place, node))
    return mutants


def _distinct(site: Site, vocabulary: Vocabulary) -> Iterator[Change]:
    """Two operators that arrive at the same code plant one fault."""
    seen = {ast.dump(site.node)}
    for changed in _changes(site, vocabulary):
        shape = ast.dump(changed.node)
        if shape not in seen:
            seen.add(shape)
            yield changed


def _changes(site: Site, vocabulary: Vocabulary) -> Iterator[Change]:
    operate = EXPRESSIONS.get(type(site.node))
    if operate is not None:
        yield from operate(site.node)
    for restructure in STRUCTURES:
        yield from restructure(site)
    yield from call_changes(site, vocabulary)
    yield from sibling_changes(site, vocabulary)
