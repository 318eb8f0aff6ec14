"""The offline policy's side of a chat: keywords choose one read, templates say its result."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from domain.ports import Message
from domain.run import RunStatus
from graph.offline_market import MARKET_SENTENCES

ToolAnswer = tuple[str, dict[str, object]]
PREFIX: Final = "offline policy: "
RUNS_LINE: Final = "runs: "
MAX_SHOWN_LINES: Final = 20

ACTIONS: Final[tuple[tuple[frozenset[str], str], ...]] = (
    (frozenset({"mitigate", "exit", "rescue", "protect"}), "mitigate"),
    (frozenset({"optimize", "optimise", "rebalance", "invest", "move", "start"}), "optimize"),
)
READS: Final[tuple[tuple[frozenset[str], str], ...]] = (
    (frozenset({"policy", "limit", "limits", "allowed", "cap", "rule", "rules"}), "explain_policy"),
    (frozenset({"why", "denied", "vetoed", "decision", "decisions", "search", "find"}), "search_decisions"),
    (frozenset({"replay", "replays", "crash", "crashes", "ftx", "ust", "steth"}), "historical_replays"),
    (frozenset({"break", "breaks", "trip", "trips", "survive", "reverse"}), "reverse_stress"),
    (frozenset({"score", "scores", "trust", "audits", "protocols"}), "protocol_scores"),
    (frozenset({"trend", "trends", "regime", "pegs", "anomaly", "anomalies", "warnings"}), "market_state"),
    (frozenset({"run", "runs", "history", "last", "recent"}), "list_runs"),
    (frozenset({"rate", "rates", "apr", "apy", "yield", "yields", "market", "utilization"}), "market_rates"),
    (frozenset({"portfolio", "value", "worth", "hold", "holdings", "nav", "balance", "positions"}), "portfolio_value"),
)
LAST_WORDS: Final = frozenset({"last", "latest", "newest"})
ENDINGS: Final = frozenset(status.value for status in RunStatus if status.is_final)
QUESTION_WORDS: Final = frozenset({"what", "which", "why", "how", "when", "who", "is", "are", "did", "does", "show"})
SECTION_WORDS: Final[Mapping[str, str]] = {
    "risk": "risk", "var": "risk", "cvar": "risk", "drawdown": "risk", "stress": "risk", "slippage": "slippage",
    "budget": "budgets", "budgets": "budgets", "spend": "budgets", "approval": "approval", "approve": "approval",
    "gas": "economics", "gain": "economics", "fresh": "freshness", "age": "freshness", "protocol": "protocol",
    "simulation": "simulation", "peg": "mitigation", "mitigation": "mitigation",
}  # fmt: skip


def answer_question(messages: Sequence[Message], offered: frozenset[str]) -> ToolAnswer:
    """One read that the question's words name, then its result in words; a wish to act becomes a proposal."""
    words = re.findall(r"[a-z0-9_-]+", messages[1].content.lower())
    if messages[-1].role == "tool":
        return _go_on(words, messages)
    workflow = _workflow_in(words)
    if workflow is not None:
        return "propose_run", {"workflow": workflow, "reason": f"{PREFIX}the operator asked for {workflow}."}
    named_run = next((word for word in words if word in _run_ids(messages[0].content)), None)
    if named_run is not None and "show_run" in offered:
        return "show_run", {"run_id": named_run}
    if _asks_why(words) and "list_runs" in offered:
        return "list_runs", {}
    return _read(words, messages[1].content, offered)


def _asks_why(words: Sequence[str]) -> bool:
    """Why the last run, or the last one of an ending. A question that names a code is a search."""
    is_about_ending = bool((LAST_WORDS | ENDINGS) & set(words))
    return "why" in words and is_about_ending and not any("_" in word for word in words)


def _go_on(words: Sequence[str], messages: Sequence[Message]) -> ToolAnswer:
    """After a read: one more where a reason was asked for, else the answer."""
    read = [message.tool_requests[0].tool for message in messages if message.tool_requests]
    found = [json.loads(message.content) for message in messages if message.role == "tool"]
    if not _asks_why(words) or read[0] != "list_runs":
        return _say(read[-1], found[-1])
    runs = found[0]
    if len(read) == 1:
        return "show_run", {"run_id": _newest(runs, words)["run_id"]}
    text, citations = _say_run(found[-1])
    return "answer", {"text": f"{PREFIX}{_correct(runs, words)}{text}", "citations": citations}


def _ending_in(words: Sequence[str]) -> str | None:
    return next((word for word in words if word in ENDINGS), None)


