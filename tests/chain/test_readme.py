"""The README's `autofi` lines, run for real and in their order, by a newcomer with one empty home."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.paper import PaperChain
from app.policy_edit import replace_limit
from app.settings import POLICY_FILE
from tests.chain.test_api_chain import HTTP_SECONDS, await_live
from tests.processes import Answer, autofi
from tests.repository import ROOT

pytestmark = pytest.mark.chain

BLOCKS = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
LINES = [line.split("#")[0].strip() for block in BLOCKS for line in block.splitlines() if line.startswith("autofi ")]
MAX_RUNS = 4
END_SECONDS = 30


class Newcomer:
    """Types line after line; puts real ids where the README has RUN and DIGEST, and a free port for its port."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self._folder = folder
        self.home = folder / "home"
        self._week_usd = 3_000_000
        self._environment = {"AUTOFI_HOME": self.home, "AUTOFI_CACHE": cache}

    def type(self, line: str) -> Answer:
        words = shlex.split(line)[1:]
        arguments = [self._real(word, command=words[0]) for word in words]
        answer = self._serve(arguments) if words[0] == "serve" else self.run(*arguments)
        if words[0] == "init":  # from here on a run of any size waits for a human
            replace_limit(self.home / POLICY_FILE, "approval", "min_value_without_approval_usd", "1_000")
        return answer

    def run(self, *arguments: str) -> Answer:
        return autofi(*arguments, **self._environment)

    def _real(self, word: str, *, command: str) -> str:
        if word == "RUN":
            return json.loads(self.run("runs", "--json").stdout)[0]["request"]["run_id"]
        if word == "DIGEST":
            return self._waiting_policy() if command == "policy" else self._waiting_digest()
        if word == "trail.jsonl":
            return str(self._folder / word)
        return str(free_port()) if command == "serve" and word.isdigit() else word

    def _waiting_digest(self) -> str:
        """Of a batch that waits now; runs until one does."""
        for _ in range(MAX_RUNS):
            approvals = json.loads(self.run("status", "--json").stdout)["approvals"]
            if approvals:
                return approvals[0]["batch_digest"]
            self.run("run")
        pytest.fail(f"none of {MAX_RUNS} runs waits for a human")

    def _waiting_policy(self) -> str:
        """Of a looser one that waits now; bob loosens the week a little more each time that none does."""
        if not self._pending():
            self._week_usd += 1
            replace_limit(self.home / POLICY_FILE, "budgets", "max_week_value_usd", str(self._week_usd))
            self.run("policy", "apply", "--as", "bob")
        return self._pending()["digest"]

    def _pending(self) -> dict[str, str]:
        """Empty where nothing waits."""
        return json.loads(self.run("policy", "pending", "--json").stdout)["pending"] or {}

    def _serve(self, arguments: list[str]) -> Answer:
        """Until it answers over HTTP; then Ctrl-C ends it, as it says."""
        environment = {**os.environ, **{name: str(value) for name, value in self._environment.items()}}
        process = subprocess.Popen(
            [sys.executable, "-m", "app", *arguments],
            cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            with httpx.Client(
                base_url=f"http://127.0.0.1:{arguments[-1]}", timeout=HTTP_SECONDS, trust_env=False
            ) as client:
                await_live(process, client)
            process.send_signal(signal.SIGINT)
            return Answer(*(process.wait(END_SECONDS), *process.communicate()))
        finally:
            process.kill()
            process.communicate()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def newcomer(tmp_path: Path, world_cache: Path) -> Iterator[Newcomer]:
    newcomer = Newcomer(tmp_path, world_cache)
    yield newcomer
    if PaperChain.exists(newcomer.home):
        PaperChain.of(newcomer.home).stop()


def test_every_line_of_the_readme_works_in_its_order(newcomer):
    answers = {line: newcomer.type(line) for line in LINES}

    assert len(answers) > 15
    assert {line: answer for line, answer in answers.items() if answer.exit_code != 0} == {}
    assert "EXECUTED run-" in answers["autofi approve DIGEST --as alice"].stdout
    assert "REFUSED run-" in answers["autofi deny DIGEST --as alice"].stdout
    assert "VERIFIED" in answers["autofi audit verify"].stdout
