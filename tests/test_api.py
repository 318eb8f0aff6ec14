"""The HTTP API over the fake market: the real graph and stores, one process, no chain."""

from __future__ import annotations

import json
import re
import socket
import threading
from contextlib import nullcontext
from pathlib import Path

import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

from app.api.gate import MAX_BODY_BYTES
from app.api.server import create_app, serve
from app.api.work import MAX_WAITING_RUNS, BoundedPool, run_id_of
from app.chain_books import ChainBooks, unused
from app.policy_in_force import CatalogInForce, PolicyInForce
from app.settings import Settings
from app.stores import Stores
from app.wiring import Application
from domain.breakers import Trip
from domain.errors import ChainUnavailable, ConfigurationInvalid, InvariantBroken, Unavailable
from domain.run import RunStatus
from domain.verdict import TradingState
from memory.chain_base import SqlChainBases
from memory.execution_journal import SqlExecutionJournal
from memory.observations import SqlObservationStore
from memory.policies import SqlCatalogStore, SqlPolicyStore
from tests.builders import NOW
from tests.builders_evidence import make_limits
from tests.fakes import Treasury
from tests.repository import ROOT

TOKEN = "a-token-of-some-length"
LOOPBACK = "http://127.0.0.1:8420"
ASKING = make_limits(approval={"min_value_without_approval_usd": 1})


def make_application(treasury: Treasury, *, token: str | None = None) -> Application:
    dependencies, database = treasury.dependencies, treasury.database
    stores = Stores(
        database=database,
        approvals=dependencies.approvals,
        artifacts=dependencies.artifacts,
        budgets=dependencies.budgets,
        catalogs=SqlCatalogStore(database),
        chain_bases=SqlChainBases(database),
        execution=SqlExecutionJournal(database),
        incidents=dependencies.incidents,
        journal=dependencies.journal,
        observations=SqlObservationStore(database),
        policies=SqlPolicyStore(database),
        runs=treasury.runs,
        trading_state=dependencies.trading_state,
    )
    settings = Settings(home=treasury.folder, api_token=None if token is None else SecretStr(token))
    return Application(
        settings=settings,
        stores=stores,
        policy=PolicyInForce(stores, settings),
        catalog=CatalogInForce(stores, settings),
        dependencies=dependencies,
        conductor=treasury.conductor,
        paper=None,
        chain_books=ChainBooks(stores, lambda: unused(dependencies.catalog), dependencies.clock, settings.mode),
    )


def make_client(application: Application, **options) -> TestClient:
    return TestClient(create_app(lambda: nullcontext(application)), base_url=LOOPBACK, **options)


@pytest.fixture
def treasury(tmp_path: Path):
    treasury = Treasury(tmp_path)
    yield treasury
    treasury.close()


@pytest.fixture
def client(treasury: Treasury):
    with make_client(make_application(treasury)) as client:
        yield client


@pytest.fixture
def guarded(treasury: Treasury):
    with make_client(make_application(treasury, token=TOKEN)) as client:
        yield client


@pytest.fixture
def asking(tmp_path: Path):
    """A treasury whose every run waits for a human, and its API."""
    treasury = Treasury(tmp_path, policy=ASKING)
    with make_client(make_application(treasury)) as client:
        yield client, treasury
    treasury.close()


def events_of(response) -> list[tuple[str, dict]]:
    """(event, data) of each block of a finished stream."""
    blocks = [block for block in response.text.split("\n\n") if "data: " in block]
    parsed = [dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks]
    return [(block["event"], json.loads(block["data"])) for block in parsed]


def watch(client: TestClient, run_id: str, **headers: str) -> list[tuple[str, dict]]:
    response = client.get(f"/v1/runs/{run_id}/events", headers=headers)
    assert response.headers["content-type"].startswith("text/event-stream")
    return events_of(response)


def start(client: TestClient, workflow: str = "optimize", **headers: str) -> str:
    response = client.post("/v1/runs", json={"workflow": workflow}, headers=headers)
    assert response.status_code == 202
    return response.json()["run_id"]


def await_approval(client: TestClient) -> dict:
    """Until the run that was started asks; the queue's one thread brings it there."""
    for _ in range(200):
        (waiting, *_) = client.get("/v1/approvals").json() or [None]
        if waiting is not None:
            return waiting
        threading.Event().wait(0.02)
    raise AssertionError("no approval was asked for")


