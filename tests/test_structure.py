"""The house keeps its shape: one owner per package, six import contracts that bite, small readable modules."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.repository import PACKAGES, PROJECT, ROOT, docstring_of, modules, parsed

MAX_MODULE_LINES = 300
MAX_FUNCTION_LINES = 40
MAX_DOCSTRING_LINES = 5
LONG_TABLES = {"domain/__init__.py", "domain/errors.py"}
"""Their docstrings are the glossary and the error tree."""
MAY_CATCH_EVERYTHING = ("app/", "guards/__init__.py")

# One forbidden import per contract and way of breaking it: contract, module, line.
VIOLATIONS = [
    ("star", "collectors/__init__.py", "import memory"),
    ("star", "tools/__init__.py", "import guards"),
    ("star", "domain/units.py", "import tools"),
    ("star", "graph/__init__.py", "import app"),
    ("star", "chain/__init__.py", "import backtest"),
    ("pure", "domain/units.py", "import httpx"),
    ("pure", "guards/__init__.py", "import web3"),
    ("pure", "tools/__init__.py", "import langchain_openai"),
    ("pure", "tools/__init__.py", "import socket"),
    ("pure", "guards/__init__.py", "import time"),
    ("money", "graph/nodes/execute.py", "import prompts"),
    ("money", "graph/nodes/guard.py", "import graph.toolbox"),
    ("money", "graph/nodes/simulate.py", "from langchain_core import messages"),
    ("money", "graph/evidence.py", "import graph.toolbox"),
    ("nodes", "graph/nodes/risk.py", "import graph.nodes.optimizer"),
    ("nodes", "graph/nodes/execute.py", "def late():\n    import graph.nodes.approve"),
    ("keys", "graph/nodes/execute.py", "import chain.signer"),
    ("keys", "app/cli.py", "from chain.signer import LocalSigner"),
    ("acyclic", "domain/units.py", "import domain.plan"),
    ("acyclic", "guards/verdict_cycle.py", "import guards.other_cycle"),
]
CLOSES_CYCLE = {"guards/verdict_cycle.py": ("guards/other_cycle.py", "import guards.verdict_cycle")}


def lint_imports(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()"]
    return subprocess.run(
        [*command, "--no-cache", "--no-logo", *arguments], cwd=root, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages alone, as source."""
    root = tmp_path_factory.mktemp("house")
    shutil.copy(ROOT / "pyproject.toml", root)
    for module in modules():
        (root / module).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / module, root / module)
    return root


def test_every_import_contract_is_kept(pristine: Path) -> None:
    result = lint_imports(pristine)

    assert result.returncode == 0, result.stdout + result.stderr


def test_every_contract_has_a_planted_violation() -> None:
    contracts = {contract["id"] for contract in PROJECT["tool"]["importlinter"]["contracts"]}

    assert {contract for contract, _, _ in VIOLATIONS} == contracts


@pytest.mark.parametrize(("contract", "module", "line"), VIOLATIONS)
def test_contract_catches_planted_violation(pristine: Path, contract: str, module: str, line: str) -> None:
    planted = {module: line, **dict([CLOSES_CYCLE[module]] if module in CLOSES_CYCLE else [])}
    originals = {name: (pristine / name).read_text() if (pristine / name).exists() else None for name in planted}
    for name, text in planted.items():
        (pristine / name).write_text(f"{originals[name] or ''}\n{text}\n")

    try:
        result = lint_imports(pristine, "--contract", contract)
    finally:
        for name, original in originals.items():
            (pristine / name).unlink() if original is None else (pristine / name).write_text(original)

    assert "0 kept, 1 broken" in result.stdout, result.stdout + result.stderr


@pytest.mark.parametrize("package", PACKAGES)
def test_package_is_imported_from_this_repository(package: str) -> None:
    module = importlib.import_module(package)

    assert module.__file__ is not None
    assert Path(module.__file__).resolve() == (ROOT / package / "__init__.py").resolve()


def test_no_other_distribution_ships_one_of_our_names() -> None:
    owners = importlib.metadata.packages_distributions()

    foreign = {package: set(owners.get(package, [])) - {PROJECT["project"]["name"]} for package in PACKAGES}

    assert {package: names for package, names in foreign.items() if names} == {}


