"""Keeps what one agent asked and got: every model call and tool run, with the bytes in the artifact store."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from domain.digest import canonical_json
from domain.errors import ModelUnavailable
from domain.ports import ArtifactStore, Message, ModelReply, ToolOffer
from domain.run import AgentDecision, AgentName, ModelCall, ToolCall
from domain.stages import AgentTrace
from graph.toolbox import ToolResult
from prompts.load import PromptTemplate

RULE: Final = "rule"
"""Stands where a model's name would, when no model decided."""


@dataclass(frozen=True, slots=True)
class OpenCall:
    """A call on its way: stored before it leaves, so that a crash leaves the prompt behind."""

    agent: AgentName
    template_digest: str
    prompt_digest: str
    started: float


@dataclass(slots=True)
class Recorder:
    """One agent's calls in one run. The stopwatch measures latency only; it is no source of time."""

    artifacts: ArtifactStore
    stopwatch: Callable[[], float] = time.perf_counter
    model_calls: list[ModelCall] = field(default_factory=list)
    tool_calls: list[ToolCall] = field(default_factory=list)
    problem: str = ""
    """Why there is no answer, as a code."""

    def open_call(
        self, agent: AgentName, template: PromptTemplate, messages: Sequence[Message], offers: Sequence[ToolOffer]
    ) -> OpenCall:
        prompt = canonical_json({"messages": list(messages), "tools": list(offers)})
        return OpenCall(agent, template.digest, self.artifacts.put(prompt), self.stopwatch())

    def close(self, call: OpenCall, reply: ModelReply, *, input_tokens: int, is_ok: bool) -> None:
        digest = self.artifacts.put(canonical_json(reply))
        usage = (input_tokens, reply.output_tokens)
        self._add(call, reply.model, digest, usage=usage, outcome="ok" if is_ok else "malformed")

    def close_failed(self, call: OpenCall, *, model: str, input_tokens: int, error: ModelUnavailable) -> None:
        self.problem = "timeout" if isinstance(error.__cause__, TimeoutError) else "unavailable"
        digest = self.artifacts.put(canonical_json({"error": str(error)}))
        self._add(call, model, digest, usage=(input_tokens, 0), outcome=self.problem)

    def _add(self, call: OpenCall, model: str, reply_digest: str, *, usage: tuple[int, int], outcome: str) -> None:
        self.model_calls.append(
            ModelCall(
                agent=call.agent,
                model=model,
                template_digest=call.template_digest,
                prompt_digest=call.prompt_digest,
                reply_digest=reply_digest,
                input_tokens=usage[0],
                output_tokens=usage[1],
                latency_seconds=round(self.stopwatch() - call.started, 6),
                outcome=outcome,
            )
        )

    def add_tool(self, agent: AgentName, result: ToolResult[Any]) -> None:
        self.tool_calls.append(
            ToolCall(
                agent=agent,
                tool=result.spec.name,
                risk_class=result.spec.risk_class,
                arguments=result.arguments.decode(),
                result_digest=self.artifacts.put(result.content),
            )
        )

    def trace(self, decision: AgentDecision) -> AgentTrace:
        return AgentTrace(decision=decision, model_calls=tuple(self.model_calls), tool_calls=tuple(self.tool_calls))

    def trace_rule(self, agent: AgentName, *, choice: str, rule: str) -> AgentTrace:
        """The static rule's answer, with every call that led nowhere."""
        cause = f"model {self.problem}: " if self.problem else ""
        decision = AgentDecision(agent=agent, choice=choice, reason=f"{cause}{rule}", model=RULE, is_by_rule=True)
        return self.trace(decision)
