"""The doctor on homes with one thing wrong each: it names the part, what it saw and the fix, and never raises."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.doctor import examine
from app.findings import Finding, gather, look_at
from app.settings import DATABASE_FILE, Settings, load_catalog, load_policy
from app.stores import open_stores
from domain.errors import ChainUnavailable
from domain.run import RunRequest, Trigger, Workflow
from domain.verdict import TradingState
from memory.database import open_database
from tests.builders import NOW
from tests.repository import ROOT


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A home in shadow mode, which needs no local chain; its node is a port where nobody answers."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    settings = Settings(home=home, mode="shadow", rpc_url="http://127.0.0.1:9")
    open_database(settings.database).close()
    with open_stores(settings=settings) as stores:
        stores.trading_state.start(TradingState.ACTIVE, by="init", reason="first start", at=NOW)
    return settings


def finding_of(settings: Settings, part: str) -> Finding:
    return next(finding for finding in examine(settings) if finding.part == part)


def unhealthy(settings: Settings) -> list[str]:
    return [finding.part for finding in examine(settings) if not finding.is_healthy]


def test_what_waits_for_an_approval_shows_beside_the_catalog_in_force(settings: Settings) -> None:
    catalog = load_catalog(settings.strategies_path)
    with open_stores(settings=settings) as stores:
        stores.policies.follow(load_policy(settings.policy_path), by="bob", at=NOW)
        stores.catalogs.follow(catalog, by="bob", at=NOW)
        stores.catalogs.follow(catalog.model_copy(update={"venues": ()}), by="bob", at=NOW)

    found = finding_of(settings, "catalog in force")

    assert found.is_healthy
    assert found.observed.startswith(f"digest {catalog.digest()[:16]} since ")
    assert "; another one waits for an approval and " in found.observed


def test_a_home_that_was_never_set_up_names_the_command(tmp_path: Path) -> None:
    found = finding_of(Settings(home=tmp_path, mode="shadow"), "home")

    assert not found.is_healthy
    assert found.observed == f"nothing is set up in {tmp_path}; run `autofi init` (or set AUTOFI_HOME)"
    assert found.fix == "autofi init"


def test_only_the_chain_is_amiss_where_only_the_node_is_silent(settings: Settings) -> None:
    found = finding_of(settings, "chain")

    assert unhealthy(settings) == ["chain"]
    assert "node http://127.0.0.1:9 did not answer" in found.observed
    assert "AUTOFI_RPC_URL" in found.fix


def test_a_home_without_a_node_names_the_variable(settings: Settings) -> None:
    found = finding_of(settings.model_copy(update={"rpc_url": None}), "chain")

    assert found.observed == "mode shadow needs the address of a node: set AUTOFI_RPC_URL"


def test_a_home_that_others_can_read_names_its_mode(settings: Settings) -> None:
    settings.home.chmod(0o755)

    found = finding_of(settings, "privacy")

    assert not found.is_healthy
    assert "mode 755" in found.observed
    assert found.fix == f"chmod 700 {settings.home}"


@pytest.mark.parametrize(("name", "part"), [("policy.toml", "policy"), ("strategies.toml", "strategies")])
def test_a_file_with_an_unknown_key_is_quoted(settings: Settings, name: str, part: str) -> None:
    text = (ROOT / "config" / name).read_text()
    (settings.home / name).write_text(f"surprise = 1\n{text}")

    found = finding_of(settings, part)

    assert not found.is_healthy
    assert "unknown key 'surprise'" in found.observed


def test_a_file_that_is_no_database_is_found(settings: Settings) -> None:
    (settings.home / DATABASE_FILE).write_bytes(b"this was a database once" * 100)

    assert "database" in unhealthy(settings)


def test_a_database_of_an_older_version_names_the_command(settings: Settings) -> None:
    with sqlite3.connect(settings.home / DATABASE_FILE) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0000'")
    connection.close()

    found = finding_of(settings, "database")

    assert not found.is_healthy
    assert "schema revision 0000" in found.observed
    assert found.fix == "autofi init"


def test_a_database_of_a_newer_version_names_another_fix(settings: Settings) -> None:
    with sqlite3.connect(settings.home / DATABASE_FILE) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()

    found = finding_of(settings, "database")

    assert not found.is_healthy
    assert "schema revision 9999, newer than" in found.observed
    assert found.fix == "update this program; init does not bring a database back"


def test_an_edited_journal_is_broken_at_its_entry(settings: Settings) -> None:
    with open_stores(settings=settings) as stores:
        stores.journal.append(kind="note", subject="first", body=b"{}", at=NOW)
        stores.journal.append(kind="note", subject="second", body=b"{}", at=NOW)
    with sqlite3.connect(settings.home / DATABASE_FILE) as connection:
        triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (name,) in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("UPDATE book_entries SET subject = 'forged' WHERE subject = 'first'")
    connection.close()

    found = finding_of(settings, "journal")

    assert not found.is_healthy
    assert found.observed.startswith("broken at entry 2")


def test_a_lost_anchor_makes_budgets_and_trading_state_untrusted(settings: Settings) -> None:
    for file in settings.home.glob(f"{DATABASE_FILE}*"):
        if "anchor" in file.name:
            file.unlink()

    assert {"budgets", "trading state"} <= set(unhealthy(settings))


def test_a_halted_state_says_by_whom_and_why(settings: Settings) -> None:
    with open_stores(settings=settings) as stores:
        stores.trading_state.write(TradingState.HALTED, by="alice", reason="peg news", at=NOW)

    found = finding_of(settings, "trading state")

    assert found.is_healthy
    assert found.observed == f"halted since {NOW:%Y-%m-%d %H:%M} by alice: peg news"


def test_a_run_that_was_never_finished_is_named(settings: Settings) -> None:
    request = RunRequest(
        run_id="run-lost",
        workflow=Workflow.OPTIMIZE,
        trigger=Trigger.OPERATOR,
        requested_by="bob",
        requested_at=NOW,
    )
    with open_stores(settings=settings) as stores:
        stores.runs.start(request)

    found = finding_of(settings, "open runs")

    assert not found.is_healthy
    assert found.observed == "1 begun and not finished: run-lost"


class Endpoint(BaseHTTPRequestHandler):
    """Answers GET /v1/models by the key that it is shown."""

    def do_GET(self) -> None:
        is_known = self.headers.get("Authorization") == "Bearer good"
        self.send_response(200 if is_known and self.path == "/v1/models" else 401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Silent."""


