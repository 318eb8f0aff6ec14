"""What may be removed or exchanged beyond one expression: statements, answers, conditions, rows of tables, keywords."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from tests.mutation.operators import ARITHMETIC, Change, called_name, change, expression
from tests.mutation.sites import Site
from tests.mutation.vocabulary import Vocabulary

NOTHING: Final = "nothing"
REMOVABLE: Final = (ast.AugAssign, ast.Raise, ast.Continue, ast.Break, ast.Delete)
EMPTY: Final = {"tuple[": "()", "frozenset[": "frozenset()", "dict[": "{}", "Mapping[": "{}", "list[": "[]"}
SCALARS: Final = {"int": "0", "str": "''"}
SIBLINGS: Final = (("before", "after"), ("day", "week"), ("95", "99"), ("lower", "upper"), ("lowest", "highest"))
COMMUTATIVE: Final = {"min", "max", "add", "multiply", "isinstance", "cast", "zip"}
LIBRARY_OPTIONAL: Final = {"default", "key", "reverse", "rounding", "context"}
DISPLAYS = ast.Tuple | ast.List | ast.Set
UNPACKING = (
    ast.Compare | ast.Subscript | ast.Yield | ast.Assign | ast.Dict | ast.GeneratorExp | ast.DictComp | ast.ListComp
)


def statement_changes(site: Site) -> Iterator[Change]:
    """Of a statement: left out, another answer, or its condition taken away."""
    node = site.node
    if isinstance(node, ast.Return) and node.value is not None:
        yield from _answers(node, site)
    elif isinstance(node, ast.If | ast.While):
        for text in ("True", "False")[isinstance(node, ast.While) :]:  # a loop that never ends proves nothing
            new = type(node)(expression(text), node.body, node.orelse)
            yield Change("condition", new, ast.unparse(node.test), text)
    elif _is_removable(node):
        yield Change("statement", ast.Pass(), ast.unparse(node), NOTHING)
    if isinstance(node, ast.AugAssign) and type(node.op) in ARITHMETIC:
        yield change("arithmetic", node, ast.AugAssign(node.target, ARITHMETIC[type(node.op)](), node.value))


def _is_removable(node: ast.AST) -> bool:
    if isinstance(node, ast.Expr):
        return not isinstance(node.value, ast.Constant)
    if isinstance(node, ast.Assign):
        return any(isinstance(target, ast.Attribute | ast.Subscript) for target in node.targets)
    return isinstance(node, REMOVABLE)


def _answers(node: ast.Return, site: Site) -> Iterator[Change]:
    returns = site.definition.returns if site.definition else None
    kind = ast.unparse(returns) if returns else "None"
    for text in _other_answers(kind):
        if node.value is not None and ast.unparse(node.value) != text:
            yield change("answer", node, ast.Return(expression(text)))


def _other_answers(kind: str) -> tuple[str, ...]:
    if kind == "bool":
        return ("True", "False")
    if "| None" in kind:
        return ("None",)
    empty = next((empty for start, empty in EMPTY.items() if kind.startswith(start)), None)
    return (empty or SCALARS.get(kind, "None"),)


def handler_changes(site: Site) -> Iterator[Change]:
    """Of an except clause: as if it were not there."""
    node = site.node
    if isinstance(node, ast.ExceptHandler):
        caught = ast.unparse(node.type) if node.type else "everything"
        yield Change("handler", ast.ExceptHandler(node.type, node.name, [ast.Raise()]), f"except {caught}", "raise")


def filter_changes(site: Site) -> Iterator[Change]:
    """Of a comprehension: each of its filters removed."""
    node = site.node
    if isinstance(node, ast.comprehension):
        for index, condition in enumerate(node.ifs):
            rest = [*node.ifs[:index], *node.ifs[index + 1 :]]
            new = ast.comprehension(node.target, node.iter, rest, node.is_async)
            yield Change("filter", new, f"if {ast.unparse(condition)}", NOTHING)


def element_changes(site: Site) -> Iterator[Change]:
    """Of a table: each row left out. Tuples that somebody unpacks are no tables."""
    node = site.node
    if isinstance(node, ast.Dict):
        for index, key in enumerate(node.keys):
            keys = [*node.keys[:index], *node.keys[index + 1 :]]
            values = [*node.values[:index], *node.values[index + 1 :]]
            yield Change("element", ast.Dict(keys, values), ast.unparse(key) if key else "**", NOTHING)
    elif isinstance(node, DISPLAYS) and not _is_unpacked(node, site):
        for index, element in enumerate(node.elts):
            rest = [*node.elts[:index], *node.elts[index + 1 :]]
            new = ast.Set(rest) if isinstance(node, ast.Set) else type(node)(rest, ast.Load())
            yield Change("element", new, ast.unparse(element), NOTHING)


def _is_unpacked(node: ast.expr, site: Site) -> bool:
    parent = site.place.parent
    if isinstance(parent, UNPACKING):
        return not (isinstance(parent, ast.Assign) and isinstance(parent.targets[0], ast.Name))
    if isinstance(parent, ast.Call):
        return isinstance(parent.func, ast.Attribute) and parent.func.attr in {"append", "get"}
    if isinstance(parent, ast.Return):
        returns = site.definition.returns if site.definition else None
        return returns is not None and "..." not in ast.unparse(returns)
    return isinstance(parent, DISPLAYS) and all(isinstance(element, ast.Tuple) for element in parent.elts)


def call_changes(site: Site, vocabulary: Vocabulary) -> Iterator[Change]:
    """Of a call: each keyword left out that the callee could do without, and two like arguments exchanged."""
    node = site.node
    if isinstance(node, ast.Call):
        name = called_name(node)
        for index, keyword in enumerate(node.keywords):
            if keyword.arg in vocabulary.optional.get(name, LIBRARY_OPTIONAL):
                rest = [*node.keywords[:index], *node.keywords[index + 1 :]]
                yield Change("keyword", ast.Call(node.func, node.args, rest), ast.unparse(keyword), NOTHING)
        kinds = vocabulary.parameters.get(name, ("unknown", "unknown"))
        if name not in COMMUTATIVE and len(kinds) == 2 and kinds[0] == kinds[1] and _are_two(node.args):
            yield change("arguments", node, ast.Call(node.func, node.args[::-1], node.keywords))


def _are_two(arguments: Sequence[ast.expr]) -> bool:
    return len(arguments) == 2 and not any(isinstance(a, ast.Starred | ast.Constant) for a in arguments)


def sibling_changes(site: Site, vocabulary: Vocabulary) -> Iterator[Change]:
    """Of an attribute: its twin, such as the week's number where the day's is meant."""
    node = site.node
    if isinstance(node, ast.Attribute):
        for twin in _twins(node.attr):
            if twin in vocabulary.attributes:
                yield change("twin", node, ast.Attribute(node.value, twin, ast.Load()))


def _twins(name: str) -> Iterator[str]:
    for pair in SIBLINGS:
        for word, other in (pair, pair[::-1]):
            if re.search(rf"(^|_){word}(_|$)", name):
                yield name.replace(word, other)


STRUCTURES: Final[tuple[Callable[[Site], Iterator[Change]], ...]] = (
    statement_changes,
    handler_changes,
    filter_changes,
    element_changes,
)
