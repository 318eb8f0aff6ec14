"""The wire below the model's client: an answer that is too long or nested too deeply never reaches a parser.

A library below the client walks a parsed answer recursively in compiled code: deep enough, it takes the process down.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from httpx2 import Client, ReadError, Response, SyncByteStream

MAX_ANSWER_BYTES: Final = 4_000_000
MAX_LINE_BYTES: Final = 1_000_000
MAX_DEPTH: Final = 64  # the chat-completions format needs fewer than ten
JSON_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"')
BRACKET: Final = re.compile(rb"[\[\]{}]")
OPENING: Final = frozenset({b"[", b"{"})
EVENT: Final = b"data:"
PLAIN: Final = "identity"


class AnswerGauge:
    """Measures an answer as it passes, line by line: JSON text holds no raw line ends inside its strings."""

    def __init__(self) -> None:
        self._rest = b""
        self._bytes = 0
        self._depth = 0

    def pass_on(self, chunk: bytes) -> bytes:
        """The chunk itself. Raises ReadError beyond a limit."""
        self._bytes += len(chunk)
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if self._bytes > MAX_ANSWER_BYTES or len(self._rest) > MAX_LINE_BYTES:
            raise ReadError(f"the answer is longer than {MAX_ANSWER_BYTES} bytes, or a line than {MAX_LINE_BYTES}")
        for line in lines:
            self._measure(line)
        return chunk

    def finish(self) -> None:
        self._measure(self._rest)

    def _measure(self, line: bytes) -> None:
        if line.startswith(EVENT):
            self._depth = 0  # every event is a text of its own
        for bracket in BRACKET.findall(JSON_STRING.sub(b"", line)):
            self._depth += 1 if bracket in OPENING else -1
            if self._depth > MAX_DEPTH:
                raise ReadError(f"the answer is nested more than {MAX_DEPTH} deep")


def bound(response: Response) -> None:
    """Before anything reads the body. Raises ReadError for an encoded one: what is measured must be what is parsed."""
    encoding = response.headers.get("content-encoding", PLAIN)
    if encoding != PLAIN:
        raise ReadError(f"the answer is encoded as {encoding[:20]!r}, and {PLAIN} was asked for")
    if isinstance(response.stream, SyncByteStream):
        response.stream = _BoundedStream(response.stream)


class _BoundedStream(SyncByteStream):
    """Hands on whole lines only after they were measured, so that no parser sees the start of a bad one."""

    def __init__(self, inner: SyncByteStream) -> None:
        self._inner = inner

    def __iter__(self) -> Iterator[bytes]:
        gauge, held = AnswerGauge(), b""
        for chunk in self._inner:
            held += gauge.pass_on(chunk)
            whole, line_end, held = held.rpartition(b"\n")
            if line_end:
                yield whole + line_end
        gauge.finish()
        yield held

    def close(self) -> None:
        self._inner.close()


class BoundedClient(Client):
    """Measures every answer; proxies and certificates come from the environment as usual."""

    def __init__(self) -> None:
        super().__init__(event_hooks={"response": [bound]}, headers={"Accept-Encoding": PLAIN})

    def __del__(self) -> None:
        """Kept as long as its model, so that connections are reused; nobody else knows when that ends."""
        with suppress(Exception):
            self.close()
