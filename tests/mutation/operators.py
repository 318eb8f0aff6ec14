"""What may be changed in an expression: each operator turns one node into its neighbours.

Structures (tables, keywords, statements) are in tests.mutation.structures.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

COMPARISONS: Final[Mapping[type[ast.cmpop], tuple[type[ast.cmpop], ...]]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
ARITHMETIC: Final[Mapping[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
FUNCTIONS: Final = {"min": "max", "max": "min", "any": "all", "all": "any", "sorted": "list"}
METHODS: Final = {"add": "subtract", "subtract": "add", "multiply": "divide", "divide": "multiply"}
REMOVED: Final = {"sum": "0", "abs": None}
"""What a call becomes; None is its own argument."""


class Change(NamedTuple):
    """A node's neighbour, and how a reader is shown the two."""

    operator: str
    node: ast.AST
    source: str
    becomes: str


def change(operator: str, node: ast.AST, new: ast.AST) -> Change:
    return Change(operator, new, ast.unparse(node), ast.unparse(new))


def expression(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def _compare(node: ast.Compare) -> Iterator[Change]:
    for index, operator in enumerate(node.ops):
        for other in COMPARISONS[type(operator)]:
            ops = [*node.ops[:index], other(), *node.ops[index + 1 :]]
            yield change("comparison", node, ast.Compare(node.left, ops, node.comparators))
    right = node.comparators[0]
    if isinstance(node.left, ast.Tuple) and isinstance(right, ast.Tuple):
        for index in range(len(right.elts)):
            sides = [ast.Tuple([*s.elts[:index], *s.elts[index + 1 :]], ast.Load()) for s in (node.left, right)]
            yield change("comparison part", node, ast.Compare(sides[0], node.ops, [sides[1]]))


def _boolean(node: ast.BoolOp) -> Iterator[Change]:
    other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    yield change("boolean", node, ast.BoolOp(other, node.values))
    for index in range(len(node.values)):
        rest = [*node.values[:index], *node.values[index + 1 :]]
        yield change("boolean operand", node, rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest))


def _unary(node: ast.UnaryOp) -> Iterator[Change]:
    if isinstance(node.op, ast.Not | ast.USub):
        yield change("negation", node, node.operand)


def _arithmetic(node: ast.BinOp) -> Iterator[Change]:
    other = ARITHMETIC.get(type(node.op))
    if other is not None:
        yield change("arithmetic", node, ast.BinOp(node.left, other(), node.right))


def _constant(node: ast.Constant) -> Iterator[Change]:
    value = node.value
    if isinstance(value, bool):
        yield change("constant", node, ast.Constant(not value))
    elif isinstance(value, int):
        yield from (change("constant", node, ast.Constant(value + step)) for step in (1, -1))
    elif isinstance(value, float):
        yield change("constant", node, ast.Constant(value + 1))
    elif isinstance(value, str):
        yield change("text", node, ast.Constant("" if value else "planted"))


def _formatted(node: ast.JoinedStr) -> Iterator[Change]:
    yield change("text", node, ast.Constant(""))


def _conditional(node: ast.IfExp) -> Iterator[Change]:
    yield change("condition", node, node.body)
    yield change("condition", node, node.orelse)


def _call(node: ast.Call) -> Iterator[Change]:
    name = called_name(node)
    if isinstance(node.func, ast.Name) and name in FUNCTIONS:
        others = [word for word in node.keywords if word.arg != "key" or FUNCTIONS[name] != "list"]
        yield change("function", node, ast.Call(expression(FUNCTIONS[name]), node.args, others))
    if isinstance(node.func, ast.Name) and name in REMOVED and len(node.args) == 1:
        yield change("function", node, expression(REMOVED[name] or ast.unparse(node.args[0])))
    if isinstance(node.func, ast.Attribute) and name in METHODS:
        method = ast.Attribute(node.func.value, METHODS[name], ast.Load())
        yield change("function", node, ast.Call(method, node.args, node.keywords))
    if isinstance(node.func, ast.Name) and name in {"min", "max"} and len(node.args) == 2:
        yield from (change("clamp", node, argument) for argument in node.args)


def called_name(node: ast.Call) -> str:
    """The last word of what is called: `subtract` of `EXACT.subtract`."""
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


def _slice(node: ast.Subscript) -> Iterator[Change]:
    if isinstance(node.slice, ast.Slice):
        yield change("slice", node, node.value)


EXPRESSIONS: Final[Mapping[type[ast.AST], Callable[..., Iterator[Change]]]] = {
    ast.Compare: _compare,
    ast.BoolOp: _boolean,
    ast.UnaryOp: _unary,
    ast.BinOp: _arithmetic,
    ast.Constant: _constant,
    ast.JoinedStr: _formatted,
    ast.IfExp: _conditional,
    ast.Call: _call,
    ast.Subscript: _slice,
}
