"""Every tool a model may be offered is a spec with a risk class; there is no class for acting.

A toolbox serves one task of one agent: its reads, and the final tools with which the agent answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar

from domain.digest import canonical_json
from domain.errors import InvariantBroken
from domain.ports import ToolOffer, ToolRequest
from graph.tool_arguments import Arguments, Choices, ToolRefusal, offered_schema, parse_arguments

MAX_RESULT_BYTES: Final = 6_000

Input = TypeVar("Input", bound=Arguments)
Answer = TypeVar("Answer", bound=Arguments)


class RiskClass(StrEnum):
    """What a tool can do at worst."""

    READ = "read"  # shows what is known
    SIMULATE = "simulate"  # computes what would be
    PROPOSE = "propose"  # ends the task with a choice that deterministic code and guards judge


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec(Generic[Input]):
    """One tool. `run` gets validated arguments and returns a JSON value, or why the request does not count."""

    name: str
    description: str
    risk_class: RiskClass
    arguments: type[Input]
    run: Callable[[Input], object]
    choices: Choices = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.risk_class, RiskClass):
            raise InvariantBroken(f"tool {self.name} must have a risk class of {[*RiskClass]}, got {self.risk_class!r}")
        if unknown := set(self.choices) - set(self.arguments.model_fields):
            raise InvariantBroken(f"tool {self.name} offers choices for unknown fields {sorted(unknown)}")

    @property
    def is_final(self) -> bool:
        return self.risk_class is RiskClass.PROPOSE

    def offer(self) -> ToolOffer:
        schema = offered_schema(self.arguments, self.choices)
        return ToolOffer(name=self.name, description=self.description, arguments_schema=schema)


@dataclass(frozen=True, slots=True)
class ToolResult(Generic[Answer]):
    """A tool that ran: what was asked in canonical form, what came out, and the answer if it was a final tool."""

    spec: ToolSpec[Any]
    arguments: bytes
    content: bytes
    answer: Answer | None


def answer_with(arguments: Answer) -> Answer:
    """`run` of a final tool without a check of its own: the validated arguments are the answer."""
    return arguments


class Toolbox(Generic[Answer]):
    """The tools of one task; `Answer` is the type that its final tools return."""

    def __init__(self, specs: Sequence[ToolSpec[Any]]) -> None:
        self._specs = {spec.name: spec for spec in specs}
        if len(self._specs) != len(specs):
            raise InvariantBroken(f"tool names must be unique, got {[spec.name for spec in specs]}")
        if not any(spec.is_final for spec in specs):
            raise InvariantBroken(f"tools {sorted(self._specs)} hold no final tool: the agent could not answer")

    def offers(self, *, finals_only: bool = False) -> tuple[ToolOffer, ...]:
        return tuple(spec.offer() for spec in self._specs.values() if spec.is_final or not finals_only)

    def run(self, request: ToolRequest, *, finals_only: bool = False) -> ToolResult[Answer] | ToolRefusal:
        """Run what was asked, if it was offered and its arguments are exactly right; else say why not."""
        spec = self._specs.get(request.tool)
        if spec is None or (finals_only and not spec.is_final):
            offered = ", ".join(offer.name for offer in self.offers(finals_only=finals_only))
            return ToolRefusal("unknown_tool", "tool", offered)
        arguments = parse_arguments(request.arguments, spec.arguments, spec.choices)
        if isinstance(arguments, ToolRefusal):
            return arguments
        value = spec.run(arguments)
        return value if isinstance(value, ToolRefusal) else _result(spec, arguments, value)


def _result(spec: ToolSpec[Any], arguments: Arguments, value: object) -> ToolResult[Any] | ToolRefusal:
    content = canonical_json(value)
    if not spec.is_final and len(content) > MAX_RESULT_BYTES:
        return ToolRefusal("result_too_long", "tool", f"results of at most {MAX_RESULT_BYTES} bytes")
    answer = value if isinstance(value, Arguments) and spec.is_final else None
    if spec.is_final and answer is None:
        raise InvariantBroken(f"final tool {spec.name} must return its answer, got {type(value).__name__}")
    return ToolResult(spec, canonical_json(arguments), content, answer)