def test_wheel_ships_exactly_the_packages_that_the_contracts_cover() -> None:
    shipped = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]

    assert sorted(shipped) == sorted(PACKAGES) == sorted(PROJECT["tool"]["mypy"]["packages"])


def test_every_folder_with_modules_is_a_package() -> None:
    folders = {module.parent for module in modules()}

    assert [folder for folder in folders if not (ROOT / folder / "__init__.py").exists()] == []


@pytest.mark.parametrize("module", modules(), ids=str)
def test_module_says_what_lives_in_it(module: Path) -> None:
    lines = docstring_of(module).splitlines()

    assert lines, f"{module} has no docstring"
    assert str(module) in LONG_TABLES or len(lines) <= MAX_DOCSTRING_LINES


def test_modules_fit_their_size() -> None:
    sizes = {str(module): len((ROOT / module).read_text().splitlines()) for module in modules()}

    assert {name: size for name, size in sizes.items() if size > MAX_MODULE_LINES} == {}


def test_functions_fit_one_screen() -> None:
    sizes = {
        f"{module}:{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for module in modules()
        if "migrations" not in module.parts
        for node in ast.walk(parsed(module))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }

    assert {name: size for name, size in sizes.items() if size > MAX_FUNCTION_LINES} == {}


def swallows_everything(handler: ast.ExceptHandler) -> bool:
    """A handler that cleans up and ends in a bare raise hides nothing."""
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    is_broad = any(kind is None or ast.unparse(kind) in {"Exception", "BaseException"} for kind in caught)
    last = handler.body[-1]
    return is_broad and not (isinstance(last, ast.Raise) and last.exc is None)


def broad_handlers(module: Path) -> list[str]:
    handlers = (node for node in ast.walk(parsed(module)) if isinstance(node, ast.ExceptHandler))
    return [f"{module}:{handler.lineno}" for handler in handlers if swallows_everything(handler)]


def test_nothing_swallows_everything_outside_the_app_and_the_guard_table() -> None:
    """LangGraph's interrupt is an Exception: a broad handler around it would let an approval pass unasked."""
    found = [
        where
        for module in modules()
        if not str(module).startswith(MAY_CATCH_EVERYTHING)
        for where in broad_handlers(module)
    ]

    assert found == []


@pytest.mark.parametrize("text", ["except Exception:", "except:", "except (ValueError, BaseException):"])
def test_broad_handler_is_recognised(text: str) -> None:
    tree = ast.parse(f"try:\n    interrupt(1)\n{text}\n    pass\n")

    handlers = [node for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)]

    assert [swallows_everything(handler) for handler in handlers] == [True]


def test_product_code_never_asserts() -> None:
    """python -O drops asserts; invariants raise InvariantBroken."""
    found = [
        f"{module}:{node.lineno}"
        for module in modules()
        for node in ast.walk(parsed(module))
        if isinstance(node, ast.Assert)
    ]

    assert found == []


def test_nothing_is_left_to_do_without_an_issue_number() -> None:
    bare = re.compile(r"\b(TODO|FIXME|XXX)\b(?!\(#\d+\))")

    assert [str(module) for module in modules() if bare.search((ROOT / module).read_text())] == []


def test_only_the_agent_loop_calls_a_model() -> None:
    """Nodes hold the model's port; an import contract cannot see who calls it. (app.api.chat wraps a model as one.)"""
    callers = [str(module) for module in modules() if "model.complete(" in (ROOT / module).read_text()]

    assert sorted(callers) == ["app/api/chat.py", "graph/agent.py"]


CLOCK_READS = re.compile(r"\b(datetime\.now|datetime\.utcnow|date\.today|time\.time|time\.monotonic)\(")


def test_pure_packages_read_no_clock_and_roll_no_dice() -> None:
    """`datetime` and `numpy` are allowed as types and arithmetic, so that the import contract cannot see this."""
    impure = re.compile(CLOCK_READS.pattern + r"|\bnp\.random\.(?!default_rng\(\w)|\bopen\(|\bprint\(")
    pure = [module for module in modules() if module.parts[0] in {"domain", "tools", "guards"}]

    assert [str(module) for module in pure if impure.search((ROOT / module).read_text())] == []