def test_a_run_is_accepted_and_its_stages_are_streamed_until_it_is_final(client: TestClient) -> None:
    run_id = start(client)

    events = watch(client, run_id)

    stages = [data["stage"] for event, data in events if event == "stage"]
    assert stages[0] == "observe"
    assert stages[-1] == "record"
    assert events[-1][0] == "done"
    assert events[-1][1]["status"] == "executed"


def test_a_reconnecting_watcher_gets_only_what_it_has_not_seen(client: TestClient) -> None:
    run_id = start(client)
    stages = [data["stage"] for event, data in watch(client, run_id) if event == "stage"]

    again = watch(client, run_id, **{"Last-Event-ID": "3"})

    assert [data["stage"] for event, data in again if event == "stage"] == stages[3:]


def test_a_finished_run_is_listed_shown_and_recorded(client: TestClient) -> None:
    run_id = start(client)
    watch(client, run_id)

    listed = client.get("/v1/runs").json()
    record = client.get(f"/v1/audit/runs/{run_id}").json()

    assert [run["request"]["run_id"] for run in listed] == [run_id]
    assert client.get(f"/v1/runs/{run_id}").json() == listed[0]
    assert record["status"] == "executed"
    assert all(isinstance(move["amount_in"], str) for move in record["plan"]["moves"])


def test_the_same_idempotency_key_gives_the_same_run_and_one_effect(client: TestClient, treasury: Treasury) -> None:
    first = start(client, **{"Idempotency-Key": "monday"})
    watch(client, first)
    second = start(client, **{"Idempotency-Key": "monday"})

    assert first == second == run_id_of("monday")
    assert len(client.get("/v1/runs").json()) == 1
    assert len(treasury.market.receipts) == 1


def test_an_idempotency_key_with_another_workflow_is_refused(client: TestClient) -> None:
    start(client, **{"Idempotency-Key": "monday"})

    response = client.post("/v1/runs", json={"workflow": "mitigate"}, headers={"Idempotency-Key": "monday"})

    assert response.status_code == 400
    assert "use another key" in response.json()["detail"]


def test_two_runs_are_two_runs_without_a_key(client: TestClient) -> None:
    assert start(client) != start(client)


def test_resuming_a_finished_run_changes_nothing(client: TestClient, treasury: Treasury) -> None:
    run_id = start(client)
    watch(client, run_id)

    response = client.post(f"/v1/runs/{run_id}/resume")

    assert response.status_code == 202
    assert response.json() == {"run_id": run_id, "status": "executed"}
    assert len(treasury.market.receipts) == 1


def test_an_approved_batch_executes_in_the_background(asking) -> None:
    client, treasury = asking
    run_id = start(client)
    waiting = await_approval(client)

    response = client.post(
        f"/v1/approvals/{waiting['batch_digest']}", json={"decision": "approve", "answered_by": "alice"}
    )
    events = watch(client, run_id)

    assert response.status_code == 202
    assert response.json()["status"] == "approved"
    assert events[-1][1]["status"] == "executed"
    assert list(treasury.market.receipts) == [waiting["batch_digest"]]


def test_a_denied_batch_ends_its_run_without_a_transaction(asking) -> None:
    client, treasury = asking
    run_id = start(client)
    waiting = await_approval(client)

    client.post(f"/v1/approvals/{waiting['batch_digest'][:12]}", json={"decision": "deny", "answered_by": "alice"})

    assert watch(client, run_id)[-1][1]["status"] == "refused"
    assert not treasury.market.receipts


def test_an_answer_by_the_one_who_asked_is_a_conflict_with_its_code(asking) -> None:
    client, treasury = asking
    start(client)
    waiting = await_approval(client)

    response = client.post(
        f"/v1/approvals/{waiting['batch_digest']}",
        json={"decision": "approve", "answered_by": waiting["requested_by"]},
    )

    assert response.status_code == 409
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == "four_eyes"
    assert not treasury.market.receipts


def test_an_answer_to_a_digest_that_nobody_asked_about_is_a_conflict(client: TestClient) -> None:
    response = client.post("/v1/approvals/" + "ab" * 32, json={"decision": "approve", "answered_by": "alice"})

    assert (response.status_code, response.json()["code"]) == (409, "unknown_digest")


def test_the_audit_trail_lists_shows_and_verifies_its_entries(client: TestClient) -> None:
    run_id = start(client)
    watch(client, run_id)

    (entry,) = client.get("/v1/audit/entries", params={"kind": "run"}).json()
    shown = client.get(f"/v1/audit/entries/{entry['sequence']}").json()
    proof = client.get("/v1/audit/verify").json()

    assert entry["subject"] == run_id
    assert shown["entry"] == entry
    assert shown["body"]["request"]["run_id"] == run_id
    assert (proof["is_verified"], proof["head"]) == (True, client.get("/v1/audit/entries").json()[0]["entry_hash"])