def _newest(runs: Sequence[Mapping[str, Any]], words: Sequence[str]) -> Mapping[str, Any]:
    """The newest run of the ending that the question names, else the newest of all."""
    ending = _ending_in(words)
    return next((run for run in runs if run["status"] == ending), runs[0])


def _correct(runs: Sequence[Mapping[str, Any]], words: Sequence[str]) -> str:
    """What the question takes for granted and is not so; empty when it is."""
    ending, last = _ending_in(words), runs[0]
    if ending is None or last["status"] == ending:
        return ""
    if _newest(runs, words)["status"] != ending:
        return f"none of the last {len(runs)} runs was {ending}; the last one: "
    is_about_last = bool(LAST_WORDS & set(words))
    return f"the last run, {last['run_id']}, was not {ending} but {last['status']}; before: " if is_about_last else ""


def _run_ids(prompt: str) -> list[str]:
    line = next((line for line in prompt.splitlines() if line.startswith(RUNS_LINE)), f"{RUNS_LINE}[]")
    return list(json.loads(line.removeprefix(RUNS_LINE)))


def _workflow_in(words: Sequence[str]) -> str | None:
    if not words or words[0] in QUESTION_WORDS:
        return None
    return next((workflow for keys, workflow in ACTIONS if keys & set(words)), None)


def _read(words: Sequence[str], question: str, offered: frozenset[str]) -> ToolAnswer:
    named = [tool for keys, tool in READS if keys & set(words)]
    tool = next((tool for tool in named if tool in offered), None)
    if tool is None:
        known = "no run is recorded yet" if named else "ask for portfolio, rates, policy, runs, or a reason"
        return "answer", {"text": f"{PREFIX}{known}.", "citations": []}
    if tool == "explain_policy":
        return tool, {"section": next((SECTION_WORDS[word] for word in words if word in SECTION_WORDS), "exposure")}
    if tool == "search_decisions":
        return tool, {"text": question[:200]}
    return tool, {}


def _say(tool: str, result: Any) -> ToolAnswer:
    text, citations = SENTENCES[tool](result)
    return "answer", {"text": f"{PREFIX}{text}", "citations": citations}


def _say_portfolio(result: Mapping[str, Any]) -> tuple[str, list[str]]:
    shares = ", ".join(f"{name} {share:.1%}" for name, share in result["shares"].items())
    return f"net asset value is {result['nav_usd']:,.2f} USD at block {result['block_number']}: {shares}.", []


def _say_rates(result: Mapping[str, Mapping[str, Any]]) -> tuple[str, list[str]]:
    ranked = sorted(result.items(), key=lambda item: (-item[1]["apr"], item[0]))[:MAX_SHOWN_LINES]
    return "supply APR now: " + ", ".join(f"{name} {rate['apr']:.2%}" for name, rate in ranked) + ".", []


def _say_policy(result: Mapping[str, Mapping[str, Any]]) -> tuple[str, list[str]]:
    section, limits = next(iter(result.items()))
    return f"section {section}: " + ", ".join(f"{key} = {value}" for key, value in limits.items()) + ".", []


def _say_runs(result: Sequence[Mapping[str, Any]]) -> tuple[str, list[str]]:
    if not result:
        return "no recorded run matches.", []
    lines = [f"{run['run_id']} {run['workflow']} {run['status']}, chose {run['chosen']}" for run in result]
    return f"{len(lines)} runs, newest or closest first: " + "; ".join(lines) + ".", [run["run_id"] for run in result]


def _say_run(result: Mapping[str, Any]) -> tuple[str, list[str]]:
    denials = ", ".join(
        f"{denial['code']} of {denial['subject']} ({denial['observed']} against {denial['limit']} {denial['unit']})"
        for denial in result["denials"]
    )
    choices = ", ".join(f"{decision['agent']} chose {decision['choice']}" for decision in result["decisions"])
    text = (
        f"{result['run_id']} was {result['workflow']} and ended {result['status']} at block {result['block_number']}; "
        f"decisions: {choices or 'none'}; denials: {denials or 'none'}; {result['moves']} moves, "
        f"{result['model_calls']} model calls with {result['input_tokens']} input tokens."
    )
    return text, [result["run_id"]]


SENTENCES: Final[Mapping[str, Callable[[Any], tuple[str, list[str]]]]] = {
    "portfolio_value": _say_portfolio,
    "market_rates": _say_rates,
    "explain_policy": _say_policy,
    "list_runs": _say_runs,
    "show_run": _say_run,
    "search_decisions": _say_runs,
    **MARKET_SENTENCES,
}
