"""The backends behind one setting, and the offline policy's decisions on facts that it reads from prompts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.errors import ConfigurationInvalid, InvariantBroken
from domain.ports import Message, ToolOffer
from domain.run import AgentName, RunRecord, RunStatus, Workflow
from domain.verdict import Denial, Verdict
from graph.agent import compact_json
from graph.model_offline import NAME, OfflineModel, read_facts
from graph.models import make_model
from graph.nodes.router import DOWN, router
from graph.state import State
from prompts.load import load, render
from tests.agent_run import AgentRun, make_request
from tests.fakes_agents import ScriptedModel, reply, request

POLICY = {"horizon_days": 30, "min_net_gain_usd": 5.0, "max_break_even_days": 30.0}
DIGEST = "0" * 64


def decide(agent: AgentName, prompt: str, facts: Mapping[str, object], tool: str) -> dict[str, Any]:
    """The offline policy's arguments for one final tool."""
    text = render(load(prompt), {name: compact_json(value) for name, value in facts.items()})
    offer = ToolOffer(name=tool, description="", arguments_schema="{}")
    answer = OfflineModel().complete(agent, [Message(role="system", content=text)], [offer])
    arguments: dict[str, Any] = json.loads(answer.tool_requests[0].arguments)
    return arguments


def candidate(name: str, net_usd: float, days: float | None = 1.0) -> dict[str, object]:
    return {"id": name, "kind": name, "net_usd": net_usd, "break_even_days": days}


def choose(*candidates: dict[str, object], **policy: object) -> str:
    facts = {"portfolio": {}, "strategies": {}, "policy": {**POLICY, **policy}, "candidates": candidates}
    chosen: str = decide(AgentName.OPTIMIZER, "optimizer", facts, "choose_candidate")["candidate_id"]
    return chosen


def judge(chosen: Mapping[str, object], other: Mapping[str, object]) -> tuple[str, str]:
    facts = {"chosen": "optimal", "limits": {}, "candidates": {"current": {}, "optimal": chosen, "cautious": other}}
    arguments = decide(AgentName.RISK, "risk", facts, "judge")
    return arguments["action"], arguments["candidate_id"]


def measures(*breaches: str, cvar_99: float | None = 0.02, stress: float = 0.2) -> dict[str, object]:
    return {"net_usd": 500.0, "cvar_99": cvar_99, "stress": stress, "breaches": list(breaches)}


def test_offline_is_the_deterministic_policy() -> None:
    assert make_model("offline").name == NAME


def test_hosted_model_without_a_key_is_refused_with_the_fix() -> None:
    with pytest.raises(ConfigurationInvalid, match="OPENAI_API_KEY"):
        make_model("some-model")


def test_local_endpoint_needs_no_key() -> None:
    assert make_model("some-model", base_url="http://127.0.0.1:9/v1").name == "some-model"


def test_key_is_not_in_the_representation() -> None:
    assert "sk-secret" not in repr(make_model("some-model", api_key="sk-secret"))


def test_same_prompt_gives_the_same_answer() -> None:
    prompt = [
        Message(role="system", content='economics: {"net_usd":1,"break_even_days":1}\npolicy: ' + json.dumps(POLICY))
    ]
    offers = [ToolOffer(name="confirm_plan", description="", arguments_schema="{}")]

    answers = [OfflineModel().complete(AgentName.REBALANCER, prompt, offers) for _ in range(2)]

    assert answers[0] == answers[1]


def test_tool_that_the_policy_needs_and_nobody_offered_is_a_broken_invariant() -> None:
    facts = {"economics": candidate("optimal", 9.0), "policy": POLICY, "moves": []}

    with pytest.raises(InvariantBroken, match="confirm_plan"):
        decide(AgentName.REBALANCER, "rebalancer", facts, "other_tool")


def test_facts_are_the_prompt_s_json_lines() -> None:
    assert read_facts('You may: choose.\nlimits: {"a":1}\nnote: no json\nchosen: "x"') == {
        "limits": {"a": 1},
        "chosen": "x",
    }


