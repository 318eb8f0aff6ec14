"""Where a module may be changed: every expression and statement that decides something, with its function.

Left out: docstrings, imports, annotations, type aliases, decorators, base classes and the words of errors.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

Function = ast.FunctionDef | ast.AsyncFunctionDef
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
NEVER = (ast.Import, ast.ImportFrom, ast.Global, ast.Nonlocal, ast.Pass, ast.arguments, ast.expr_context)
SKIPPED_FIELDS = {
    ast.FunctionDef: {"decorator_list", "returns", "args"},
    ast.AsyncFunctionDef: {"decorator_list", "returns", "args"},
    ast.ClassDef: {"decorator_list", "bases", "keywords"},
    ast.AnnAssign: {"annotation", "target"},
    ast.Assign: {"targets"},
    ast.AugAssign: {"target"},
    ast.For: {"target"},
    ast.comprehension: {"target"},
    ast.Raise: {"exc", "cause"},
    ast.ExceptHandler: {"type"},
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node hangs in its parent; `index` is None where the field holds the node itself."""

    parent: ast.AST
    field: str
    index: int | None

    def put(self, node: ast.AST) -> None:
        if self.index is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.index] = node


class Site(NamedTuple):
    """One node that operators may replace, with what surrounds it."""

    node: ast.AST
    place: Place
    function: str
    """Qualified name, `<module>` outside of all functions."""
    definition: Function | None
    statement: ast.stmt


def sites_of(tree: ast.Module) -> Iterator[Site]:
    for index, statement in enumerate(tree.body):
        place = Place(tree, "body", index)
        yield from _walk(Site(statement, place, "<module>", None, statement))


def _walk(site: Site) -> Iterator[Site]:
    if _is_skipped(site):
        return
    if not isinstance(site.node, DEFINITIONS):
        yield site
    for place, child in _children(site.node):
        statement = child if isinstance(child, ast.stmt) else site.statement
        yield from _walk(Site(child, place, *_scope(site), statement))


def _scope(site: Site) -> tuple[str, Function | None]:
    node = site.node
    if not isinstance(node, DEFINITIONS):
        return site.function, site.definition
    name = node.name if site.function == "<module>" else f"{site.function}.{node.name}"
    return name, None if isinstance(node, ast.ClassDef) else node


def _children(node: ast.AST) -> Iterator[tuple[Place, ast.AST]]:
    skipped = SKIPPED_FIELDS.get(type(node), set())
    for field, value in ast.iter_fields(node):
        if field in skipped:
            continue
        if isinstance(value, ast.AST):
            yield Place(node, field, None), value
        elif isinstance(value, list):
            yield from ((Place(node, field, i), item) for i, item in enumerate(value) if isinstance(item, ast.AST))
    if isinstance(node, Function):
        yield from _defaults(node.args)


def _defaults(arguments: ast.arguments) -> Iterator[tuple[Place, ast.AST]]:
    for field in ("defaults", "kw_defaults"):
        values = getattr(arguments, field)
        yield from ((Place(arguments, field, i), value) for i, value in enumerate(values) if value is not None)


def _is_skipped(site: Site) -> bool:
    node = site.node
    if isinstance(node, NEVER) or _is_text_alone(node):
        return True
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return True
    return isinstance(node, ast.Assign) and isinstance(site.place.parent, ast.Module) and _is_type(node.value)


def _is_text_alone(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_type(value: ast.expr) -> bool:
    """A type alias or variable: names, subscripts and unions of them, such as `Decimal | int`."""
    if isinstance(value, ast.BinOp):
        return isinstance(value.op, ast.BitOr) and _is_type(value.left) and _is_type(value.right)
    if isinstance(value, ast.Call):
        return ast.unparse(value.func) in {"TypeVar", "NewType"}
    return isinstance(value, ast.Subscript | ast.Name) or (isinstance(value, ast.Constant) and value.value is None)


def lines_of(site: Site) -> range:
    """Lines whose execution reaches the site: the whole simple statement, or the header of a compound one."""
    statement = site.statement
    body = getattr(statement, "body", None)
    if isinstance(site.node, ast.stmt) and body is None:
        return range(statement.lineno, (statement.end_lineno or statement.lineno) + 1)
    last = body[0].lineno - 1 if isinstance(body, list) else (statement.end_lineno or statement.lineno)
    return range(statement.lineno, max(last, statement.lineno) + 1)