def test_status_shows_value_and_state_with_money_as_text(client: TestClient) -> None:
    status = client.get("/v1/status").json()

    assert status["trading_state"] == "active"
    assert isinstance(status["net_asset_value_usd"], str)
    assert all(isinstance(holding["amount"], str) for holding in status["holdings"])


def test_policy_shows_the_limits_in_force_with_their_digest(client: TestClient, treasury: Treasury) -> None:
    shown = client.get("/v1/policy").json()

    assert shown["digest"] == treasury.policy.digest()
    assert shown["policy"]["budgets"].keys() == treasury.policy.budgets.model_dump().keys()


def test_the_catalog_that_waits_shows_beside_the_policy_and_in_the_status(
    client: TestClient, treasury: Treasury
) -> None:
    catalog = treasury.dependencies.catalog
    SqlPolicyStore(treasury.database).follow(treasury.policy, by="bob", at=NOW)
    store, wish = SqlCatalogStore(treasury.database), catalog.model_copy(update={"venues": ()})
    store.follow(catalog, by="bob", at=NOW)
    store.follow(wish, by="bob", at=NOW)

    shown, status = client.get("/v1/policy").json(), client.get("/v1/status").json()

    assert shown["catalog"]["digest"] == catalog.digest()
    assert shown["catalog"]["pending"]["digest"] == wish.digest()
    assert (shown["pending"], shown["catalog"]["problem"], shown["catalog"]["restart"]) == (None, None, None)
    (sentence,) = status["pending_changes"]
    assert sentence.startswith(f"catalog {wish.digest()[:16]} waits for an approval and ")


def test_halt_and_resume_write_who_and_why(client: TestClient, treasury: Treasury) -> None:
    halted = client.post("/v1/halt", json={"reason": "peg news", "by": "alice"}).json()
    state_between = treasury.dependencies.trading_state.read()
    resumed = client.post("/v1/resume", json={"reason": "checked", "by": "alice", "reducing": True}).json()

    assert (halted["state"], halted["by"], halted["reason"]) == ("halted", "alice", "peg news")
    assert state_between is TradingState.HALTED
    assert resumed["state"] == "reducing"
    assert treasury.dependencies.trading_state.read() is TradingState.REDUCING


def test_a_breaker_shows_in_the_status_with_what_tripped(client: TestClient, treasury: Treasury) -> None:
    trip = Trip(
        code="day_drawdown",
        state=TradingState.REDUCING,
        subject="24 hours",
        limit="0.03",
        observed="0.04",
        unit="of value",
    )
    treasury.dependencies.trading_state.tighten([trip], at=NOW)

    change = client.get("/v1/status").json()["trading_state_change"]

    assert (change["state"], change["by"]) == ("reducing", "system")
    assert change["reason"] == "day_drawdown of 24 hours: 0.04 of value, limit 0.03"
    assert [trip["code"] for trip in change["trips"]] == ["day_drawdown"]


def test_incidents_are_opened_listed_and_closed(client: TestClient) -> None:
    said = {"reason": "exploit rumoured", "by": "alice"}
    opened = client.post("/v1/incidents", json={"protocol": "aave-v3", **said}).json()
    listed = client.get("/v1/incidents").json()
    in_status = client.get("/v1/status").json()["incidents"]
    closed = client.post("/v1/incidents/aave-v3/close", json={"reason": "denied", "by": "carol"})

    assert (opened["protocol"], opened["opened_by"]) == ("aave-v3", "alice")
    assert listed == in_status == [opened]
    assert closed.json() == opened
    assert client.get("/v1/incidents").json() == []


@pytest.mark.parametrize(
    ("path", "body"), [("/v1/incidents", {"protocol": "aave-v2"}), ("/v1/incidents/aave-v3/close", {})]
)
def test_an_incident_of_nothing_is_not_found(client: TestClient, path: str, body: dict) -> None:
    response = client.post(path, json={"reason": "why", "by": "alice", **body})

    assert (response.status_code, response.json()["code"]) == (404, "unknown_subject")


def test_chat_streams_stages_tools_and_tokens_then_the_answer(client: TestClient) -> None:
    events = events_of(client.post("/v1/chat", json={"question": "what are the limits on exposure?"}))

    kinds = [event for event, _ in events]
    answer = next(data for event, data in events if event == "answer")
    assert kinds[:2] == ["stage", "tool"]
    assert kinds[-2:] == ["answer", "done"]
    assert next(data for event, data in events if event == "tool") == {"tool": "explain_policy"}
    assert "".join(data["text"] for event, data in events if event == "token") == answer["text"]
    assert "max_strategy_share" in answer["text"]