@pytest.mark.parametrize(
    ("candidates", "expected"),
    [
        ([candidate("hold", 0.0), candidate("optimal", 9.0), candidate("cautious", 7.0)], "optimal"),
        ([candidate("hold", 0.0), candidate("optimal", 9.0, 30.1), candidate("cautious", 7.0)], "cautious"),
        ([candidate("hold", 0.0), candidate("optimal", 9.0, None)], "hold"),
        ([candidate("hold", 0.0), candidate("optimal", 5.0)], "optimal"),
        ([candidate("hold", 0.0), candidate("optimal", 4.99)], "hold"),
    ],
)
def test_offline_optimizer_takes_the_most_net_gain_that_the_policy_passes(
    candidates: list[dict[str, object]], expected: str
) -> None:
    assert choose(*candidates) == expected


def test_offline_optimizer_reads_unlimited_as_no_limit() -> None:
    assert choose(candidate("optimal", 9.0, 5_000.0), max_break_even_days="unlimited") == "optimal"


@pytest.mark.parametrize(
    ("chosen", "other", "expected"),
    [
        (measures(), measures(), ("accept", "optimal")),
        (measures("stress"), measures(), ("safer", "cautious")),
        (measures("stress"), measures(stress=0.21), ("veto", "optimal")),
        (measures("stress"), measures(cvar_99=None), ("veto", "optimal")),
        (measures("stress"), measures("drawdown"), ("veto", "optimal")),
    ],
)
def test_offline_risk_accepts_what_breaches_nothing_else_takes_a_safer_one_else_vetoes(
    chosen: dict[str, object], other: dict[str, object], expected: tuple[str, str]
) -> None:
    assert judge(chosen, other) == expected


@pytest.mark.parametrize(("net_usd", "action"), [(5.0, "proceed"), (4.99, "hold")])
def test_offline_rebalancer_holds_when_fresh_costs_eat_the_gain(net_usd: float, action: str) -> None:
    facts = {"economics": candidate("optimal", net_usd), "policy": POLICY, "moves": []}

    assert decide(AgentName.REBALANCER, "rebalancer", facts, "confirm_plan")["action"] == action


def test_every_offline_reason_names_itself() -> None:
    facts = {"economics": candidate("optimal", 9.0), "policy": POLICY, "moves": []}

    assert decide(AgentName.REBALANCER, "rebalancer", facts, "confirm_plan")["reason"].startswith("offline policy:")


def make_record(run_id: str = "run-7", *denials: Denial) -> RunRecord:
    verdict = Verdict(
        batch_digest=DIGEST, policy_digest=DIGEST, is_exit=False, findings=(), denials=denials, needs_approval=False
    )
    return RunRecord(
        request=make_request(run_id),
        status=RunStatus.DENIED,
        summary="denied",
        mode="paper",
        code_version="test",
        policy_digest=DIGEST,
        catalog_digest=DIGEST,
        block_number=100,
        chosen="optimal",
        verdict=verdict,
        finished_at=datetime(2026, 3, 1, tzinfo=UTC),
    )


PRICE_STALE = Denial(code="price_stale", subject="usdc", limit="600", observed="900", unit="seconds")


def ask(question: str, run: AgentRun | None = None) -> State:
    run = run or AgentRun(past=[make_record("run-7", PRICE_STALE)])
    return router(State(request=run.state["request"], question=question), run.dependencies)


@pytest.mark.parametrize(
    ("question", "phrase"),
    [
        ("What is my portfolio worth?", "net asset value is 970,000.00 USD at block 100"),
        ("Which rates does the market pay?", "aave-wbtc 5.00%"),
        ("What are the risk limits?", "max_cvar_99_share"),
        ("Show the recent runs", "run-7 optimize denied"),
        ("Tell me about run-7", "price_stale of usdc (900 against 600 seconds)"),
        ("Why was price_stale denied?", "run-7 optimize denied"),
        ("Hello", "ask for portfolio"),
    ],
)
def test_chat_answers_from_read_only_tools(question: str, phrase: str) -> None:
    answer = ask(question)["answer"]

    assert phrase in answer.text
    assert answer.text.startswith("offline policy: ")
    assert answer.proposed_workflow is None


