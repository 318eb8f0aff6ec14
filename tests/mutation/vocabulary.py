"""Names that exist in the product: what a call may leave out, and attributes that one could confuse."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Vocabulary(NamedTuple):
    """By the callee's name, wherever it is defined."""

    optional: Mapping[str, Collection[str]]
    parameters: Mapping[str, tuple[str, ...]]
    """Types of what may be given by position."""
    attributes: Collection[str]


def read_vocabulary(sources: Sequence[Path]) -> Vocabulary:
    nodes = [node for path in sources for node in ast.walk(ast.parse(path.read_text()))]
    optional: dict[str, set[str]] = defaultdict(set)
    parameters: dict[str, tuple[str, ...]] = {}
    for node in nodes:
        if isinstance(node, Function):
            optional[node.name] |= _with_default(node.args)
            parameters[node.name] = _kinds(node.args)
        elif isinstance(node, ast.ClassDef):
            fields = [field for field in node.body if isinstance(field, ast.AnnAssign)]
            optional[node.name] |= {ast.unparse(field.target) for field in fields if field.value is not None}
            parameters[node.name] = tuple(ast.unparse(field.annotation) for field in fields)
    return Vocabulary(dict(optional), parameters, _attributes(nodes))


def _with_default(arguments: ast.arguments) -> set[str]:
    keywords = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    positional = arguments.args[len(arguments.args) - len(arguments.defaults) :]
    return {argument.arg for argument, default in keywords if default} | {argument.arg for argument in positional}


def _kinds(arguments: ast.arguments) -> tuple[str, ...]:
    named = [argument for argument in arguments.args if argument.arg not in {"self", "cls"}]
    return tuple(ast.unparse(argument.annotation) if argument.annotation else argument.arg for argument in named)


def _attributes(nodes: Sequence[ast.AST]) -> frozenset[str]:
    fields = {ast.unparse(node.target) for node in nodes if isinstance(node, ast.AnnAssign)}
    return frozenset(fields | {node.attr for node in nodes if isinstance(node, ast.Attribute)})
