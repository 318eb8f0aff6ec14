"""The offline policy: a deterministic stand-in for a model, so that everything runs without a key.

It sees what a model sees, the prompt's facts, answers with the same tool calls, and says its name in every reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from domain.errors import InvariantBroken
from domain.ports import AgentModel, Message, ModelReply, ToolOffer, ToolRequest
from domain.run import AgentName
from graph.offline_chat import answer_question

NAME: Final = "offline-policy-1"
_FACT_LINE: Final = re.compile(r"^([a-z_]+): (.+)$", re.MULTILINE)

Facts = Mapping[str, Any]
ToolAnswer = tuple[str, dict[str, object]]


class OfflineModel(AgentModel):
    """Same prompt, same answer; costs nothing."""

    @property
    def name(self) -> str:
        return NAME

    def complete(self, agent: AgentName, messages: Sequence[Message], tools: Sequence[ToolOffer]) -> ModelReply:
        offered = frozenset(tool.name for tool in tools)
        tool, arguments = self._decide(agent, messages, offered)
        if tool not in offered:
            raise InvariantBroken(f"offline policy for agent {agent} needs tool {tool}, offered are {sorted(offered)}")
        request = ToolRequest(call_id=f"call{len(messages)}", tool=tool, arguments=json.dumps(arguments))
        return ModelReply(model=NAME, text="", tool_requests=(request,), input_tokens=0, output_tokens=0)

    def _decide(self, agent: AgentName, messages: Sequence[Message], offered: frozenset[str]) -> ToolAnswer:
        if agent is AgentName.ROUTER:
            return answer_question(messages, offered)
        facts = read_facts(messages[0].content)
        return POLICIES["mitigation" if "choose_mitigation" in offered else agent.value](facts)


def read_facts(prompt: str) -> Facts:
    """The prompt's `name: JSON` lines."""
    facts: dict[str, Any] = {}
    for name, text in _FACT_LINE.findall(prompt):
        try:
            facts[name] = json.loads(text)
        except ValueError:
            continue  # a sentence with a colon is no fact
    return facts


def choose_best(facts: Facts) -> ToolAnswer:
    """The highest net gain that the policy would let pass; else hold."""
    policy, horizon = facts["policy"], facts["policy"]["horizon_days"]
    worthy = [c for c in facts["candidates"] if c["kind"] != "hold" and _is_worth(c, policy)]
    if not worthy:
        reason = f"no candidate nets {policy['min_net_gain_usd']} USD over {horizon} days in time"
        return "choose_candidate", _choice("hold", reason, excluded_strategies=[])
    best = max(worthy, key=lambda candidate: (candidate["net_usd"], candidate["id"]))
    reason = (
        f"{best['id']} nets {best['net_usd']} USD over {horizon} days at the forecast's lower bound, the most of "
        f"{len(worthy)} worthwhile candidates, and breaks even after {best['break_even_days']} days"
    )
    return "choose_candidate", _choice(best["id"], reason, excluded_strategies=[])


def _is_worth(candidate: Facts, policy: Facts) -> bool:
    days, limit = candidate["break_even_days"], policy["max_break_even_days"]
    in_time = days is not None and (limit == "unlimited" or days <= limit)
    return candidate["net_usd"] is not None and candidate["net_usd"] >= policy["min_net_gain_usd"] and in_time


def judge_choice(facts: Facts) -> ToolAnswer:
    """Accept what breaches no limit; else the safest-by-limit offered candidate with the most gain; else veto."""
    candidates, chosen = facts["candidates"], facts["chosen"]
    breaches = candidates[chosen]["breaches"]
    if not breaches:
        risk = candidates[chosen]
        reason = f"{chosen} breaches no limit: 99 % CVaR {risk['cvar_99']}, worst stress loss {risk['stress']}"
        return "judge", _choice(chosen, reason, action="accept")
    listed = ", ".join(breaches)
    safer = [
        name
        for name, risk in candidates.items()
        if name not in {chosen, "current"} and _is_safer(risk, candidates[chosen])
    ]
    if not safer:
        reason = f"{chosen} breaches or cannot prove {listed}, and no safer candidate is offered"
        return "judge", _choice(chosen, reason, action="veto")
    best = max(safer, key=lambda name: (candidates[name]["net_usd"], name))
    return "judge", _choice(best, f"{chosen} breaches or cannot prove {listed}; {best} does not", action="safer")


def _is_safer(risk: Facts, reference: Facts) -> bool:
    measures = [(risk[name], reference[name]) for name in ("cvar_99", "stress")]
    known = all(value is not None and limit is not None for value, limit in measures)
    return known and not risk["breaches"] and all(value <= limit for value, limit in measures)


def choose_way_out(facts: Facts) -> ToolAnswer:
    """The policy's default where it is offered; else the least stress loss."""
    candidates, default = facts["candidates"], facts["default"]
    subjects = ", ".join(f"{event['kind']} of {event['subject']}" for event in facts["events"])
    risk = candidates[default]
    reason = f"{default} is the policy's default for {subjects}; it leaves a worst stress loss of {risk['stress']}"
    return "choose_mitigation", _choice(default, reason)


def confirm_plan(facts: Facts) -> ToolAnswer:
    """Proceed while the gain still pays for the costs at fresh quotes."""
    economics, policy = facts["economics"], facts["policy"]
    is_worth = _is_worth(economics, policy)
    relation = "reaches" if is_worth else "misses"
    reason = (
        f"net gain of {economics['net_usd']} USD at fresh quotes {relation} {policy['min_net_gain_usd']} USD, "
        f"break-even after {economics['break_even_days']} days"
    )
    action = "proceed" if is_worth else "hold"
    return "confirm_plan", {"action": action, "reason": f"offline policy: {reason}."}


def _choice(candidate: str, reason: str, **more: object) -> dict[str, object]:
    return {"candidate_id": candidate, **more, "reason": f"offline policy: {reason}."}


POLICIES: Final[Mapping[str, Callable[[Facts], ToolAnswer]]] = {
    AgentName.OPTIMIZER.value: choose_best,
    AgentName.RISK.value: judge_choice,
    "mitigation": choose_way_out,
    AgentName.REBALANCER.value: confirm_plan,
}
