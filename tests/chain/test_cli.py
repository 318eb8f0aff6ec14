"""Every command on a real local chain, as an operator uses it: decide, answer, halt, prove, stop and go on."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from app.paper import FOLDER, USED_FILE, PaperChain
from app.paper_node import PaperNode
from app.policy_edit import replace_limit
from app.settings import DATABASE_FILE, POLICY_FILE, STRATEGIES_FILE
from chain.anvil import NodeRpc, claim_port
from tests.processes import Answer, autofi

pytestmark = pytest.mark.chain

RUN_LINE = re.compile(r"^([A-Z]+) (run-[0-9a-f]{12})", re.MULTILINE)


def of(home: Path) -> Callable[..., Answer]:
    """`autofi` on this home."""
    return lambda *arguments, **environment: autofi(*arguments, AUTOFI_HOME=home, **environment)


def ended(answer: Answer) -> tuple[str, str]:
    """Status and id of the run that a command reports."""
    found = RUN_LINE.search(answer.stdout)
    assert found is not None, answer
    return found[1], found[2]


def refusal(answer: Answer) -> str:
    """The one line of an error."""
    lines = [line for line in answer.stderr.splitlines() if line.startswith("error: ")]
    assert answer.exit_code == 2, answer
    assert "Traceback" not in answer.stderr
    assert len(lines) == 1, answer.stderr
    return lines[0]


def files_of(home: Path) -> dict[str, bytes]:
    return {str(file.relative_to(home)): file.read_bytes() for file in sorted(home.rglob("*")) if file.is_file()}


def tighten_approvals(home: Path) -> None:
    replace_limit(home / POLICY_FILE, "approval", "min_value_without_approval_usd", "10_000")


def operator_nonce(home: Path) -> int:
    chain = PaperChain.of(home)
    rpc = NodeRpc(chain.start())
    with closing(rpc):
        return int(rpc.call("eth_getTransactionCount", chain.manifest.catalog.operator, "latest"), 16)


def test_a_new_user_sets_up_and_runs_until_nothing_changes(tmp_path, world_cache):
    home = tmp_path / "new" / "home"
    command = of(home)

    try:
        ready = command("init", AUTOFI_CACHE=world_cache)
        runs = [command("run") for _ in range(5)]
    finally:
        PaperChain.of(home).stop()

    assert ready.exit_code == 0
    assert f"ready {home}" in "".join(ready.stdout.splitlines())
    assert {POLICY_FILE, STRATEGIES_FILE, DATABASE_FILE} <= set(files_of(home))
    assert home.stat().st_mode & 0o077 == 0
    assert [run.exit_code for run in runs] == [0] * 5
    assert (ended(runs[0])[0], ended(runs[-1])[0]) == ("EXECUTED", "UNCHANGED")


def test_init_again_changes_nothing(home, world_cache):
    before = files_of(home)

    again = autofi("init", AUTOFI_HOME=home, AUTOFI_CACHE=world_cache)

    after = files_of(home)
    assert again.exit_code == 0
    assert {name: after[name] for name in (POLICY_FILE, STRATEGIES_FILE)} == {
        name: before[name] for name in (POLICY_FILE, STRATEGIES_FILE)
    }
    assert set(after) == set(before)


def test_what_a_run_did_can_be_read_as_data(home):
    command = of(home)

    report = json.loads(command("run", "--json").stdout)

    run_id, status = report["run_id"], report["status"]
    standing = json.loads(command("status", "--json").stdout)
    listed = json.loads(command("runs", "--json").stdout)
    shown = json.loads(command("audit", "show", run_id, "--json").stdout)
    (entry,) = json.loads(command("audit", "list", "--kind", "run", "--json").stdout)
    assert status == "executed"
    assert standing["last_status"] == "executed"
    assert sum(Decimal(line["value_usd"]) for line in standing["holdings"]) == Decimal(standing["net_asset_value_usd"])
    assert [each["request"]["run_id"] for each in listed] == [run_id]
    assert shown == report["record"]
    assert (entry["kind"], entry["subject"]) == ("run", run_id)


def test_tables_for_people_name_the_run(home):
    command = of(home)

    _, run_id = ended(command("run"))

    for arguments in (["runs"], ["audit", "list"], ["audit", "show", run_id]):
        assert run_id in command(*arguments).stdout
    assert "account 0x" in command("status").stdout


def test_an_export_proves_itself_without_this_program(home, tmp_path):
    """By hand from the fields, as domain.run.JournalEntry documents it: sha256 over canonical JSON, linked."""
    command, target = of(home), tmp_path / "trail.jsonl"
    command("run")
    command("chat", "what do I hold?")

    exported = command("audit", "export", str(target))

    lines = [json.loads(line) for line in target.read_text().splitlines()]
    assert exported.stdout.startswith(f"{len(lines)} entries written")
    assert [line["kind"] for line in lines] == [
        *("trading_state", "chain_base", "policy_adopted", "catalog_adopted"),
        *("run", "chat"),
    ]
    previous = "0" * 64
    for number, line in enumerate(lines, start=1):
        recorded_at = datetime.fromisoformat(line["recorded_at"]).isoformat()
        covered = {name: line[name] for name in ("body_digest", "kind", "previous_hash", "subject")}
        payload = canonical({**covered, "recorded_at": recorded_at, "sequence": str(line["sequence"])})
        assert line["sequence"] == number
        assert line["previous_hash"] == previous
        assert line["body_digest"] == hashlib.sha256(canonical(line["body"])).hexdigest()
        assert line["entry_hash"] == hashlib.sha256(b"autofi-journal-v1\0" + payload).hexdigest()
        previous = line["entry_hash"]
    assert previous[:16] in command("audit", "verify").stdout


def canonical(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def test_a_changed_record_is_found_and_located(home):
    command = of(home)
    command("run")
    with closing(sqlite3.connect(home / DATABASE_FILE)) as connection, connection:
        connection.execute("DROP TRIGGER book_entries_no_update")
        connection.execute(
            "UPDATE book_entries SET body = replace(CAST(body AS TEXT), 'executed', 'refused') WHERE book = 'journal'"
        )

    answer = command("audit", "verify")

    assert answer.exit_code == 1
    assert "BROKEN at entry 1" in answer.stdout


def test_a_waiting_batch_is_approved_by_the_start_of_its_digest(home):
    tighten_approvals(home)
    command, before = of(home), operator_nonce(home)

    status, run_id = ended(command("run", AUTOFI_USER="bob"))
    (waiting,) = json.loads(command("status", "--json").stdout)["approvals"]
    still = operator_nonce(home)
    answer = command("approve", waiting["batch_digest"][:8], "--as", "alice")

    assert (status, waiting["run_id"], still) == ("WAITING", run_id, before)
    assert ended(answer) == ("EXECUTED", run_id)
    assert operator_nonce(home) == before + 1
    assert "already_answered" in refusal(command("approve", waiting["batch_digest"], "--as", "carol"))


def test_who_asked_may_not_approve(home):
    tighten_approvals(home)
    command, before = of(home), operator_nonce(home)
    _, run_id = ended(command("run", AUTOFI_USER="bob"))
    (waiting,) = json.loads(command("status", "--json").stdout)["approvals"]

    refused = command("approve", waiting["batch_digest"][:16], AUTOFI_USER="bob")

    assert "four_eyes" in refusal(refused)
    assert operator_nonce(home) == before
    assert ended(command("run", "--resume", run_id)) == ("WAITING", run_id)


def test_a_denied_batch_never_leaves(home):
    tighten_approvals(home)
    command, before = of(home), operator_nonce(home)
    _, run_id = ended(command("run", AUTOFI_USER="bob"))
    (waiting,) = json.loads(command("status", "--json").stdout)["approvals"]

    answer = command("deny", waiting["batch_digest"][:8], "--as", "alice")

    assert ended(answer) == ("REFUSED", run_id)
    assert operator_nonce(home) == before


@pytest.mark.parametrize("target", ["ffffffff", "abc", "0" * 64])
def test_an_answer_to_nothing_that_waits_is_refused(home, target):
    tighten_approvals(home)
    command = of(home)
    command("run", AUTOFI_USER="bob")
    (waiting,) = json.loads(command("status", "--json").stdout)["approvals"]

    message = refusal(command("approve", target, "--as", "alice"))

    assert "unknown_digest" in message
    assert waiting["batch_digest"][:16] in message


def test_halted_trading_denies_until_an_operator_resumes_it(home):
    command, before = of(home), operator_nonce(home)

    halted = command("halt", "--reason", "drill", "--as", "alice")
    denied = command("run")
    between = operator_nonce(home)
    resumed = command("resume", "--reason", "drill over", "--as", "alice")
    executed = command("run")

    assert "trading is halted, set by alice: drill" in halted.stdout
    assert ended(denied)[0] == "DENIED"
    assert "trading_state_halted" in denied.stdout
    assert between == before
    assert "trading is active" in resumed.stdout
    assert ended(executed)[0] == "EXECUTED"


def test_the_chain_keeps_its_state_over_a_stop(home):
    command = of(home)
    command("run")
    before = json.loads(command("status", "--json").stdout)

    stopped, again = command("chain", "stop"), command("chain", "stop")
    started = command("chain", "start")

    after = json.loads(command("status", "--json").stdout)
    assert [stopped.stdout.strip(), again.stdout.strip()] == ["stopped", "was not running"]
    assert started.stdout.strip() == PaperChain.of(home).url()
    assert after["holdings"] == before["holdings"]
    assert after["block_number"] == before["block_number"]


def test_a_played_scene_moves_the_market(home):
    command = of(home)

    listed, played = command("chain", "play"), command("chain", "play", "break-peg")
    run = command("run")

    assert "break-peg" in listed.stdout
    assert played.stdout.strip() == "USDX slides to 0.96 over six hours"
    assert ended(run)[0] == "EXECUTED"
    assert "event peg_break on aave-usdx" in run.stdout


def test_the_way_out_stays_open_while_gas_spikes(home):
    command = of(home)
    command("chain", "play", "break-peg")
    command("chain", "play", "spike-gas")

    run = command("run")

    assert ended(run)[0] == "EXECUTED"
    assert "verdict PASS on this exit" in run.stdout


def test_a_stalled_feed_stays_stalled_within_the_hour(home):
    command = of(home)
    command("chain", "play", "stall-feed")

    run = command("run")

    assert ended(run)[0] == "DENIED"
    assert "price_stale" in run.stdout


def test_after_an_idle_hour_every_feed_reports_again(home):
    command = of(home)
    command("chain", "play", "stall-feed")
    command("status")
    two_hours_ago = time.time() - 7_200
    os.utime(home / FOLDER / USED_FILE, (two_hours_ago, two_hours_ago))

    run = command("run")

    assert ended(run)[0] == "EXECUTED"


def test_a_model_that_cannot_be_reached_holds_the_run(home):
    command, before = of(home), operator_nonce(home)

    endpoint = f"http://127.0.0.1:{claim_port(None)}/v1"

    run = command("run", AUTOFI_MODEL="some-model", OPENAI_BASE_URL=endpoint)

    assert (run.exit_code, ended(run)[0]) == (3, "HELD")
    assert "model unavailable" in run.stdout.splitlines()[0]
    assert all(part in run.stderr for part in ("some-model", endpoint, "limit 30 s", "check OPENAI_BASE_URL"))
    assert operator_nonce(home) == before


def remove_chain(home: Path) -> None:
    shutil.rmtree(home / FOLDER)


def write(name: str, text: str) -> Callable[[Path], None]:
    return lambda home: (home / name).write_text(text) and None


def cut(name: str, size: int) -> Callable[[Path], None]:
    return lambda home: os.truncate(home / name, size)


def replace(name: str, old: str, new: str) -> Callable[[Path], None]:
    return lambda home: (home / name).write_text((home / name).read_text().replace(old, new)) and None


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (write("paper/state.json", '{"block": '), ["state.json", "damaged", "run `autofi init`"]),
        (write("paper/state.json", '{"block": {"timestamp": 1}}'), ["does not start", "state.json", "`autofi init`"]),
        (cut("paper/state.json", 1_000_000), ["state.json", "damaged", "run `autofi init`"]),
        (write("paper/manifest.json", "{}"), ["manifest.json", "damaged", "run `autofi init`"]),
        (remove_chain, ["has no local chain", "run `autofi init`"]),
        (write("autofi.db", "not a database, but longer than a header would be" * 9), ["autofi.db", "from a backup"]),
        (cut("autofi.db", 50_000), ["autofi.db", "from a backup"]),
        (write("checkpoints.db", "nonsense" * 99), ["checkpoints.db", "delete it to start afresh"]),
    ],
)
def test_what_is_damaged_is_named_with_the_fix_and_nothing_runs(home, damage, words):
    damage(home)

    message = refusal(of(home)("run"))

    assert [word for word in words if word not in message] == []
    assert not is_chain_running(home)


def test_a_catalog_of_another_chain_is_not_followed(home):
    replace("strategies.toml", "chain_id = 31337", "chain_id = 1")(home)

    answer = of(home)("status")

    assert answer.exit_code == 0, answer
    assert all(words in answer.stderr for words in ("chain_id is 1", "31337", "correct it", "in force stays"))


@pytest.mark.parametrize("command", [["run", "--workflow", "mitigate"], ["status"]], ids=" ".join)
def test_a_bad_edit_of_the_policy_closes_no_way_out(home, command):
    replace("policy.toml", "max_gas_cost_usd = 100", "max_gas_cost_usd = -1")(home)

    answer = of(home)(*command)

    assert answer.exit_code == 0, answer
    assert "warning: policy " in answer.stderr
    assert "key 'economics.max_gas_cost_usd' is '-1'; allowed: a number, at least 0" in answer.stderr
    assert "the policy in force stays" in answer.stderr
    assert "error" not in answer.stderr


def is_chain_running(home: Path) -> bool:
    return (home / FOLDER).is_dir() and PaperNode(home / FOLDER).url() is not None


@pytest.mark.parametrize("command", [["run"], ["status"], ["chain", "start"], ["init"]])
def test_a_machine_without_anvil_is_told_what_to_set(home, tmp_path, command):
    target = home if command != ["init"] else tmp_path / "fresh"

    message = refusal(of(target)(*command, ANVIL="/nowhere/anvil"))

    assert "$ANVIL names /nowhere/anvil" in message
    assert "unset it or correct it" in message
    assert not (tmp_path / "fresh").exists()


def test_a_node_that_ends_at_once_leaves_its_last_words(home, tmp_path):
    anvil = tmp_path / "anvil"
    anvil.write_text("#!/bin/sh\necho 'no such state' >&2\nexit 3\n")
    anvil.chmod(0o755)

    message = refusal(of(home)("chain", "start", ANVIL=anvil))

    assert "does not start: no such state" in message
    assert not is_chain_running(home)


def test_an_unknown_run_or_scene_is_named_with_what_is_known(home):
    command = of(home)

    assert "run 'run-none' was never started here; `autofi runs`" in refusal(command("run", "--resume", "run-none"))
    assert "run 'run-none' has no record; `autofi runs`" in refusal(command("audit", "show", "run-none"))
    assert "scene 'flood' is unknown; scenes: day," in refusal(command("chain", "play", "flood"))


def test_serving_on_a_busy_port_names_the_port(home, world_cache):
    command = of(home)
    node = PaperChain.of(home).start()
    port = node.rsplit(":", 1)[1]

    message = refusal(command("serve", "--port", port))

    assert f"port {port} on 127.0.0.1" in message
    assert "--port" in message


def test_an_address_that_is_no_safe_leaves_no_home_and_no_chain(tmp_path, world_cache):
    home = tmp_path / "home"
    stranger = "0x" + "12" * 20

    message = refusal(autofi("init", "--safe", stranger, AUTOFI_HOME=home, AUTOFI_CACHE=world_cache))

    assert f"account {stranger} has no code on this chain" in message
    assert not home.exists()


def test_a_new_safe_is_adopted_and_starts_empty(tmp_path, world_cache, prepared_home):
    home = tmp_path / "home"

    try:
        ready = autofi("init", "--new-safe", AUTOFI_HOME=home, AUTOFI_CACHE=world_cache)
        standing = json.loads(autofi("status", "--json", AUTOFI_HOME=home).stdout)
    finally:
        PaperChain.of(home).stop()

    assert ready.exit_code == 0
    assert standing["account"] != account_of(prepared_home)
    assert standing["holdings"] == []


def account_of(home: Path) -> str:
    return PaperChain.of(home).manifest.catalog.account
