"""The mutation test itself: what it plants, what it leaves alone, what it asks of the list, and one whole run."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from tests.mutation.equivalent import LIST, read_equivalent, stale_entries
from tests.mutation.judge import Fate, Outcome
from tests.mutation.ledger import Ledger, Sources
from tests.mutation.mutants import Key, mutants_of
from tests.mutation.uses import Uses
from tests.mutation.vocabulary import read_vocabulary
from tests.repository import ROOT


def planted(text, tmp_path):
    """(operator, source, becomes) of every mutant of a module with this text."""
    path = tmp_path / "sample.py"
    path.write_text(dedent(text))
    mutants = mutants_of("guards/sample.py", path.read_text(), read_vocabulary([path]))
    return {(m.key.operator, m.key.source, m.key.becomes) for m in mutants}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("x < y", {("comparison", "x < y", "x <= y"), ("comparison", "x < y", "x >= y")}),
        ("x not in y", {("comparison", "x not in y", "x in y")}),
        ("(x, 1) == (y, z)", {("comparison part", "(x, 1) == (y, z)", "(1,) == (z,)")}),
        ("x and y", {("boolean", "x and y", "x or y"), ("boolean operand", "x and y", "x")}),
        ("not x", {("negation", "not x", "x")}),
        ("x + y", {("arithmetic", "x + y", "x - y")}),
        ("x | y", {("arithmetic", "x | y", "x & y")}),
        ("f(7)", {("constant", "7", "8"), ("constant", "7", "6")}),
        ("f(True)", {("constant", "True", "False")}),
        ("f('word')", {("text", "'word'", "''")}),
        ("max(x, y)", {("function", "max(x, y)", "min(x, y)"), ("clamp", "max(x, y)", "x")}),
        ("sum(x)", {("function", "sum(x)", "0")}),
        ("any(x)", {("function", "any(x)", "all(x)")}),
        ("sorted(x, key=y)", {("function", "sorted(x, key=y)", "list(x)"), ("keyword", "key=y", "nothing")}),
        ("c.subtract(x, y)", {("arguments", "c.subtract(x, y)", "c.subtract(y, x)")}),
        ("x if y else z", {("condition", "x if y else z", "x"), ("condition", "x if y else z", "z")}),
        ("[v for v in x if v]", {("filter", "if v", "nothing")}),
        ("f({x: 1, y: 2})", {("element", "x", "nothing"), ("element", "y", "nothing")}),
        ("f((x, y))", {("element", "x", "nothing"), ("element", "y", "nothing")}),
        ("x[:3]", {("slice", "x[:3]", "x")}),
        ("x.limit_day + x.limit_week", {("twin", "x.limit_day", "x.limit_week")}),
    ],
)
def test_an_expression_is_replaced_by_its_neighbours(line, expected, tmp_path):
    assert expected <= planted(f"def g(x, y, z, c, f):\n    k = {line}\n    return k\n", tmp_path)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("raise ValueError(x)", ("statement", "raise ValueError(x)", "nothing")),
        ("x.append(1)", ("statement", "x.append(1)", "nothing")),
        ("x += 1", ("arithmetic", "x += 1", "x -= 1")),
        ("x['a'] = 1", ("statement", "x['a'] = 1", "nothing")),
        ("if x: pass", ("condition", "x", "False")),
        ("yield x", ("statement", "yield x", "nothing")),
        ("for v in x: continue", ("statement", "continue", "nothing")),
    ],
)
def test_a_statement_is_left_out(body, expected, tmp_path):
    assert expected in planted(f"def g(x):\n    {body}\n", tmp_path)


@pytest.mark.parametrize(
    ("kind", "answers"),
    [
        ("bool", {"return True", "return False"}),
        ("int | None", {"return None"}),
        ("tuple[int, ...]", {"return ()"}),
        ("dict[str, int]", {"return {}"}),
        ("int", {"return 0"}),
    ],
)
def test_an_answer_is_replaced_by_another_of_its_kind(kind, answers, tmp_path):
    found = planted(f"def g(x) -> {kind}:\n    return x\n", tmp_path)

    assert {becomes for operator, _, becomes in found if operator == "answer"} == answers


def test_an_exception_is_no_longer_caught(tmp_path):
    text = """
        def g(x):
            try:
                return x
            except (KeyError, ValueError):
                return x
    """

    assert ("handler", "except (KeyError, ValueError)", "raise") in planted(text, tmp_path)


def test_words_types_and_imports_are_left_alone(tmp_path):
    text = '''
        """A module."""
        from typing import TYPE_CHECKING, Final
        if TYPE_CHECKING:
            LIMIT = 5
        Number = int | None
        Kind = TypeVar("Kind")
        class Row(Base, frozen=True):
            """A row."""
            width: "int"
            """How wide."""
        @decorated(1)
        def g(x: "a" = None) -> "b":
            """Says g."""
            raise ValueError(f"{x} is not {1 + 2}")
    '''

    assert {source for _, source, _ in planted(text, tmp_path)} == {"raise ValueError(f'{x} is not {1 + 2}')"}


def test_every_mutant_of_the_guards_compiles_and_differs():
    """Trees are shared, so each is made from its own reading of the module."""
    path = ROOT / "guards" / "binding.py"
    vocabulary = read_vocabulary([path])
    original = ast.dump(ast.parse(path.read_text()))
    count = len(mutants_of("guards/binding.py", path.read_text(), vocabulary))

    for index in range(count):
        tree = mutants_of("guards/binding.py", path.read_text(), vocabulary)[index].plant()
        compile(tree, str(path), "exec")
        assert ast.dump(tree) != original


def test_equal_mutants_of_a_function_are_told_apart(tmp_path):
    path = tmp_path / "sample.py"
    path.write_text("def g(x):\n    return f(x, 3) + f(x, 3)\n")

    keys = [m.key for m in mutants_of("guards/sample.py", path.read_text(), read_vocabulary([path]))]

    assert len(keys) == len(set(keys))
    assert {key.occurrence for key in keys if key.becomes == "4"} == {1, 2}


def test_a_constant_works_where_functions_name_it_or_what_is_made_of_it():
    text = "A = 1\nB = [A]\nclass C:\n    d = B\n    def f(self):\n        return self.d\ndef g():\n    return A\n"

    uses = Uses({"guards/sample.py": text})

    assert {line.number for line in uses.lines_of(frozenset({"A"}))} == {6, 8}
    assert uses.lines_of(frozenset({"E"})) == frozenset()


KEY = Key("guards/sample.py", "g", "comparison", "x < y", "x <= y")
ENTRY = "[[mutant]]\n" + "".join(f"{name} = '{value}'\n" for name, value in KEY._asdict().items() if value != 1)


def test_a_listed_survivor_has_a_reason():
    assert read_equivalent(ENTRY + "reason = 'both say the same'\n") == {KEY: "both say the same"}


@pytest.mark.parametrize("text", [ENTRY, ENTRY + "reason = ' '\n", ENTRY + "reason = 'a'\nline = 3\n"])
def test_an_entry_without_a_reason_or_with_a_foreign_field_is_an_error(text):
    with pytest.raises(ValueError, match="needs a reason"):
        read_equivalent(text)


def test_an_entry_listed_twice_is_an_error():
    with pytest.raises(ValueError, match="listed twice"):
        read_equivalent((ENTRY + "reason = 'a'\n") * 2)


def test_an_entry_about_nothing_or_about_a_killed_mutant_is_stale():
    other = KEY._replace(function="h")

    assert stale_entries({KEY: "a", other: "b"}, planted={KEY}, killed={KEY}) == {
        other: "no such mutant",
        KEY: "a test kills it",
    }


def test_every_entry_of_our_own_list_names_a_mutant_that_exists():
    paths = sorted((ROOT / "guards").glob("*.py"))
    vocabulary = read_vocabulary([*paths, *(ROOT / "domain").glob("*.py")])
    texts = {str(path.relative_to(ROOT)): path.read_text() for path in paths}
    existing = {m.key for module, text in texts.items() for m in mutants_of(module, text, vocabulary)}

    assert stale_entries(read_equivalent(LIST.read_text()), planted=existing, killed=()) == {}


def test_what_is_known_holds_until_its_sources_change(tmp_path):
    (tmp_path / "guards").mkdir()
    (tmp_path / "tests").mkdir()
    module, test = tmp_path / "guards" / "sample.py", tmp_path / "tests" / "test_guards_sample.py"
    module.write_text("a = 1\n")
    test.write_text("b = 1\n")
    killed = Outcome(Fate.KILLED, "tests/test_guards_sample.py::test_b")
    ledger, survivor = Ledger(tmp_path / "results.json", Sources(tmp_path)), KEY._replace(function="h")

    ledger.keep(KEY, killed)
    ledger.keep(survivor, Outcome(Fate.SURVIVED))
    ledger.write()
    (tmp_path / "tests" / "test_guards_other.py").write_text("c = 1\n")
    again = Ledger(tmp_path / "results.json", Sources(tmp_path))
    test.write_text("b = 2\n")
    changed = Ledger(tmp_path / "results.json", Sources(tmp_path))

    assert (again.find(KEY), again.find(survivor), changed.find(KEY)) == (killed, None, None)


def test_a_kill_holds_until_what_its_module_rests_on_changes(tmp_path):
    """Not only the module: a fault may be noticed through a limit that another module, or the domain, holds."""
    for folder in ("domain", "guards", "tests"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").write_text("")
    sources = {
        "domain/units.py": "ONE = 1\n",
        "domain/other.py": "TWO = 2\n",
        "guards/measures.py": "import domain.units\n",
        "guards/sample.py": "from guards import measures\n",
    }
    for name, text in sources.items():
        (tmp_path / name).write_text(text)
    killed = Outcome(Fate.KILLED, "tests/test_guards_sample.py::test_b")
    ledger = Ledger(tmp_path / "results.json", Sources(tmp_path))
    ledger.keep(KEY, killed)
    ledger.write()

    (tmp_path / "domain/other.py").write_text("TWO = 3\n")
    unrelated = Ledger(tmp_path / "results.json", Sources(tmp_path)).find(KEY)
    (tmp_path / "domain/units.py").write_text("ONE = 2\n")
    related = Ledger(tmp_path / "results.json", Sources(tmp_path)).find(KEY)

    assert Sources(tmp_path).behind("guards/sample.py") == (
        "domain/units.py",
        "guards/__init__.py",
        "guards/measures.py",
        "guards/sample.py",
    )
    assert (unrelated, related) == (killed, None)


WEAK = "    assert is_over(5, 3)\n    assert not is_over(1, 3)\n"
STRONG = WEAK + "    assert not is_over(3, 3)\n"


@pytest.mark.parametrize(("body", "status", "last"), [(WEAK, 1, "survives"), (STRONG, 0, "guards/sample.py")])
def test_a_whole_run_finds_the_fault_that_no_test_notices(body, status, last, tmp_path):
    for folder in ("guards", "domain", "bench", "tests"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").touch()
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copy(ROOT / "tests" / "repository.py", tmp_path / "tests")
    shutil.copy(ROOT / "bench" / "figures.py", tmp_path / "bench")
    ignored = shutil.ignore_patterns("__pycache__", "equivalent.toml")
    shutil.copytree(ROOT / "tests" / "mutation", tmp_path / "tests" / "mutation", ignore=ignored)
    (tmp_path / "tests" / "mutation" / "equivalent.toml").touch()
    (tmp_path / "guards" / "sample.py").write_text("def is_over(value, limit):\n    return value > limit\n")
    test = f"from guards.sample import is_over\n\n\ndef test_over():\n{body}"
    (tmp_path / "tests" / "test_guards_sample.py").write_text(test)

    command = [sys.executable, "-m", "tests.mutation.run", "--workers", "1"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))}
    result = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment, timeout=120
    )

    lines = result.stdout.splitlines()
    assert result.returncode == status, result.stdout + result.stderr
    assert lines[-2].startswith(last)
    assert (Path(tmp_path) / "build" / "redteam.json").exists()
