"""`autofi demo` as a newcomer runs it: five acts, exit code 0, no connection that leaves this machine, no leftovers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.network import is_loopback
from tests.repository import ROOT

pytestmark = pytest.mark.chain

DEADLINE_SECONDS = 240
CENT, PRICE_ROUNDING = Decimal("0.01"), Decimal("0.00005")
# Runs before any other code of the process, and of every Python process that it starts.
WITNESS = """
import os, sys

def testify(event, arguments):
    if event in {"socket.connect", "socket.sendto", "socket.sendmsg"}:
        where = arguments[1]
    elif event in {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}:
        where = arguments[0]
    else:
        return
    host = where[0] if isinstance(where, tuple) else where
    line = f"{event}\\t{'unix' if isinstance(where, (str, bytes)) and event in UNIX else host}\\n"
    descriptor = os.open(os.environ["WITNESS_FILE"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, line.encode())
    os.close(descriptor)

UNIX = {"socket.connect", "socket.sendto"}  # a path instead of a pair
sys.addaudithook(testify)
"""
# Somebody's real portfolio in the environment, which a demo must not even look at.
FOREIGN = {
    "AUTOFI_DATABASE_URL": "sqlite:////nowhere/real.db",
    "AUTOFI_HOME": "/nowhere/real",
    "AUTOFI_MODE": "live",
    "AUTOFI_POLICY": "/nowhere/policy.toml",
    "AUTOFI_RPC_URL": "http://192.0.2.1:8545",
    "AUTOFI_STRATEGIES": "/nowhere/strategies.toml",
    "OPENAI_BASE_URL": "http://192.0.2.1/v1",
}
# A network of its own, with nothing in it but the loopback interface.
ALONE = ("unshare", "--user", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "alone")


class Shown(NamedTuple):
    """What one demo left behind."""

    exit_code: int
    stdout: str
    stderr: str
    connections: frozenset[tuple[str, str]]
    folder: Path


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, world_cache: Path) -> Shown:
    folder = tmp_path_factory.mktemp("demo")
    (folder / "sitecustomize.py").write_text(WITNESS)
    testimony = folder / "connections"
    witness = {"PYTHONPATH": str(folder), "WITNESS_FILE": str(testimony)}

    done = run_demo(folder, world_cache, **witness, **FOREIGN)

    lines = testimony.read_text().splitlines()
    pairs = frozenset((event, host) for event, _, host in (line.partition("\t") for line in lines))
    return Shown(done.returncode, done.stdout, done.stderr, pairs, folder)


def run_demo(
    folder: Path, cache: Path, *, before: tuple[str, ...] = (), **environment: str
) -> subprocess.CompletedProcess[str]:
    temporary = folder / "tmp"
    temporary.mkdir()
    own = {"AUTOFI_CACHE": str(cache), "HOME": str(folder / "nobody"), "TMPDIR": str(temporary)}
    return subprocess.run(
        [*before, sys.executable, "-m", "app", "demo"],
        cwd=ROOT,
        env={**os.environ, **own, **environment},
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )


def act(stdout: str, number: int) -> str:
    """The text of one act."""
    return re.split(r"^\((?=\d\) )", stdout, flags=re.MULTILINE)[number]


def processes_in(folder: Path) -> list[str]:
    """Command lines of running processes that name the folder."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line:
            found.append(line)
    return found


def test_the_demo_ends_well(shown):
    assert shown.exit_code == 0, shown.stderr
    assert "error" not in shown.stderr


def test_the_first_act_executes_with_plan_verdict_gas_and_balances(shown):
    text = act(shown.stdout, 1)

    assert re.search(r"^EXECUTED run-\w+: executed in block \d+ for \d+ gas$", text, re.MULTILINE)
    for part in ("before: ", "plan ", "verdict PASS on this batch", "measured", "limit", "after: "):
        assert part in text
    assert re.search(r"transaction 0x[0-9a-f]{64} in block \d+: gas [\d,]+", text)


def test_the_second_act_is_denied_with_code_limit_and_observed(shown):
    text = act(shown.stdout, 2)

    assert re.search(r"^DENIED run-\w+: .*price_stale \(weth oracle: \d+ seconds, limit \d+\)", text, re.MULTILINE)
    assert re.search(r"price_stale .*weth oracle .*DENY", text)
    assert "transaction 0x" not in text


def test_the_third_act_waits_is_approved_by_digest_and_executes(shown):
    text = act(shown.stdout, 3)

    waiting, approved, executed = (
        text.index("WAITING run-"),
        re.search(r"alice approves digest ([0-9a-f]{16})", text),
        text.index("EXECUTED run-"),
    )
    assert waiting < approved.start() < executed
    assert f"autofi approve {approved[1]}" in text


def test_the_fourth_act_leaves_the_broken_peg_and_says_what_that_was_worth(shown):
    text = act(shown.stdout, 4)
    sentence = (
        r"sold ([\d,.]+) USDX for ([\d,.]+) USD; at ([\d.]+) USD they are worth ([\d,.]+) USD: "
        r"holding on had lost ([\d,.]+) USD"
    )

    numbers = re.search(sentence, " ".join(text.split())).groups()

    sold, brought, price, worth, lost = (Decimal(number.replace(",", "")) for number in numbers)
    assert re.search(r"^EXECUTED run-\w+", text, re.MULTILINE)
    assert "event peg_break on " in text
    assert "verdict PASS on this exit" in text
    assert abs(worth - sold * price) < CENT + sold * PRICE_ROUNDING
    assert abs(lost - (brought - worth)) <= 2 * CENT
    assert lost > 0


def test_the_fifth_act_asks_no_model(shown):
    text = act(shown.stdout, 5)

    assert re.search(r"^UNCHANGED run-\w+", text, re.MULTILINE)
    assert "model calls: 0" in text


def test_the_trail_is_verified_and_the_value_drawn(shown):
    proof = r"autofi audit verify: VERIFIED \d+ entries, 3 books, \d+ artifacts, head [0-9a-f]{16}"
    assert re.search(proof, shown.stdout)
    assert re.search(r"value over time [▁▂▃▄▅▆▇█]{5,} [\d,.]+ → [\d,.]+ USD", shown.stdout)


def test_the_demo_connects_to_nothing_outside_this_machine(shown):
    """The witness saw the demo talk to its chain, so that it would have seen it talk to anybody else."""
    assert ("socket.connect", "127.0.0.1") in shown.connections
    assert {host for _, host in shown.connections if host != "unix" and not is_loopback(host)} == set()


def test_the_demo_leaves_no_process_and_no_file(shown):
    assert processes_in(shown.folder) == []
    assert list((shown.folder / "tmp").iterdir()) == []
    assert not (shown.folder / "nobody").exists()


def test_the_demo_needs_no_network_at_all(tmp_path, world_cache):
    refusal = why_no_own_network()
    if refusal:
        pytest.skip(f"no network of its own on this machine: {refusal}")

    done = run_demo(tmp_path, world_cache, before=ALONE)

    assert done.returncode == 0, done.stderr
    assert "VERIFIED" in done.stdout


def why_no_own_network() -> str:
    """Empty when a process may have a network of its own here."""
    if missing := [program for program in ("unshare", "ip") if shutil.which(program) is None]:
        return f"{missing[0]} is absent"
    tried = subprocess.run([*ALONE, "true"], capture_output=True, text=True, timeout=10, check=False)
    return "" if tried.returncode == 0 else tried.stderr.strip() or f"unshare ended with {tried.returncode}"
