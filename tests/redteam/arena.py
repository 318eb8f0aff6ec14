"""A home on the real local chain that is put back between attacks: files copied, chain reverted, node kept."""

from __future__ import annotations

import logging
import re
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Self, cast

from pydantic import SecretStr

from app.initialize import initialize
from app.paper import FOLDER, PaperChain
from app.settings import (
    CONFIG_DIRECTORY,
    DATABASE_FILE,
    POLICY_FILE,
    STRATEGIES_FILE,
    Settings,
    load_catalog,
    load_policy,
)
from app.wiring import Application, new_request, open_application
from chain.anvil import NodeRpc
from chain.sender import JournalSender
from domain.run import RunRecord, Trigger, Workflow
from domain.verdict import Approval
from tests.redteam.audit_chain import Chain
from tests.redteam.audit_records import Books, StateChange
from tests.redteam.leaks import SECRETS
from tests.redteam.poison import Market

BLOCK_SECONDS = 12
WAIT_SECONDS = 0.02
"""Between two looks for a receipt; on a real chain it is a second."""
PATIENCE_SECONDS = 20.0
MODEL = "hostile-1"
EVERYTHING_IS_ASKED = "1_000"


class Stage(StrEnum):
    """What the treasury holds when the attack begins."""

    CASH = "cash"  # mostly the reserve token: everything is still to be entered
    INVESTED = "invested"  # a day after a first honest run: swaps, exits and budgets already used


class Rules(StrEnum):
    DEMO = "demo"  # config/policy.toml
    ASKING = "asking"  # the same, but nearly every batch waits for a human


class Arena:
    """One home, one node. `restore` before each attack; leaving it stops the node."""

    def __init__(self, folder: Path, *, cache: Path, stage: Stage = Stage.CASH, rules: Rules = Rules.DEMO) -> None:
        self._stage, self._rules = stage, rules
        self._files = folder / "files"
        self.settings = Settings(
            home=folder / "home",
            cache=cache,
            model=MODEL,
            openai_api_key=SecretStr(SECRETS["OPENAI_API_KEY"]),
            openai_base_url="http://127.0.0.1:9/v1",
            api_token=SecretStr(SECRETS["AUTOFI_API_TOKEN"]),
            keystore_passphrase=SecretStr(SECRETS["AUTOFI_KEYSTORE_PASSPHRASE"]),
        )
        self.log = _Log()
        self._clients: list[NodeRpc | Chain] = []

    def __enter__(self) -> Self:
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        for client in self._clients:
            client.close()
        if PaperChain.exists(self.settings.home):
            PaperChain.of(self.settings.home).stop()
        logging.getLogger().removeHandler(self.log)

    def _prepare(self) -> None:
        self._files.mkdir(parents=True)
        policy = self._files.with_name(POLICY_FILE)
        policy.write_text(_policy_text(self._rules))
        offline = {"policy": policy, "model": "offline"}
        initialize(self.settings.model_copy(update=offline), safe=None, new_safe=False, report=lambda _: None)
        self.catalog = load_catalog(self.settings.home / STRATEGIES_FILE)
        self.policy = load_policy(self.settings.home / POLICY_FILE)
        paper = PaperChain.of(self.settings.home)
        url = paper.start()
        self.rpc, self.chain = NodeRpc(url), Chain(url)
        self._clients += [self.rpc, self.chain]
        self.market = Market(self.rpc, paper.manifest)
        self.rpc.call("anvil_setBlockTimestampInterval", BLOCK_SECONDS)
        self.first_block = self.chain.head() + 1
        if self._stage is Stage.INVESTED:
            self._invest()
        self._keep_files()
        self.old_approvals = frozenset(approval.batch_digest for approval in self._approvals())
        self._snapshot = self.rpc.call("evm_snapshot")
        logging.getLogger().addHandler(self.log)

    def _invest(self) -> None:
        """One honest run, answered where it asks, and a day later."""
        with open_application(self.settings.model_copy(update={"model": "offline"})) as application:
            request = new_request(application, Workflow.OPTIMIZE, trigger=Trigger.OPERATOR)
            application.conductor.start(request)
            for approval in application.dependencies.approvals.pending():
                at = application.dependencies.clock.now()
                application.dependencies.approvals.answer(
                    approval.batch_digest, approved=True, answered_by="alice", role="approver", at=at
                )
                application.conductor.resume(request.run_id)
        self.market.scenario.step_day(self.market.scenario.day + 1)

    def _keep_files(self) -> None:
        for entry in self.settings.home.iterdir():
            if entry.name != FOLDER and entry.is_file():
                shutil.copy2(entry, self._files / entry.name)

    def restore(self) -> None:
        """Files and chain as they were when the arena was entered."""
        home = self.settings.home
        for entry in home.iterdir():
            if entry.name != FOLDER:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        for entry in self._files.iterdir():
            shutil.copy2(entry, home / entry.name)
        self.rpc.call("evm_revert", self._snapshot)
        self._snapshot = self.rpc.call("evm_snapshot")
        self.market.forget()
        self.log.lines.clear()

    @contextmanager
    def open(self, base_url: str, *, patience_seconds: float = PATIENCE_SECONDS) -> Iterator[Application]:
        """The product as `autofi` opens it, its model at this address."""
        changes = {"openai_base_url": base_url, "model_timeout_seconds": patience_seconds}
        with open_application(self.settings.model_copy(update=changes)) as application:
            cast("JournalSender", application.dependencies.sender)._wait = lambda _: time.sleep(WAIT_SECONDS)
            yield application

    def books(self, application: Application) -> Books:
        """What the product has written down about itself."""
        dependencies = application.dependencies
        entries = dependencies.journal.entries(kind="run")
        records = tuple(record for e in entries if (record := dependencies.runs.record(e.subject)) is not None)
        history = application.stores.trading_state.history()
        states = tuple(StateChange(change.at, change.state) for change in history)
        return Books(records, self._approvals(), states, _started(records))

    def _approvals(self) -> tuple[Approval, ...]:
        """Rows of the table, read by SQL of our own."""
        columns = ", ".join(Approval.model_fields)
        with closing(sqlite3.connect(self.settings.home / DATABASE_FILE)) as connection:
            rows = connection.execute(f"SELECT {columns} FROM approvals").fetchall()
        return tuple(Approval.model_validate(dict(zip(Approval.model_fields, row, strict=True))) for row in rows)


class _Log(logging.Handler):
    """Every line that the product or a library logs, formatted."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


def _started(records: tuple[RunRecord, ...]) -> tuple[datetime, ...]:
    return tuple(record.request.requested_at for record in records)


def _policy_text(rules: Rules) -> str:
    text = (CONFIG_DIRECTORY / POLICY_FILE).read_text()
    if rules is Rules.DEMO:
        return text
    key = "min_value_without_approval_usd"
    changed, count = re.subn(rf"^{key} = .*$", f"{key} = {EVERYTHING_IS_ASKED}", text, flags=re.MULTILINE)
    if count != 1:
        raise LookupError(f"{POLICY_FILE} names {key} {count} times")
    return changed
