"""Where things are in this repository, for tests that read it instead of running it."""

from __future__ import annotations

import ast
import tomllib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES: list[str] = PROJECT["tool"]["importlinter"]["root_packages"]


def modules() -> list[Path]:
    """Every Python file of the product, tests and benchmarks excluded, relative to the root."""
    return [path.relative_to(ROOT) for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


@cache
def parsed(module: Path) -> ast.Module:
    return ast.parse((ROOT / module).read_text(), filename=str(module))


def docstring_of(module: Path) -> str:
    return ast.get_docstring(parsed(module)) or ""
