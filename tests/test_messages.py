"""Sentences and tables for people: what they say, and what they keep to themselves."""

from __future__ import annotations

import stat

import pytest
from pydantic import ValidationError

from app.api.schemas import HaltTrading
from app.paper import PaperChain
from app.paper_node import LOG_FILE, PaperNode
from app.render import model_complaint, print_verdict
from app.settings import Settings
from domain.errors import ConfigurationInvalid
from domain.run import AgentDecision, AgentName, ModelCall
from domain.verdict import TradingState
from guards import check
from guards.finding import FACT
from guards.render import describe_batch, verdict_sentence
from tests.builders_evidence import make_evidence, make_limits, make_plan
from tests.fakes import Treasury
from tests.processes import autofi
from tests.test_api import make_application, make_client
from tests.test_database import make_older

ASKING = make_limits(approval={"min_value_without_approval_usd": 0})


def test_a_denied_fact_is_told_without_the_word_for_its_unit():
    verdict = check(make_evidence(trading_state=TradingState.HALTED))

    sentence = verdict_sentence(verdict)

    assert FACT in {denial.unit for denial in verdict.denials}
    assert f" {FACT}" not in sentence


def test_the_row_that_asks_for_a_human_does_not_say_pass(capsys):
    print_verdict(check(make_evidence(policy=ASKING)))

    (row,) = [line for line in capsys.readouterr().out.splitlines() if "approval_required" in line]
    assert "ASK" in row
    assert "PASS" not in row


def test_a_fee_cap_too_small_for_eight_places_is_told_in_full():
    plan = make_plan(fee_cap_wei=1_000_000)
    evidence = make_evidence()

    assert "at most 1000000 wei (0.000000000001 ETH) of gas" in describe_batch(plan, catalog=evidence.catalog)


def test_a_node_without_a_word_is_named_with_what_to_mend(monkeypatch, tmp_path):
    silent = tmp_path / "anvil"
    silent.write_text("#!/bin/sh\nexit 0\n")
    silent.chmod(silent.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("ANVIL", str(silent))
    (tmp_path / LOG_FILE).write_text("words of an earlier start\n")

    with pytest.raises(ConfigurationInvalid) as refused:
        PaperNode(tmp_path).start(lambda: (), report=lambda _: None)

    assert f"{silent} ended without a word" in str(refused.value)
    assert "correct $ANVIL or PATH" in str(refused.value)
    assert "earlier" not in str(refused.value)


def test_a_damaged_chain_never_asks_to_remove_the_records(tmp_path):
    folder = tmp_path / "paper"
    folder.mkdir()
    (folder / "manifest.json").write_text("{}")

    with pytest.raises(ConfigurationInvalid) as refused:
        PaperChain.of(tmp_path)

    assert "manifest.json is damaged" in str(refused.value)
    assert "`autofi audit export FILE`" in str(refused.value)
    assert "set AUTOFI_HOME to a new directory" in str(refused.value)
    assert "remove" not in str(refused.value)


def make_call(outcome: str, *, model: str = "gpt-x") -> ModelCall:
    digest = "a" * 64
    return ModelCall(
        agent=AgentName.OPTIMIZER,
        model=model,
        template_digest=digest,
        prompt_digest=digest,
        reply_digest=digest,
        input_tokens=1,
        output_tokens=0,
        latency_seconds=0.1,
        outcome=outcome,
    )


def complain(outcome: str, *, is_by_rule: bool, model: str = "gpt-x") -> str | None:
    settings = Settings(model="gpt-x", openai_base_url="http://me:password@127.0.0.1:9/v1")
    decision = AgentDecision(agent=AgentName.OPTIMIZER, choice="hold", reason="", model="rule", is_by_rule=is_by_rule)
    return model_complaint(settings, [make_call(outcome, model=model)], [decision], consequence="the run held")


@pytest.mark.parametrize("outcome", ["timeout", "unavailable"])
def test_a_silent_model_is_named_with_its_endpoint_its_limit_and_what_to_check(outcome):
    assert complain(outcome, is_by_rule=True) == (
        "model gpt-x at http://127.0.0.1:9/v1 did not answer (limit 30 s); the run held by rule; "
        "check OPENAI_BASE_URL and OPENAI_API_KEY; `autofi doctor`"
    )


def test_a_model_that_had_its_say_is_not_complained_of():
    assert complain("ok", is_by_rule=False) is None
    assert complain("malformed", is_by_rule=True) is None
    assert complain("timeout", is_by_rule=False) is None


def test_a_model_that_is_no_longer_set_is_not_complained_of():
    assert complain("timeout", is_by_rule=True, model="gpt-w") is None


@pytest.mark.parametrize(("reason", "length"), [("", 0), ("   ", 0), ("x" * 201, 201), ("x" * 50_000, 50_000)])
@pytest.mark.parametrize("command", ["halt", "resume"])
def test_a_reason_has_1_to_200_characters(tmp_path, command, reason, length):
    answer = autofi(command, "--reason", reason, AUTOFI_HOME=tmp_path)

    assert (answer.exit_code, answer.stdout) == (2, "")
    assert answer.stderr == (f"error: --reason has {length} characters, limits 1 and 200; say why in a sentence\n")


def test_a_reason_of_200_characters_halts_and_is_said_as_it_was_given(tmp_path):
    make_older(tmp_path, with_rows=False)
    autofi("init", AUTOFI_HOME=tmp_path, AUTOFI_MODE="shadow")

    answer = autofi("halt", "--reason", "[red]" + "x" * 195, AUTOFI_HOME=tmp_path)

    assert answer.exit_code == 0
    assert "[red]x" in answer.stdout


@pytest.mark.parametrize("reason", ["", "   ", "x" * 201])
def test_the_api_has_the_same_limits_of_a_reason(reason):
    with pytest.raises(ValidationError):
        HaltTrading(reason=reason, by="alice")

    assert HaltTrading(reason="x" * 200, by="alice").reason == "x" * 200


@pytest.fixture
def client(tmp_path):
    treasury = Treasury(tmp_path)
    with make_client(make_application(treasury)) as client:
        yield client
    treasury.close()


@pytest.mark.parametrize(
    ("body", "media_type"), [("{", "application/json"), ("workflow=optimize", "text/plain"), ('{"a": 1}', "text/plain")]
)
def test_a_body_that_is_no_json_is_told_so(client, body, media_type):
    response = client.post("/v1/runs", content=body, headers={"Content-Type": media_type})

    assert response.status_code == 422
    assert response.json()["detail"].startswith("the body is not JSON; ")


def test_a_wrong_field_is_no_matter_of_json(client):
    response = client.post("/v1/runs", json={"workflow": "dance"})

    assert response.json()["detail"] == "1 fields are invalid"


def test_the_root_names_where_the_api_is(client):
    response = client.get("/")

    assert response.status_code == 404
    assert "the API is under /v1" in response.json()["detail"]
