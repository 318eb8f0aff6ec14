"""What every route works with: the open application, the run queue and the chat threads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Request

from app.api.work import BoundedPool, RunQueue
from app.wiring import Application

CHAT_THREADS: Final = 4
MAX_WAITING_CHATS: Final = 16


@dataclass(frozen=True, slots=True)
class Serving:
    application: Application
    runs: RunQueue
    chats: BoundedPool

    @classmethod
    def of(cls, application: Application) -> Serving:
        chats = BoundedPool(workers=CHAT_THREADS, limit=MAX_WAITING_CHATS, name="chats")
        return cls(application, RunQueue(application), chats)

    def close(self) -> None:
        self.runs.close()
        self.chats.close()


def _serving(request: Request) -> Serving:
    serving: Serving = request.app.state.serving
    return serving


Served = Annotated[Serving, Depends(_serving)]
