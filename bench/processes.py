"""What whole commands cost, seen from outside: CPU, wall time and memory of `autofi` as its own process."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Final, NamedTuple

import httpx

from app.paper import PaperChain
from bench.figures import Figure
from chain.anvil import claim_port
from domain.errors import ExecutionFailed

ROOT: Final = Path(__file__).parent.parent
AUTOFI: Final = (sys.executable, "-m", "app")
REPEATS: Final = 5
MAX_START_CPU_SECONDS: Final = 0.5
MAX_DEMO_SECONDS: Final = 60
IDLE_SECONDS: Final = 3.0
BOOT_SECONDS: Final = 60.0
KIB_PER_MIB: Final = 1024


class Spent(NamedTuple):
    """What a process took, with everything it waited for."""

    cpu_seconds: float
    wall_seconds: float


def process_figures(home: Path) -> list[Figure]:
    """The demo first: it leaves the home whose journal is verified and which is served. It needs a new folder."""
    demo = _run("demo", "--keep", str(home))
    story = f"user and system, median of {REPEATS} after one start, process from `python -m app`"
    help_seconds = _median_cpu("--help")
    verify_seconds = _median_cpu("audit", "verify", "--home", str(home))
    return [
        Figure("help_cpu_s", help_seconds, "s", MAX_START_CPU_SECONDS, story),
        Figure("audit_verify_cpu_s", verify_seconds, "s", MAX_START_CPU_SECONDS, f"{story}; the demo's journal"),
        Figure("serve_idle_mib", _idle_memory(home), "MiB", None, "resident after 3 s idle, without the local chain"),
        Figure(
            "demo_wall_s", round(demo.wall_seconds, 1), "s", MAX_DEMO_SECONDS, "five runs and the audit, whole process"
        ),
    ]


def _median_cpu(*arguments: str) -> float:
    _run(*arguments)  # fills the bytecode cache
    return round(statistics.median(_run(*arguments).cpu_seconds for _ in range(REPEATS)), 3)


def _run(*arguments: str) -> Spent:
    start = time.perf_counter()
    process = subprocess.Popen(
        [*AUTOFI, *arguments], cwd=ROOT, env=_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise ExecutionFailed(f"autofi {' '.join(arguments)} ended with exit code {process.returncode}")
    return Spent(usage.ru_utime + usage.ru_stime, time.perf_counter() - start)


def _environment() -> dict[str, str]:
    """Bytecode is kept, as in every installation."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _idle_memory(home: Path) -> float:
    port = claim_port(None)
    process = subprocess.Popen(
        [*AUTOFI, "serve", "--home", str(home), "--port", str(port)],
        cwd=ROOT,
        env=_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _await_live(process, f"http://127.0.0.1:{port}/v1/health/live")
        time.sleep(IDLE_SECONDS)
        return resident_mib(process.pid)
    finally:
        process.terminate()
        process.wait(timeout=BOOT_SECONDS)
        PaperChain.of(home).stop()


def _await_live(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + BOOT_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if httpx.get(url, trust_env=False).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise ExecutionFailed(f"autofi serve did not answer at {url} within {BOOT_SECONDS:.0f} s")


def resident_mib(pid: int) -> float:
    """VmRSS of Linux; elsewhere `ps` says the same."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        found = re.search(r"^VmRSS:\s+(\d+) kB$", status.read_text(), re.MULTILINE)
        kib = found[1] if found else "nan"
    else:
        kib = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True).stdout
    return round(float(kib) / KIB_PER_MIB, 1)