def test_chat_cites_the_runs_that_its_answer_rests_on(client: TestClient) -> None:
    run_id = start(client)
    watch(client, run_id)

    events = events_of(client.post("/v1/chat", json={"question": "list the recent runs"}))

    assert next(data for event, data in events if event == "answer")["citations"] == [run_id]


def test_chat_proposes_a_run_and_starts_none(client: TestClient) -> None:
    events = events_of(client.post("/v1/chat", json={"question": "rebalance now"}))

    assert next(data for event, data in events if event == "answer")["proposed_workflow"] == "optimize"
    assert client.get("/v1/runs").json() == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/runs", {"workflow": "gamble"}),
        ("POST", "/v1/runs", {"workflow": "optimize", "amount": "1"}),
        ("POST", "/v1/halt", {"reason": "", "by": "alice"}),
        ("POST", "/v1/halt", {"reason": "why", "by": "Alice; DROP"}),
        ("POST", "/v1/incidents", {"protocol": "Aave; DROP", "reason": "why", "by": "alice"}),
        ("POST", "/v1/chat", {"question": "x" * 2001}),
        ("POST", "/v1/approvals/zz", {"decision": "approve", "answered_by": "alice"}),
        ("POST", "/v1/approvals/" + "ab" * 32, {"decision": "maybe", "answered_by": "alice"}),
        ("GET", "/v1/runs?limit=0", None),
        ("GET", "/v1/audit/entries?limit=1001", None),
        ("GET", "/v1/audit/entries/0", None),
        ("GET", "/v1/runs/UPPER", None),
    ],
)
def test_an_invalid_request_is_a_problem_that_names_the_field(
    client: TestClient, method: str, path: str, body: dict | None
) -> None:
    response = client.request(method, path, json=body)

    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == "invalid_request"
    assert len(response.json()["errors"]) == 1


def test_an_invalid_request_is_not_quoted_back(client: TestClient) -> None:
    response = client.post("/v1/halt", json={"reason": "why", "by": "alice", "password": "hunter2"})

    assert "password" in response.text
    assert "hunter2" not in response.text


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/runs/run-unknown"),
        ("GET", "/v1/runs/run-unknown/events"),
        ("POST", "/v1/runs/run-unknown/resume"),
        ("GET", "/v1/audit/runs/run-unknown"),
        ("GET", "/v1/audit/entries/7"),
        ("GET", "/v1/nowhere"),
    ],
)
def test_what_does_not_exist_is_not_found(client: TestClient, method: str, path: str) -> None:
    response = client.request(method, path)

    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"


def test_a_method_that_a_route_lacks_is_a_problem_too(client: TestClient) -> None:
    assert client.delete("/v1/runs").json()["code"] == "method_not_allowed"


def test_a_chain_that_does_not_answer_is_unavailable_and_not_ready(client: TestClient, treasury: Treasury) -> None:
    treasury.market.is_down = True

    response = client.get("/v1/status")

    assert (response.status_code, response.json()["code"]) == (503, "unavailable")
    assert response.json()["detail"] == "the fake node is down"


def test_readiness_asks_chain_and_store(treasury: Treasury) -> None:
    def refuse() -> tuple[int, str]:
        raise ChainUnavailable("node http://secret-name does not answer")

    with make_client(make_application(treasury)) as client:
        before = client.get("/v1/health/ready")
        treasury.market.head = refuse
        after = client.get("/v1/health/ready")

    assert (before.status_code, before.json()["status"]) == (200, "ready")
    assert after.status_code == 503
    assert after.json() == {"status": "not_ready", "is_chain_answering": False, "is_store_answering": True}


def test_an_unexpected_error_tells_nothing_of_our_insides(treasury: Treasury) -> None:
    def break_down() -> tuple[int, str]:
        raise RuntimeError("the password is hunter2")

    treasury.market.head = break_down
    with make_client(make_application(treasury), raise_server_exceptions=False) as client:
        response = client.get("/v1/health/ready")

    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert "hunter2" not in response.text


def test_a_run_that_breaks_our_own_code_halts_trading(client: TestClient, treasury: Treasury) -> None:
    def break_down(block_number: int | None = None) -> None:
        raise ZeroDivisionError("a bug")

    treasury.market.snapshot = break_down
    run_id = start(client)
    while "stopped by" not in client.get(f"/v1/runs/{run_id}").json()["summary"]:
        threading.Event().wait(0.02)

    assert treasury.dependencies.trading_state.read() is TradingState.HALTED
    assert treasury.runs.find(run_id).status is RunStatus.RUNNING


