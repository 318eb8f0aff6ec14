"""The bounded conversation with one agent: a read or so, one re-ask, then the model counts as down.

A refused reply is never quoted back: the model is told which rule it broke, and nothing that it wrote steers us.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic

from domain.errors import ModelUnavailable
from domain.ports import AgentModel, Message, ModelReply, ToolOffer, ToolRequest
from domain.run import AgentName
from graph.budget import ModelBudget, estimate_tokens
from graph.recorder import Recorder
from graph.tool_arguments import ToolRefusal
from graph.toolbox import Answer, Toolbox, ToolResult
from prompts.load import PromptTemplate, render

MAX_READS: Final = 1
MAX_REASKS: Final = 1
MAX_SHOWN_ALLOWED: Final = 400
WIRE_BYTES_PER_REQUEST: Final = 400  # model name and options around messages and tools
WIRE_BYTES_PER_PART: Final = 80  # JSON around each message and tool
CALL_TO_ACT: Final = "Decide now: call exactly one of the offered tools."


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentTask:
    """What one agent is asked: its prompt and the facts that fill it, as JSON values of numbers, ids and enums."""

    agent: AgentName
    template: PromptTemplate
    facts: Mapping[str, object]
    question: str = CALL_TO_ACT
    max_reads: int = MAX_READS


def ask_agent(
    task: AgentTask, *, toolbox: Toolbox[Answer], model: AgentModel, budget: ModelBudget, recorder: Recorder
) -> Answer | None:
    """The agent's validated answer, or None when the model is down, over budget or unreadable twice."""
    conversation = _Conversation(task, toolbox=toolbox, model=model, budget=budget, recorder=recorder)
    for _ in range(task.max_reads + MAX_REASKS + 1):
        outcome = conversation.turn()
        if outcome is None:
            return None
        if isinstance(outcome, ToolResult) and outcome.answer is not None:
            return outcome.answer
    recorder.problem = "unreadable"
    return None


class _Conversation(Generic[Answer]):
    """Messages so far and what is left of reads and re-asks."""

    def __init__(
        self,
        task: AgentTask,
        *,
        toolbox: Toolbox[Answer],
        model: AgentModel,
        budget: ModelBudget,
        recorder: Recorder,
    ) -> None:
        self._task, self._toolbox, self._model = task, toolbox, model
        self._budget, self._recorder = budget, recorder
        self._reads, self._reasks = task.max_reads, MAX_REASKS
        facts = {name: compact_json(value) for name, value in task.facts.items()}
        self._messages = [
            Message(role="system", content=render(task.template, facts)),
            Message(role="user", content=task.question),
        ]

    def turn(self) -> ToolResult[Answer] | ToolRefusal | None:
        """One model call with its consequence; None ends the conversation without an answer."""
        reply, outcome = self._call(self._toolbox.offers(finals_only=self._reads == 0))
        if reply is None:
            return None
        if isinstance(outcome, ToolResult) and outcome.answer is None:
            self._reads -= 1
            self._show(reply, outcome)
        if isinstance(outcome, ToolRefusal):
            if self._reasks == 0:
                self._recorder.problem = outcome.code
                return None
            self._reasks -= 1
            self._messages.append(Message(role="user", content=_correction(outcome)))
        return outcome

    def _call(self, offers: Sequence[ToolOffer]) -> tuple[ModelReply | None, ToolResult[Answer] | ToolRefusal | None]:
        estimate = estimate_tokens(wire_size(self._messages, offers))
        if not self._budget.admits(estimate):
            self._recorder.problem = "over_budget"
            return None, None
        call = self._recorder.open_call(self._task.agent, self._task.template, self._messages, offers)
        try:
            reply = self._model.complete(self._task.agent, self._messages, offers)
        except ModelUnavailable as error:
            self._budget.charge(estimate)
            self._recorder.close_failed(call, model=self._model.name, input_tokens=estimate, error=error)
            return None, None
        outcome = self._judge(reply)
        # The larger count, so that an endpoint that reports too little cannot stretch the budget.
        tokens = max(estimate, reply.input_tokens)
        self._budget.charge(tokens)
        self._recorder.close(call, reply, input_tokens=tokens, is_ok=isinstance(outcome, ToolResult))
        if isinstance(outcome, ToolResult):
            self._recorder.add_tool(self._task.agent, outcome)
        return reply, outcome

    def _judge(self, reply: ModelReply) -> ToolResult[Answer] | ToolRefusal:
        if len(reply.tool_requests) != 1:
            return ToolRefusal("one_tool_call", "tool", "exactly one tool call")
        return self._toolbox.run(reply.tool_requests[0], finals_only=self._reads == 0)

    def _show(self, reply: ModelReply, result: ToolResult[Answer]) -> None:
        """Only what was validated goes back: our canonical arguments and our result, not the model's prose."""
        asked = reply.tool_requests[0]
        request = ToolRequest(call_id=asked.call_id, tool=asked.tool, arguments=result.arguments.decode())
        self._messages += [
            Message(role="assistant", content="", tool_requests=(request,)),
            Message(role="tool", content=result.content.decode(), call_id=asked.call_id),
        ]


def _correction(refusal: ToolRefusal) -> str:
    allowed = refusal.allowed[:MAX_SHOWN_ALLOWED]
    return f"Your answer was refused: {refusal.code} in {refusal.field}; allowed: {allowed}. {CALL_TO_ACT}"


def compact_json(value: object) -> str:
    """One line without spaces, in the order given: an agent reads its facts in the order that we chose."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def wire_size(messages: Sequence[Message], offers: Sequence[ToolOffer]) -> int:
    """At least the bytes that a request with these messages and tools takes, in the chat-completions format."""
    parts = [*(message.model_dump(mode="json") for message in messages), *(o.model_dump(mode="json") for o in offers)]
    return WIRE_BYTES_PER_REQUEST + WIRE_BYTES_PER_PART * len(parts) + len(json.dumps(parts))