@pytest.fixture
def endpoint() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Endpoint)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


def model_settings(settings: Settings, url: str, key: str) -> Settings:
    changes = {"model": "some-model", "openai_base_url": url, "openai_api_key": SecretStr(key)}
    return settings.model_copy(update=changes)


def test_a_model_endpoint_that_knows_the_key_is_well(settings: Settings, endpoint: str) -> None:
    assert finding_of(model_settings(settings, endpoint, "good"), "model").is_healthy


def test_a_model_endpoint_that_refuses_the_key_is_not_and_the_key_stays_secret(
    settings: Settings, endpoint: str
) -> None:
    found = finding_of(model_settings(settings, endpoint, "stolen"), "model")

    assert not found.is_healthy
    assert found.observed == "the model endpoint answered with HTTP status 401"
    assert "OPENAI_API_KEY" in found.fix


def test_a_model_endpoint_where_nobody_answers_is_found(settings: Settings) -> None:
    found = finding_of(model_settings(settings, "http://127.0.0.1:9/v1", "good"), "model")

    assert not found.is_healthy
    assert "did not answer within 5 s" in found.observed


def test_a_look_that_fails_in_a_foreign_way_tells_only_the_kind() -> None:
    def look() -> str:
        raise RuntimeError("postgresql://user:hunter2@host")

    found = look_at("database", look, fix="mend it")

    assert found == Finding(part="database", is_healthy=False, observed="failed with RuntimeError", fix="mend it")


def test_parts_that_need_a_missing_one_become_one_finding() -> None:
    def examine_all() -> tuple[Finding, ...]:
        raise ChainUnavailable("the node is silent")

    (found,) = gather("chain", examine_all, fix="start it")

    assert (found.part, found.is_healthy, found.observed) == ("chain", False, "the node is silent")
