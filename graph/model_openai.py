"""Any OpenAI-compatible endpoint through langchain-openai: one streamed call with a deadline.

Streamed, because only chunks keep tool arguments as the text that was sent: a whole reply comes parsed, with
duplicate keys dropped. The libraries are imported at the first call: they cost seconds and most commands need none.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

from domain.errors import ModelUnavailable
from domain.ports import AgentModel, Message, ModelReply, ToolOffer, ToolRequest
from domain.run import AgentName

if TYPE_CHECKING:
    from collections.abc import Generator

    from langchain_core.messages import AIMessageChunk, BaseMessage
    from langchain_openai import ChatOpenAI

    from graph.model_wire import BoundedClient

MAX_REPLY_CHARACTERS: Final = 60_000
MAX_TOOL_CALLS: Final = 8
MAX_ARGUMENTS_CHARACTERS: Final = 20_000  # of ToolRequest.arguments
MAX_NAME_CHARACTERS: Final = 64  # of a function's name in the chat-completions format
OVERSIZED: Final = "oversized"  # is no JSON, so that the toolbox refuses it
CALL_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


class OpenAIModel(AgentModel):
    """One endpoint and model name. Whatever goes wrong is ModelUnavailable, by kind only: texts can carry keys."""

    def __init__(
        self,
        name: str,
        *,
        base_url: str | None,
        api_key: str,
        timeout_seconds: float,
        stopwatch: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._name, self._base_url, self._api_key = name, base_url, api_key
        self._timeout_seconds, self._stopwatch = timeout_seconds, stopwatch
        self._client_below: BoundedClient | None = None

    def __repr__(self) -> str:
        return f"OpenAIModel({self._name!r})"

    @property
    def name(self) -> str:
        return self._name

    def complete(self, agent: AgentName, messages: Sequence[Message], tools: Sequence[ToolOffer]) -> ModelReply:
        from httpx2 import HTTPError, TimeoutException
        from openai import APITimeoutError, OpenAIError

        try:
            with closing(self._stream(messages, tools)) as chunks:
                reply = self._assemble(self._until_deadline(chunks))
        except (APITimeoutError, TimeoutException, TimeoutError):
            self._refuse(agent, f"no whole answer within {self._timeout_seconds} s", TimeoutError())
        except (OpenAIError, HTTPError) as error:
            self._refuse(agent, f"{type(error).__name__}, HTTP status {getattr(error, 'status_code', 'unknown')}")
        except (ValueError, TypeError, LookupError, AttributeError, OSError, RecursionError) as error:
            self._refuse(agent, f"unreadable reply, {type(error).__name__}")
        return reply

    def _refuse(self, agent: AgentName, problem: str, cause: TimeoutError | None = None) -> NoReturn:
        raise ModelUnavailable(f"model {self._name} did not answer agent {agent}: {problem}") from cause

    def _stream(self, messages: Sequence[Message], tools: Sequence[ToolOffer]) -> Generator[AIMessageChunk, None, None]:
        bound = self._client().bind_tools(
            [_function(tool) for tool in tools], parallel_tool_calls=False, tool_choice="any"
        )
        return cast("Generator[AIMessageChunk, None, None]", bound.stream([_to_langchain(m) for m in messages]))

    def _client(self) -> ChatOpenAI:
        from langchain_openai import ChatOpenAI
        from pydantic import SecretStr

        from graph.model_wire import BoundedClient

        self._client_below = self._client_below or BoundedClient()
        return ChatOpenAI(
            model=self._name,
            base_url=self._base_url,
            api_key=SecretStr(self._api_key),
            timeout=self._timeout_seconds,
            max_retries=0,  # the run's budget counts calls; a hidden second one would not be counted
            http_client=self._client_below,
            stream_usage=True,  # off by default for custom endpoints, and then every cost would read zero
        )

    def _until_deadline(self, chunks: Iterable[AIMessageChunk]) -> Iterator[AIMessageChunk]:
        """The client's own timeout starts again with every byte that drips in."""
        deadline = self._stopwatch() + self._timeout_seconds
        for chunk in chunks:
            if self._stopwatch() > deadline:
                raise TimeoutError
            yield chunk

    def _assemble(self, chunks: Iterable[AIMessageChunk]) -> ModelReply:
        reply = _PartialReply()
        for chunk in chunks:
            reply.add(chunk)
        if reply.finish_reason is None:
            raise ValueError("the stream ended without a finish reason")
        return ModelReply(
            model=self._name,
            text="".join(reply.text),
            tool_requests=tuple(call.to_request(index) for index, call in sorted(reply.calls.items())),
            input_tokens=max(reply.input_tokens, 0),
            output_tokens=max(reply.output_tokens, 0),
        )


@dataclass(slots=True)
class _PartialCall:
    call_id: str = ""
    tool: str = ""
    arguments: list[str] = field(default_factory=list)

    def to_request(self, index: int) -> ToolRequest:
        raw = "".join(self.arguments)
        return ToolRequest(
            call_id=self.call_id if CALL_ID.fullmatch(self.call_id) else f"call{index}",
            tool=self.tool[:MAX_NAME_CHARACTERS],
            arguments=raw if len(raw) <= MAX_ARGUMENTS_CHARACTERS else OVERSIZED,
        )


@dataclass(slots=True)
class _PartialReply:
    """Chunks put together by hand: LangChain's own sum repairs arguments that were cut off."""

    text: list[str] = field(default_factory=list)
    calls: dict[int, _PartialCall] = field(default_factory=dict)
    input_tokens: int = 0
    output_tokens: int = 0
    finish_reason: str | None = None
    characters: int = 0

    def add(self, chunk: AIMessageChunk) -> None:
        self.text.append(str(chunk.text))
        self.characters += len(self.text[-1])
        for piece in chunk.tool_call_chunks:
            call = self._call_at(piece.get("index"))
            call.call_id += piece.get("id") or ""
            call.tool += piece.get("name") or ""
            call.arguments.append(piece.get("args") or "")
            self.characters += len(call.arguments[-1])
        if chunk.usage_metadata is not None:
            self.input_tokens = chunk.usage_metadata["input_tokens"]
            self.output_tokens = chunk.usage_metadata["output_tokens"]
        self.finish_reason = chunk.response_metadata.get("finish_reason") or self.finish_reason
        if self.characters > MAX_REPLY_CHARACTERS or len(self.calls) > MAX_TOOL_CALLS:
            raise ValueError(f"reply exceeds {MAX_REPLY_CHARACTERS} characters or {MAX_TOOL_CALLS} tool calls")

    def _call_at(self, index: object) -> _PartialCall:
        """Some endpoints leave the index out when there is one call."""
        return self.calls.setdefault(index if isinstance(index, int) else 0, _PartialCall())


def _function(tool: ToolOffer) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": json.loads(tool.arguments_schema),
            "strict": True,  # bind_tools adds it to classes only, not to a schema given as it is
        },
    }


def _to_langchain(message: Message) -> BaseMessage:
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

    if message.role == "system":
        return SystemMessage(message.content)
    if message.role == "tool":
        return ToolMessage(message.content, tool_call_id=message.call_id or "")
    if message.role == "assistant":
        calls = [
            {"id": request.call_id, "name": request.tool, "args": json.loads(request.arguments), "type": "tool_call"}
            for request in message.tool_requests
        ]
        return AIMessage(message.content, tool_calls=calls)
    return HumanMessage(message.content)
