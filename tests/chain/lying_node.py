"""A node that passes questions on to an honest one, and may lie in its answers: about heads, feeds or receipts."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import httpx

Question = dict[str, Any]
Lie = Callable[[Question, Any], Any]
"""What is said instead of the honest result of a question."""


def honest(question: Question, result: Any) -> Any:
    return result


class LyingNode:
    """`with LyingNode(url) as node:` is honest until `node.lie` is set."""

    def __init__(self, upstream: str) -> None:
        self.lie: Lie = honest
        self.asked: list[str] = []
        self._upstream = httpx.Client(base_url=upstream, timeout=30, trust_env=False)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._upstream.close()

    def answer(self, body: bytes) -> bytes:
        question: Question = json.loads(body)
        self.asked.append(question["method"])
        answer: dict[str, Any] = self._upstream.post("", content=body, headers=JSON).json()
        if "result" in answer:
            answer["result"] = self.lie(question, answer["result"])
        return json.dumps(answer).encode()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        node = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
                """The test's output is not a server log."""

            def do_POST(self) -> None:
                answer = node.answer(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

        return Handler


JSON = {"Content-Type": "application/json"}
