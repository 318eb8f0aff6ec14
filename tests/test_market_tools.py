"""What the chat and the risk agent are shown of markets, scores and shocks, and what the offline policy says of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from domain.policy import Policy
from graph.agent_tools import risk_toolbox
from graph.budget import MAX_RUN_INPUT_TOKENS, estimate_tokens
from graph.chat_tools import chat_toolbox
from graph.market_tools import market_reads
from graph.offline_market import MARKET_SENTENCES
from graph.toolbox import RiskClass, ToolResult
from tests.builders import make_policy
from tests.builders_shocks import make_facts
from tests.fakes import Treasury
from tests.fakes_agents import make_candidate, make_hold, make_report, request
from tools.shocks.stress_replay import ShockLoss

NAMES = ("market_state", "protocol_scores", "historical_replays", "reverse_stress")


@pytest.fixture
def treasury(tmp_path: Path) -> Iterator[Treasury]:
    opened = Treasury(tmp_path)
    opened.reopen(risk_facts=make_facts())
    yield opened
    opened.close()


def read(treasury: Treasury, tool: str) -> Any:
    result = chat_toolbox(treasury.dependencies, ()).run(request(tool, raw="{}"))
    assert isinstance(result, ToolResult)
    return json.loads(result.content)


def ask(treasury: Treasury, question: str) -> str:
    return treasury.conductor.ask(treasury.request(), question).text


def test_reads_have_a_risk_class_and_none_of_them_ends_a_task(treasury: Treasury) -> None:
    classes = {spec.name: spec.risk_class for spec in market_reads(treasury.dependencies)}

    assert classes == {
        "market_state": RiskClass.READ,
        "protocol_scores": RiskClass.READ,
        "historical_replays": RiskClass.SIMULATE,
        "reverse_stress": RiskClass.SIMULATE,
    }


def test_market_state_shows_every_strategy(treasury: Treasury) -> None:
    shown = read(treasury, "market_state")

    assert set(shown["strategies"]) == {strategy.id for strategy in treasury.dependencies.catalog.strategies}
    assert shown["strategies"]["aave-dai"]["pool"] == "free"
    assert shown["not_shown"] == 0


def test_protocol_scores_show_bounds_where_too_little_is_known(treasury: Treasury) -> None:
    shown = read(treasury, "protocol_scores")["protocols"]["limited-vault"]

    assert shown["lower"] < shown["upper"]
    assert any("nobody stated" in reason or "nobody counted" in reason for reason in shown["reasons"])


def test_replays_show_all_five_episodes(treasury: Treasury) -> None:
    shown = read(treasury, "historical_replays")

    assert len(shown) == 5
    assert all(0 < replay["loss"] <= 1 for replay in shown)


def test_reverse_stress_shows_a_fall_for_each_kind_held(treasury: Treasury) -> None:
    treasury.run()

    shown = read(treasury, "reverse_stress")

    assert shown["reserve-backed"]["trips"] == ["day_drawdown"]
    assert 0 < shown["reserve-backed"]["smallest_fall"] < 0.2


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("Which protocols do you trust?", "protocol scores of 100, worst bound first: "),
        ("Any anomalies or trends?", "strategies without a warning."),
        ("What would a crash like FTX cost?", "would have lost: crash-2020-03 "),
        ("What breaks first?", "smallest falls that trip a drawdown breaker: "),
    ],
)
def test_offline_policy_answers_in_words(treasury: Treasury, question: str, words: str) -> None:
    treasury.run()

    assert words in ask(treasury, question)


def test_offers_and_results_leave_room_for_three_reads(treasury: Treasury) -> None:
    tools = chat_toolbox(treasury.dependencies, ())
    offers = estimate_tokens(sum(len(offer.model_dump_json()) for offer in tools.offers()))
    largest = max(estimate_tokens(len(json.dumps(read(treasury, name)))) for name in NAMES)

    assert 4 * offers + 6 * largest < MAX_RUN_INPUT_TOKENS


def shown_stress(replays: dict[str, tuple[ShockLoss, ...] | None]) -> dict[str, Any]:
    policy: Policy = make_policy()
    candidates = (make_hold(), make_candidate())
    reports = {name: make_report(name, cvar_99=0.01, stress=0.1) for name in ("current", "hold", "optimal")}
    computed = {name: (lambda losses=losses: losses) for name, losses in replays.items()}
    result = risk_toolbox(candidates[1], candidates, reports, policy, computed).run(
        request("show_stress", raw='{"candidate_id": "optimal"}')
    )
    assert isinstance(result, ToolResult)
    return json.loads(result.content)


def test_risk_agent_sees_replays_beside_the_stress_set() -> None:
    loss = ShockLoss(name="ftx-2022-11", loss=0.0712345, gas=0.0, blocked_share=0.0, lines=())

    assert shown_stress({"optimal": (loss,)})["replays"] == {"ftx-2022-11": 0.0712}


def test_replay_that_cannot_be_computed_is_null_and_an_absent_one_is_left_out() -> None:
    assert shown_stress({"optimal": None})["replays"] is None
    assert "replays" not in shown_stress({})


def test_offline_policy_says_when_there_is_nothing_to_lose_or_to_break() -> None:
    nothing = {"ether": {"smallest_fall": None, "trips": []}}

    assert MARKET_SENTENCES["historical_replays"]([])[0] == "the portfolio has no value to replay."
    assert MARKET_SENTENCES["reverse_stress"](nothing)[0].startswith("no fall of any kind of token held would trip")
