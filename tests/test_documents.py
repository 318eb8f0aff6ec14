"""What the documents say is what the repository does: commands, keys, codes, links and the folder map."""

from __future__ import annotations

import ast
import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import cli
from app.settings import Settings
from guards import check
from tests.builders_evidence import deposit, make_evidence
from tests.repository import PACKAGES, PROJECT, ROOT, docstring_of, modules, parsed

DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
README = (ROOT / "README.md").read_text()
GUARDS = (ROOT / "docs/guards.md").read_text()
READ_ELSEWHERE = {"ANVIL"}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def policy_keys() -> set[str]:
    policy = tomllib.loads((ROOT / "config/policy.toml").read_text())
    return {key for section in policy.values() if isinstance(section, dict) for key in section}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_links_inside_the_repository_resolve(document: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text())
    local = [link for link in links if not link.startswith(("http://", "https://"))]

    assert [link for link in local if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_files_that_documents_name_exist(document: Path) -> None:
    folders = "|".join([*PACKAGES, "tests", "config", "docs", "bench", "contracts"])
    named = re.findall(rf"`((?:{folders})/[\w/]+\.(?:py|toml|md))`", document.read_text())

    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_make_targets_that_documents_name_exist(document: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    code = re.findall(r"```sh\n(.*?)```|`([^`\n]+)`", document.read_text(), re.DOTALL)
    named = {target for block in code for text in block for target in re.findall(r"^make ([a-z]+)", text, re.MULTILINE)}

    assert named - targets == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_folder_map_repeats_the_first_line_of_the_package(package: str) -> None:
    first_line = docstring_of(Path(package) / "__init__.py").splitlines()[0]

    assert f"| `{package}/` | {first_line} |" in README


def test_readme_names_every_setting_and_no_other() -> None:
    expected = {
        str(field.validation_alias) if field.validation_alias else f"AUTOFI_{name.upper()}"
        for name, field in Settings.model_fields.items()
    }
    named = set(re.findall(r"^\| `([A-Z_]+)` \|", README, re.MULTILINE))

    assert named == expected | READ_ELSEWHERE


def test_guards_document_names_every_key_of_the_policy() -> None:
    assert {key for key in policy_keys() if f"`{key}`" not in GUARDS} == set()


def test_guards_document_names_every_code_that_guards_write() -> None:
    documented = set(re.findall(r"`([a-z_0-9]+)`", GUARDS))

    assert guard_codes() - documented == set()


def test_guards_document_names_no_code_that_guards_never_write() -> None:
    rows = re.findall(r"^\| [a-z ]+ \| ((?:`\w+` ?)+)\|", GUARDS, re.MULTILINE)
    documented = {code for row in rows for code in re.findall(r"`(\w+)`", row)}

    assert documented - guard_codes() == set()


def guard_codes() -> set[str]:
    """Codes of the rows for passing evidence, and every code that the source names in words."""
    shown = {finding.code for moves in (None, [deposit(1)]) for finding in check(make_evidence(moves)).findings}
    calls = (
        node
        for module in modules()
        if module.parts[0] == "guards"
        for node in ast.walk(parsed(module))
        if isinstance(node, ast.Call) and node.args and isinstance(node.func, ast.Attribute | ast.Name)
    )
    written = {
        call.args[0].value
        for call in calls
        if ast.unparse(call.func).split(".")[-1] in {"at_most", "at_least", "fact", "_row"}
        and isinstance(call.args[0], ast.Constant)
    }
    return shown | {str(code) for code in written}


@pytest.mark.parametrize("line", re.findall(r"^autofi [^#\n]+", README, re.MULTILINE))
def test_readme_command_is_understood(line: str) -> None:
    """With --help at its end a command is parsed, options included, and not run."""
    result = CliRunner().invoke(cli, [*shlex.split(line)[1:], "--help"])

    assert result.exit_code == 0, result.output


def test_readme_shows_every_command() -> None:
    names = [entry.name for entry in (*cli.registered_commands, *cli.registered_groups)]

    assert names
    assert [name for name in names if f"autofi {name}" not in README] == []


def test_decisions_are_numbered_without_gaps_and_listed() -> None:
    folder = ROOT / "docs/decisions"
    pages = sorted(folder.glob("0*.md"))
    index = (folder / "README.md").read_text()

    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    assert [page.name for page in pages if f"]({page.name})" not in index] == []


@pytest.mark.parametrize("page", sorted((ROOT / "docs/decisions").glob("0*.md")), ids=name_of)
def test_decision_has_its_three_parts(page: Path) -> None:
    headings = re.findall(r"^## (.+)$", page.read_text(), re.MULTILINE)

    assert headings == ["Context", "Decision", "Consequences"]


def test_changelog_speaks_of_the_version_that_is_built() -> None:
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)

    assert newest is not None
    assert newest[1] == PROJECT["project"]["version"]


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_requirements_are_pinned_by_hash_and_name_no_address(name: str) -> None:
    text = (ROOT / name).read_text()
    pins = re.findall(r"^[a-z0-9][^\s=]*==[^\s;]+", text, re.MULTILINE)
    entries = re.split(r"\n(?=\S)", text.strip())

    assert len(pins) == len(entries)
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert re.findall(r"https?:|file:|@ |--index|--find-links", text) == []


def test_development_requirements_contain_the_core_at_the_same_versions() -> None:
    core, development = (
        dict(re.findall(r"^([a-z0-9][^\s=]*)==([^\s;]+)", (ROOT / name).read_text(), re.MULTILINE))
        for name in ("requirements.txt", "requirements-dev.txt")
    )

    assert {name: version for name, version in core.items() if development.get(name) != version} == {}


def test_npm_lock_file_names_no_address() -> None:
    lock = json.loads((ROOT / "package-lock.json").read_text())

    assert [name for name, package in lock["packages"].items() if "resolved" in package] == []
