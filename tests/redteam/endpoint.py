"""A real HTTP server that speaks the OpenAI format for a hostile mind, and as badly as its reply asks.

Remembers every byte it was sent, so that secrets can be looked for; redirects lead to a second, foreign server.
"""

from __future__ import annotations

import json
import threading
import traceback
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from tests.openai_server import event, stream_of, usage
from tests.redteam.attacker import Conversation, Honest, Knowledge, Mind, expand
from tests.redteam.case import Reply, Wire

SILENCE_SECONDS = 30
DRIP_SECONDS = 0.02
HUGE_CHARACTERS = 3_000_000
DEEP_LEVELS = 50_000
MANY_CALLS = 300
STATUS = {Wire.STATUS_400: 400, Wire.STATUS_401: 401, Wire.STATUS_429: 429, Wire.STATUS_500: 500}
SLOW_WIRES = frozenset({Wire.ENDLESS, Wire.DRIP, Wire.SILENT})
"""Only the client's patience ends these."""


class Endpoint:
    """One per process; `mind` and `known` are set for each run, `planted` is put before the model's eyes by force."""

    def __init__(self) -> None:
        self.mind: Mind = Honest()
        self.known = Knowledge()
        self.planted = ""
        self.bodies: list[bytes] = []
        self.strangers: list[str] = []
        """Authorization headers that arrived at the foreign server."""
        self.failures: list[str] = []
        """Errors of our own in answering: a mind that fails attacks nobody."""
        self.stopped = threading.Event()
        self._lock = threading.Lock()
        self._servers = [_serve(self, is_foreign=is_foreign) for is_foreign in (False, True)]

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._servers[0].server_port}/v1"

    @property
    def foreign_url(self) -> str:
        return f"http://127.0.0.1:{self._servers[1].server_port}/v1/chat/completions"

    def __enter__(self) -> Self:
        self._threads = [threading.Thread(target=s.serve_forever, args=(0.02,), daemon=True) for s in self._servers]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopped.set()
        for server, thread in zip(self._servers, self._threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()

    def face(self, mind: Mind, known: Knowledge, *, planted: str = "") -> None:
        """From now on this mind answers."""
        with self._lock:
            self.mind, self.known, self.planted = mind, known, planted

    def forget(self) -> None:
        """What was heard so far."""
        with self._lock:
            self.bodies, self.strangers = [], []

    def answer(self, body: bytes) -> tuple[Reply, dict[str, Any]]:
        """The mind sees the request, and what was planted as though it had come with the last message."""
        with self._lock:
            self.bodies.append(body)
            request: dict[str, Any] = json.loads(body)
            if self.planted:
                last = request["messages"][-1]
                last["content"] = f"{last['content']}\n{self.planted}"
            conversation = Conversation(request)
            return expand(self.mind.reply(conversation), conversation, self.known), request


def _serve(endpoint: Endpoint, *, is_foreign: bool) -> ThreadingHTTPServer:
    class Handler(_Handler):
        owner = endpoint
        foreign = is_foreign

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            endpoint.failures.append(traceback.format_exc())

    return Server(("127.0.0.1", 0), Handler)


class _Handler(BaseHTTPRequestHandler):
    owner: Endpoint
    foreign: bool
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        """The runner's output is not a server log."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.close_connection = True
        if self.foreign:
            self.owner.strangers.append(str(self.headers.get("Authorization", "")))
            self._send(404, b"{}", "application/json")
            return
        reply, request = self.owner.answer(body)
        try:
            self._answer(reply, request)
        except (BrokenPipeError, ConnectionResetError):
            return  # the client gave up, as it should

    do_GET = do_POST

    def _answer(self, reply: Reply, request: dict[str, Any]) -> None:
        wire = reply.wire
        if wire in STATUS:
            text = f"refused; your header was {self.headers['Authorization']}"  # an endpoint that echoes keys
            self._send(STATUS[wire], json.dumps({"error": {"message": text}}).encode(), "application/json")
        elif wire is Wire.STATUS_302:
            self._send(307, b"", "text/plain", location=self.owner.foreign_url)
        elif wire is Wire.SILENT:
            self.owner.stopped.wait(SILENCE_SECONDS)
        elif wire is Wire.EMPTY:
            self._send(200, b"", "text/event-stream")
        elif wire is Wire.NOT_JSON:
            self._send(200, b"data: {not json\n\ndata: [DONE]\n\n", "text/event-stream")
        elif wire is Wire.WHOLE or not request.get("stream"):
            self._send(200, json.dumps(_whole(reply, request)).encode(), "application/json")
        else:
            self._stream(_events(reply, request, self.owner.stopped))

    def _stream(self, events: Iterator[bytes]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for chunk in events:
            self.wfile.write(chunk)
            self.wfile.flush()

    def _send(self, status: int, body: bytes, content_type: str, *, location: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        if location:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(body)


def _message(reply: Reply) -> dict[str, Any]:
    calls = reply.calls * MANY_CALLS if reply.wire is Wire.MANY_CALLS else reply.calls
    message: dict[str, Any] = {"role": "assistant", "content": reply.text or None}
    if calls:
        message["tool_calls"] = [
            {"id": f"call_{index}", "type": "function", "function": {"name": tool, "arguments": arguments}}
            for index, (tool, arguments) in enumerate(calls)
        ]
    return message


def _whole(reply: Reply, request: dict[str, Any]) -> dict[str, Any]:
    choice = {"index": 0, "message": _message(reply), "finish_reason": "tool_calls" if reply.calls else "stop"}
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 0, "model": request["model"]}
    return {**head, "choices": [choice], "usage": usage(request)}


def _events(reply: Reply, request: dict[str, Any], stopped: threading.Event) -> Iterator[bytes]:
    regular = list(stream_of(_message(reply), usage(request)))
    match reply.wire:
        case Wire.ENDLESS | Wire.DRIP:
            text = "." * 10_000 if reply.wire is Wire.ENDLESS else "."
            while not stopped.wait(0 if reply.wire is Wire.ENDLESS else DRIP_SECONDS):
                yield event(delta={"content": text})
        case Wire.TRUNCATED:
            yield from regular[: max(1, len(regular) // 2)]
        case Wire.NO_FINISH:
            yield from (chunk for chunk in regular if b'"finish_reason": "' not in chunk)
        case Wire.HUGE_LINE:
            yield event(delta={"content": "x" * HUGE_CHARACTERS})
            yield from regular
        case Wire.BAD_UNICODE:
            yield b'data: {"choices":[{"index":0,"delta":{"content":"\xff\xfe\xed\xa0\x80"}}]}\n\n'
            yield from regular
        case Wire.DEEP:
            yield b"data: " + b'{"choices":' * DEEP_LEVELS + b"[]" + b"}" * DEEP_LEVELS + b"\n\n"
            yield from regular
        case Wire.NAN_USAGE:
            yield from regular[:-2]
            yield b'data: {"choices":[],"usage":{"prompt_tokens":NaN,"completion_tokens":-9e999,"total_tokens":-1}}\n\n'
            yield b"data: [DONE]\n\n"
        case Wire.WRONG_TYPES:
            yield b'data: {"id":7,"model":[],"choices":{"0":{"delta":[1],"finish_reason":{}}},"usage":"many"}\n\n'
            yield from regular
        case _:
            yield from regular
