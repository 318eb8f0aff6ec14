"""Where a constant of a module works: the lines of functions that name it, or name what was made from it."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Line(NamedTuple):
    """One line of a function."""

    module: str
    number: int


class Uses:
    """By the bare name of a constant, a member or a field, over all modules given."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._lines: dict[str, set[Line]] = defaultdict(set)
        self._made_of: dict[str, set[str]] = defaultdict(set)
        for module, text in texts.items():
            for statement in ast.parse(text).body:
                self._read(module, statement)

    def _read(self, module: str, statement: ast.stmt) -> None:
        if isinstance(statement, ast.ClassDef):
            for inner in statement.body:
                self._read(module, inner)
        elif isinstance(statement, Function):
            for name, number in _names(statement):
                self._lines[name].add(Line(module, number))
        else:
            for name, _ in _names(statement):
                self._made_of[name] |= targets_of(statement)

    def lines_of(self, names: frozenset[str]) -> frozenset[Line]:
        """Empty when no function names it: then it may work anywhere."""
        found, open_names = set(names), list(names)
        while open_names:
            further = self._made_of[open_names.pop()] - found
            found |= further
            open_names.extend(further)
        return frozenset(line for name in found for line in self._lines[name])


def targets_of(statement: ast.stmt) -> frozenset[str]:
    """Names that a statement outside of functions gives a value."""
    if isinstance(statement, ast.AnnAssign):
        return frozenset({ast.unparse(statement.target)})
    if isinstance(statement, ast.Assign):
        return frozenset(ast.unparse(target) for target in statement.targets)
    return frozenset()


def _names(node: ast.AST) -> Iterator[tuple[str, int]]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Load):
            yield inner.id, inner.lineno
        elif isinstance(inner, ast.Attribute):
            yield inner.attr, inner.lineno
