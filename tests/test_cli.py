"""The command line without a chain: help for every command, and one clear sentence for every kind of bad input."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import click
import pytest
import typer
from typer.testing import CliRunner

from app.cli import cli
from app.settings import CONFIG_DIRECTORY, DATABASE_FILE
from app.version import code_version
from tests.builders import POLICY_PATH
from tests.processes import Answer, autofi
from tests.test_database import make_older

STRATEGIES_PATH = CONFIG_DIRECTORY / "strategies.toml"
NEEDS_A_HOME = (
    ["run"],
    ["run", "--resume", "run-1"],
    ["chat", "what do I hold?"],
    ["approve", "00000000"],
    ["deny", "00000000"],
    ["status"],
    ["runs"],
    ["audit", "list"],
    ["audit", "show", "run-1"],
    ["audit", "verify"],
    ["audit", "export", "trail.jsonl"],
    ["halt", "--reason", "drill"],
    ["resume", "--reason", "drill over"],
    ["incident", "open", "aave-v3", "--reason", "drill"],
    ["incident", "close", "aave-v3", "--reason", "drill over"],
    ["incident", "list"],
    ["policy", "show"],
    ["policy", "diff"],
    ["policy", "apply"],
    ["policy", "pending"],
    ["policy", "approve", "00000000"],
    ["policy", "reject", "00000000", "--reason", "drill"],
    ["policy", "history"],
    ["policy", "test"],
    ["policy", "adopt", "--reason", "drill", "--yes"],
    ["serve", "--port", "8499"],
    ["chain", "start"],
    ["chain", "stop"],
    ["chain", "play", "day"],
)


def _walk(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command and group of commands, by the words that reach it."""
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from _walk(child, (*path, name))


COMMANDS = dict(_walk(typer.main.get_command(cli)))


def refusal(answer: Answer) -> str:
    """The one line that a refused command says, and nothing else."""
    assert (answer.exit_code, answer.stdout) == (2, ""), answer
    (line,) = answer.stderr.splitlines()
    assert line.startswith("error: ")
    return line


def changed(source: Path, target: Path, old: str, new: str) -> Path:
    text = source.read_text()
    assert old in text
    target.write_text(text.replace(old, new, 1))
    return target


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: " ".join(path) or "autofi")
def test_every_command_explains_itself(path):
    answer = CliRunner().invoke(cli, [*path, "--help"])

    assert answer.exit_code == 0
    assert "Usage: " in answer.stdout
    assert "--help" in answer.stdout


def test_every_command_says_in_a_sentence_what_it_does():
    assert [path for path, command in COMMANDS.items() if not (command.help or "").strip()] == []


def test_the_version_is_the_installed_one():
    answer = CliRunner().invoke(cli, ["--version"])

    assert (answer.exit_code, answer.stdout.strip()) == (0, code_version())


@pytest.mark.parametrize("arguments", [["dance"], ["run", "--workflow", "dance"], ["halt"], ["runs", "--limit", "0"]])
def test_a_command_line_that_nobody_understands_ends_with_2(arguments):
    assert CliRunner().invoke(cli, arguments).exit_code == 2


@pytest.mark.parametrize("arguments", NEEDS_A_HOME, ids=" ".join)
def test_a_home_that_was_never_set_up_is_named_with_the_command_that_does(arguments, tmp_path):
    home = tmp_path / "home"

    message = refusal(autofi(*arguments, AUTOFI_HOME=home))

    assert str(home) in message
    assert "run `autofi init`" in message
    assert not home.exists()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[risk]", "[risk", ["not valid TOML", "line"]),
        ("max_gas_cost_usd = 100", "max_gas_cost = 100", ["'economics.max_gas_cost'", "write 'max_gas_cost_usd'"]),
        ("max_gas_cost_usd", "max_gas_cots_usd", ["unknown key", "did you mean 'max_gas_cost_usd'"]),
        ("max_gas_cost_usd = 100\n", "", ["'economics.max_gas_cost_usd' is missing", '"unlimited"']),
        ("max_gas_cost_usd = 100", 'max_gas_cost_usd = "much"', ["'economics.max_gas_cost_usd'", "'much'"]),
        ("max_gas_cost_usd = 100", "max_gas_cost_usd = -1", ["'economics.max_gas_cost_usd'", "'-1'"]),
        ("max_gas_cost_usd = 100", "max_gas_cost_usd = nan", ["'economics.max_gas_cost_usd'", "'NaN'"]),
        ("[risk]", "[riks]", ["unknown key 'riks'", "did you mean 'risk'"]),
    ],
)
def test_a_malformed_policy_is_named_with_key_and_fix_wherever_it_is_used(tmp_path, old, new, words):
    policy, home = changed(POLICY_PATH, tmp_path / "mine.toml", old, new), tmp_path / "home"

    checked = refusal(autofi("policy", "check", str(policy), AUTOFI_HOME=home))
    initialized = refusal(autofi("init", AUTOFI_HOME=home, AUTOFI_POLICY=policy))

    assert [word for word in words if word not in checked] == []
    assert f"policy {policy}" in checked
    assert initialized == checked
    assert not home.exists()


def test_a_good_policy_is_checked_and_shown_with_its_digest():
    checked, shown = autofi("policy", "check", str(POLICY_PATH)), autofi("policy", "show", str(POLICY_PATH), "--json")

    digest = checked.stdout.split()[-1]
    assert (checked.exit_code, shown.exit_code) == (0, 0)
    assert f'"digest": "{digest}"' in shown.stdout