def test_with_a_token_every_route_but_health_asks_for_it(guarded: TestClient) -> None:
    paths = [route for route in guarded.app.openapi()["paths"] if not route.startswith("/v1/health/")]

    statuses = {
        path: guarded.request(method, path).status_code
        for path in [*paths, "/v1/openapi.json", "/anything"]
        for method in ("GET", "POST")
    }

    assert len(paths) > 12
    assert set(statuses.values()) == {401}
    assert guarded.get("/v1/health/live").json() == {"status": "live"}


@pytest.mark.parametrize("header", ["", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer "])
def test_anything_but_the_token_itself_is_refused(guarded: TestClient, header: str) -> None:
    response = guarded.get("/v1/runs", headers={"Authorization": header})

    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert TOKEN not in response.text


def test_the_token_opens_every_host_name(guarded: TestClient) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "Host": "treasury.example"}

    assert guarded.get("/v1/runs", headers=headers).status_code == 200


@pytest.mark.parametrize("host", ["localhost:8420", "127.0.0.1", "[::1]:8420"])
def test_without_a_token_the_loopback_names_are_served(client: TestClient, host: str) -> None:
    assert client.get("/v1/runs", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "[", "localhost.evil.example:8420"])
def test_a_name_that_was_pointed_at_the_loopback_interface_is_refused(client: TestClient, host: str) -> None:
    assert client.get("/v1/runs", headers={"Host": host}).status_code == 403


def test_a_request_of_a_foreign_web_page_is_refused(client: TestClient) -> None:
    response = client.post("/v1/runs", json={}, headers={"Origin": "https://evil.example"})

    assert response.status_code == 403
    assert client.get("/v1/runs").json() == []


def test_a_request_of_a_page_of_the_same_origin_is_served(client: TestClient) -> None:
    assert client.get("/v1/runs", headers={"Origin": LOOPBACK}).status_code == 200


def test_a_body_above_the_limit_is_refused_with_and_without_a_declared_length(client: TestClient) -> None:
    body = json.dumps({"question": "x" * MAX_BODY_BYTES}).encode()
    headers = {"Content-Type": "application/json"}

    declared = client.post("/v1/chat", content=body, headers=headers)
    in_pieces = client.post("/v1/chat", content=iter([body[:1000], body[1000:]]), headers=headers)

    assert [(each.status_code, each.json()["code"]) for each in (declared, in_pieces)] == [(413, "too_large")] * 2


def wait_for(gate: threading.Event) -> None:
    gate.wait(10)


def test_a_full_queue_refuses_more_work_and_takes_it_again_later() -> None:
    gate, pool = threading.Event(), BoundedPool(workers=1, limit=2, name="runs")
    pool.submit(lambda: wait_for(gate))
    pool.submit(lambda: None)

    with pytest.raises(Unavailable, match="2 runs are under way"):
        pool.submit(lambda: None)
    gate.set()
    pool.close()


def test_a_job_that_cannot_be_prepared_takes_no_room() -> None:
    def refuse() -> None:
        raise InvariantBroken("refused")

    pool = BoundedPool(workers=1, limit=1, name="runs")
    for _ in range(MAX_WAITING_RUNS):
        with pytest.raises(InvariantBroken):
            pool.submit(lambda: None, prepare=refuse)
    done = threading.Event()
    pool.submit(done.set)

    assert done.wait(10)
    pool.close()


def test_a_busy_port_stops_the_start_before_anything_is_opened(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(ConfigurationInvalid, match=f"port {port} on 127.0.0.1 cannot be used.*--port"):
            serve(Settings(home=tmp_path / "absent"), host="127.0.0.1", port=port)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "treasury.example"])
def test_a_host_that_others_reach_needs_a_token(tmp_path: Path, host: str) -> None:
    with pytest.raises(ConfigurationInvalid, match="set AUTOFI_API_TOKEN"):
        serve(Settings(home=tmp_path), host=host, port=8420)


def test_the_document_names_every_route_and_no_other(client: TestClient) -> None:
    documented = set(re.findall(r"^\| `([A-Z]+ /v1/[^`]+)` \|", (ROOT / "docs/api.md").read_text(), re.MULTILINE))
    served = {
        f"{method.upper()} {path}" for path, methods in client.app.openapi()["paths"].items() for method in methods
    }

    assert documented == served
