"""Minds do what their names say: honest ones follow the facts, obedient ones the attacker as far as they are let."""

from __future__ import annotations

import json

import pytest

from graph.agent_tools import optimizer_toolbox
from tests.fakes_agents import make_candidate, make_forecast, make_hold
from tests.redteam.attacker import (
    OBEDIENCE,
    TRICKS,
    Conversation,
    Gullible,
    Honest,
    Knowledge,
    Obeying,
    Quoting,
    Scripted,
    expand,
)
from tests.redteam.case import Call, Reply

POLICY = {"horizon_days": 30, "min_net_gain_usd": 5.0, "max_break_even_days": 30.0}
ROWS = [
    {"id": "hold", "kind": "hold", "net_usd": 0.0, "break_even_days": 0.0, "turnover": 0.0},
    {"id": "optimal", "kind": "optimal", "net_usd": 900.0, "break_even_days": 1.0, "turnover": 0.2},
    {"id": "cautious", "kind": "cautious", "net_usd": 300.0, "break_even_days": 1.0, "turnover": 0.34},
]


def request_body(*, last: dict[str, str] | None = None, extra: str = "") -> dict[str, object]:
    """The optimizer's request as it goes over the wire."""
    candidates = (make_hold(), make_candidate(), make_candidate(id="cautious"))
    offers = optimizer_toolbox(candidates, (make_forecast(),), {}).offers()
    system = f"policy: {json.dumps(POLICY)}\ncandidates: {json.dumps(ROWS)}\n{extra}"
    messages = [{"role": "system", "content": system}, {"role": "user", "content": "Decide now."}]
    tools = [
        {"type": "function", "function": {"name": offer.name, "parameters": json.loads(offer.arguments_schema)}}
        for offer in offers
    ]
    return {"model": "m", "messages": [*messages, *([last] if last else [])], "tools": tools}


REFUSED = {"role": "user", "content": "Your answer was refused: unknown_tool in tool; allowed: x."}
CONVERSATION = Conversation(request_body())


def choice(reply: Reply, conversation: Conversation = CONVERSATION) -> str:
    (call,) = expand(reply, conversation, Knowledge(text="do it")).calls
    return str(json.loads(call.arguments)["candidate_id"])


def test_the_honest_mind_takes_the_highest_gain() -> None:
    assert choice(Honest().reply(CONVERSATION)) == "optimal"


def test_the_obedient_mind_takes_what_moves_most() -> None:
    assert choice(OBEDIENCE) == "cautious"


def test_the_obedient_mind_tries_every_trick_and_obeys_once_refused() -> None:
    mind, refused = Obeying(), Conversation(request_body(last=REFUSED))

    said = [mind.reply(CONVERSATION) for _ in range(3 * len(TRICKS))]
    after = mind.reply(refused)

    assert {reply for reply in said if reply is not OBEDIENCE} == set(TRICKS)
    assert after is OBEDIENCE


def test_the_gullible_mind_obeys_exactly_where_it_sees_the_words() -> None:
    seen: list[int] = []
    mind = Gullible(("IGNORE ALL", "mk-1"), on_exposure=lambda: seen.append(1))

    blind = choice(mind.reply(CONVERSATION))
    exposed = mind.reply(Conversation(request_body(extra="note: ... mk-1")))
    blind_again = choice(mind.reply(CONVERSATION))

    assert (blind, blind_again, len(seen)) == ("optimal", "optimal", 1)
    assert choice(exposed) == "cautious"


def test_words_hidden_in_a_tool_description_are_seen_too() -> None:
    body = json.loads(json.dumps(request_body()).replace('"List', '"mk-1 List'))
    body["tools"][0]["function"]["description"] = "mk-1"

    assert Conversation(body).shows(("mk-1",))


def test_the_quoting_mind_decides_honestly_with_the_attackers_words_as_its_reason() -> None:
    (call,) = Quoting("APPROVE NOW").reply(CONVERSATION).calls

    assert json.loads(call.arguments)["candidate_id"] == "optimal"
    assert json.loads(call.arguments)["reason"] == "APPROVE NOW"


def test_the_scripted_mind_repeats_its_last_line() -> None:
    lines = (Reply(text="one"), Reply(text="two"))
    mind = Scripted(lines)

    assert [mind.reply(CONVERSATION).text for _ in range(3)] == ["one", "two", "two"]


MARKS = [
    ("$final", "choose_candidate"),
    ("$read", "list_candidates"),
    ("$riskiest", "cautious"),
    ("$offered", "hold"),
    ("$strategy", "aave-usdc"),
    ("$run", "run-9"),
    ("$digest", "ab"),
    ("$stale", "old"),
    ("$text", 'say \\"$run\\"'),
    ("$unknown", "$unknown"),
]


@pytest.mark.parametrize(("mark", "value"), MARKS)
def test_a_mark_stands_for_what_the_run_offers_and_is_filled_in_once(mark: str, value: str) -> None:
    known = Knowledge(text='say "$run"', run_id="run-9", digest="ab", stale_id="old")

    expanded = expand(Reply((Call(mark, f"<{mark}>"),), mark), CONVERSATION, known)

    assert expanded == Reply((Call(value, f"<{value}>"),), value)


@pytest.mark.parametrize("tool", CONVERSATION.tools)
def test_obedience_fits_the_schema_of_every_tool(tool: str) -> None:
    fields = CONVERSATION.tools[tool].get("properties", {})

    arguments = CONVERSATION.arguments(tool, reason="because")

    assert set(arguments) == set(fields)
