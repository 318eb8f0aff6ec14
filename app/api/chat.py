"""Chat as a stream: what the agent is doing while it does it, then its answer with the records it rests on."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from fastapi.sse import EventSourceResponse, ServerSentEvent

from app.api.errors import problem_of
from app.api.schemas import Question
from app.api.serving import Served
from app.wiring import Application, ask_question
from domain.errors import AutofiError
from domain.ports import AgentModel, Message, ModelReply, ToolOffer
from domain.run import AgentName
from domain.stages import ChatAnswer
from graph.conduct import Conductor
from graph.workflow import build_graph

router = APIRouter(prefix="/v1", tags=["chat"])
logger = logging.getLogger(__name__)

FINAL_TOOLS: Final = frozenset({"answer", "propose_run"})
_PIECE: Final = re.compile(r"\S+\s*|\s+")

Tell = Callable[[ServerSentEvent | None], None]
Events = asyncio.Queue[ServerSentEvent | None]


class ListeningModel(AgentModel):
    """A model that tells which of the offered tools it asks for."""

    def __init__(self, model: AgentModel, tell: Tell) -> None:
        self._model, self._tell = model, tell

    @property
    def name(self) -> str:
        return self._model.name

    def complete(self, agent: AgentName, messages: Sequence[Message], tools: Sequence[ToolOffer]) -> ModelReply:
        reply = self._model.complete(agent, messages, tools)
        offered = {tool.name for tool in tools} - FINAL_TOOLS
        for request in reply.tool_requests:
            if request.tool in offered:
                self._tell(ServerSentEvent(event="tool", data={"tool": request.tool}))
        return reply


async def _begin(body: Question, serving: Served) -> Events:
    """Queues the question before the stream begins, so that a full queue is an error and not an empty stream."""
    loop, events = asyncio.get_running_loop(), Events()

    def tell(event: ServerSentEvent | None) -> None:
        loop.call_soon_threadsafe(events.put_nowait, event)

    serving.chats.submit(lambda: _converse(serving.application, body.question, tell))
    return events


@router.post("/chat", response_class=EventSourceResponse)
async def chat(events: Annotated[Events, Depends(_begin)]) -> AsyncIterator[ServerSentEvent]:
    """`stage`, `tool` while it reads, `token` for each piece of the text, `answer` with citations, `done`; or `error`.

    The text leaves only when the whole answer was checked: a citation of a run that does not exist never shows.
    """
    while (event := await events.get()) is not None:
        yield event


def _converse(application: Application, question: str, tell: Tell) -> None:
    try:
        tell(ServerSentEvent(event="stage", data={"stage": "router"}))
        _tell_answer(ask_question(_listening(application, tell), question), tell)
    except AutofiError as error:
        tell(ServerSentEvent(event="error", data=problem_of(error)))
    except Exception as error:  # the stream has begun: its last event says what a status code would
        logger.exception("chat_broke")
        tell(ServerSentEvent(event="error", data=problem_of(error)))
    finally:
        tell(None)


def _tell_answer(answer: ChatAnswer, tell: Tell) -> None:
    for piece in _PIECE.findall(answer.text):
        tell(ServerSentEvent(event="token", data={"text": piece}))
    tell(ServerSentEvent(event="answer", data=answer.model_copy(update={"trace": None})))
    tell(ServerSentEvent(event="done", data={}))


def _listening(application: Application, tell: Tell) -> Application:
    """The same portfolio with a model that is listened to. Without checkpoints: an unfinished chat is asked again."""
    dependencies = replace(application.dependencies, model=ListeningModel(application.dependencies.model, tell))
    return replace(application, dependencies=dependencies, conductor=Conductor(build_graph(dependencies), dependencies))