def test_strategies_of_another_chain_do_not_fit_the_local_one(tmp_path):
    strategies = changed(STRATEGIES_PATH, tmp_path / "mine.toml", "chain_id = 31337", "chain_id = 1")

    message = refusal(autofi("init", AUTOFI_HOME=tmp_path / "home", AUTOFI_STRATEGIES=strategies))

    assert f"strategies {strategies}: chain_id is 1, the local chain of mode paper is 31337; correct it" in message
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        (["--safe", "0x12", "--new-safe"], {}, ["--safe and --new-safe exclude each other"]),
        ([], {"AUTOFI_MODE": "paperr"}, ["'AUTOFI_MODE'", "'paper', 'shadow' or 'live'", "'paperr'"]),
        ([], {"AUTOFI_MODE": "live"}, ["AUTOFI_LIVE_CONFIRMED=true"]),
        ([], {"AUTOFI_MODE": "shadow"}, ["mode shadow needs an account", "autofi init --safe ADDRESS"]),
        ([], {"AUTOFI_USER": "Bob; drop"}, ["'AUTOFI_USER'", "'Bob; drop'"]),
        ([], {"AUTOFI_DATABASE_URL": "mysql://here/it"}, ["sqlite or postgresql", "mysql"]),
        (["--safe", "0x12"], {"AUTOFI_MODE": "shadow"}, ["AUTOFI_RPC_URL"]),
    ],
)
def test_settings_that_cannot_work_leave_no_home(tmp_path, arguments, environment, words):
    home = tmp_path / "home"

    message = refusal(autofi("init", *arguments, AUTOFI_HOME=home, **environment))

    assert [word for word in words if word not in message] == []
    assert not home.exists()


def test_a_home_with_other_things_in_it_is_left_alone(tmp_path):
    (tmp_path / "letters.txt").write_text("dear")

    message = refusal(autofi("init", AUTOFI_HOME=tmp_path))

    assert f"home {tmp_path} is not empty" in message
    assert [path.name for path in tmp_path.iterdir()] == ["letters.txt"]


def test_a_file_where_the_home_should_be_is_named(tmp_path):
    file = tmp_path / "home"
    file.write_text("")

    message = refusal(autofi("init", AUTOFI_HOME=file))

    assert f"home {file} cannot be made a directory" in message
    assert "choose another" in message


def test_a_database_of_an_older_version_is_refused_until_init_upgrades_it(tmp_path):
    make_older(tmp_path, with_rows=True)

    refused = refusal(autofi("runs", AUTOFI_HOME=tmp_path))
    upgraded = autofi("init", AUTOFI_HOME=tmp_path, AUTOFI_MODE="shadow")
    listed = autofi("runs", "--json", AUTOFI_HOME=tmp_path)

    assert "schema revision 0001, this version needs 0003: run `autofi init`" in refused
    assert upgraded.exit_code == 0
    assert (listed.exit_code, listed.stdout.strip()) == (0, "[]")


def test_a_database_of_a_newer_version_is_left_alone(tmp_path):
    make_older(tmp_path, with_rows=True)
    with closing(sqlite3.connect(tmp_path / DATABASE_FILE)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")

    message = refusal(autofi("init", AUTOFI_HOME=tmp_path, AUTOFI_MODE="shadow"))

    assert "schema revision 9999, newer than 0003: update this program" in message


@pytest.mark.parametrize("arguments", [["runs"], ["audit", "list"], ["audit", "verify"], ["halt", "--reason", "drill"]])
def test_a_damaged_database_is_named_with_the_fix(tmp_path, arguments):
    make_older(tmp_path, with_rows=False)
    (tmp_path / DATABASE_FILE).write_text("no database at all, and longer than its header " * 99)

    message = refusal(autofi(*arguments, AUTOFI_HOME=tmp_path))

    assert str(tmp_path / DATABASE_FILE) in message
    assert "restore it from a backup" in message


def test_a_home_that_lost_its_chain_does_not_get_another_one(tmp_path):
    make_older(tmp_path, with_rows=False)

    message = refusal(autofi("init", AUTOFI_HOME=tmp_path))

    assert f"{tmp_path} lost its local chain" in message
    assert "set AUTOFI_HOME to a new directory" in message


def test_an_export_needs_a_folder_and_leaves_no_half_of_a_file(tmp_path):
    make_older(tmp_path, with_rows=False)

    message = refusal(autofi("audit", "export", str(tmp_path / "none" / "trail.jsonl"), AUTOFI_HOME=tmp_path))

    assert f"the folder {tmp_path / 'none'} does not exist" in message


def test_a_folder_that_may_not_be_written_is_one_sentence(tmp_path):
    make_older(tmp_path, with_rows=False)
    (tmp_path / "trail.jsonl").mkdir()

    message = refusal(autofi("audit", "export", str(tmp_path / "trail.jsonl"), AUTOFI_HOME=tmp_path))

    assert "trail.jsonl" in message
    assert "nothing further was done" in message
    assert not (tmp_path / "trail.jsonl.draft").exists()


def test_a_kept_demo_never_touches_what_is_there(tmp_path):
    message = refusal(autofi("demo", "--keep", str(tmp_path)))

    assert f"--keep {tmp_path}: exists already; name a new directory" in message
    assert list(tmp_path.iterdir()) == []