EXECUTED = make_record("run-8").model_copy(update={"status": RunStatus.EXECUTED})
DENIED_AGAIN = make_record("run-9", PRICE_STALE.model_copy(update={"subject": "weth"}))


@pytest.mark.parametrize(
    ("past", "phrase", "run_id"),
    [
        ([EXECUTED, DENIED_AGAIN], "run-9 was optimize and ended denied", "run-9"),
        ([make_record("run-7", PRICE_STALE), DENIED_AGAIN], "price_stale of weth (900 against 600 seconds)", "run-9"),
        ([DENIED_AGAIN, EXECUTED], "the last run, run-8, was not denied but executed; before: run-9 was", "run-9"),
        ([DENIED_AGAIN, EXECUTED], "price_stale of weth (900 against 600 seconds)", "run-9"),
        (
            [EXECUTED],
            "none of the last 1 runs was denied; the last one: run-8 was optimize and ended executed",
            "run-8",
        ),
    ],
)
def test_why_the_last_run_was_denied_is_answered_with_code_observed_and_limit(
    past: list[RunRecord], phrase: str, run_id: str
) -> None:
    answer = ask("Why was the last run denied?", AgentRun(past=past))["answer"]

    assert phrase in answer.text
    assert answer.citations == (run_id,)


@pytest.mark.parametrize(
    ("question", "opening"),
    [
        ("Why did the last run end like that?", "run-8 was optimize and ended executed"),
        ("Why denied?", "run-9 was optimize and ended denied"),
    ],
)
def test_why_shows_the_newest_run_that_the_question_means(question: str, opening: str) -> None:
    answer = ask(question, AgentRun(past=[DENIED_AGAIN, EXECUTED]))["answer"]

    assert answer.text.startswith(f"offline policy: {opening}")


def test_why_before_the_first_run_says_that_there_is_none() -> None:
    assert "no run is recorded yet" in ask("Why was the last run denied?", AgentRun())["answer"].text


def test_answer_about_a_run_cites_it() -> None:
    assert ask("Tell me about run-7")["answer"].citations == ("run-7",)


def test_history_is_not_offered_before_the_first_run() -> None:
    assert "no run is recorded yet" in ask("Show the recent runs", AgentRun())["answer"].text


@pytest.mark.parametrize(
    ("wish", "workflow"),
    [("Please rebalance now", Workflow.OPTIMIZE), ("exit the broken position", Workflow.MITIGATE)],
)
def test_wish_to_act_becomes_a_proposal_and_nothing_else(wish: str, workflow: Workflow) -> None:
    answer = ask(wish)["answer"]

    assert answer.proposed_workflow is workflow
    assert answer.trace is not None
    assert answer.trace.tool_calls[-1].risk_class == "propose"


def test_chat_says_so_when_the_model_is_down() -> None:
    bad = reply(request("transfer", {"to": "me"}))

    answer = ask("move all", AgentRun(model=ScriptedModel(bad, bad)))["answer"]

    assert answer.text == DOWN
    assert answer.trace is not None
    assert answer.trace.decision.is_by_rule


def test_chat_says_so_when_the_chain_cannot_be_read() -> None:
    run = AgentRun()
    run.market.is_dry = True

    assert ask("What is my portfolio worth?", run)["answer"].text.startswith("That cannot be read now")


def test_citation_of_an_unknown_run_is_refused() -> None:
    invented = reply(request("answer", {"text": "see run-9", "citations": ["run-9"]}))
    honest = reply(request("answer", {"text": "see run-7", "citations": ["run-7"]}))
    run = AgentRun(model=ScriptedModel(invented, honest), past=[make_record()])

    assert ask("what happened?", run)["answer"].citations == ("run-7",)
