"""How long and how deep an answer may be before it reaches a parser."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from httpx2 import Client, MockTransport, ReadError, Request, Response, SyncByteStream

from graph.model_wire import MAX_ANSWER_BYTES, MAX_DEPTH, MAX_LINE_BYTES, AnswerGauge, bound


def measured(*chunks: bytes) -> bytes:
    gauge = AnswerGauge()
    passed = b"".join(gauge.pass_on(chunk) for chunk in chunks)
    gauge.finish()
    return passed


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def test_an_answer_at_the_deepest_allowed_nesting_passes_unchanged() -> None:
    assert measured(nested(MAX_DEPTH)) == nested(MAX_DEPTH)


def test_one_level_deeper_is_refused() -> None:
    with pytest.raises(ReadError, match=f"nested more than {MAX_DEPTH} deep"):
        measured(nested(MAX_DEPTH + 1))


def test_depth_adds_up_over_chunks_and_lines() -> None:
    lines = [b"[\n"] * MAX_DEPTH

    with pytest.raises(ReadError, match="deep"):
        measured(*lines, b"[")


def test_brackets_inside_strings_neither_deepen_nor_hide_depth() -> None:
    text = json.dumps("[" * 500 + '\\" ]]]').encode()

    assert measured(text) == text
    with pytest.raises(ReadError, match="deep"):
        measured(b'["' + b"]" * 500 + b'",' + nested(MAX_DEPTH) + b"]")


def test_every_event_is_measured_for_itself() -> None:
    events = [b"data: " + nested(MAX_DEPTH)[: MAX_DEPTH + 1] + b"\n\n"] * 3

    assert measured(*events) == b"".join(events)


@pytest.mark.parametrize("chunk", [b"x" * (MAX_LINE_BYTES + 1), b"x\n" * (MAX_ANSWER_BYTES // 2 + 1)])
def test_an_endless_line_or_answer_is_refused(chunk: bytes) -> None:
    with pytest.raises(ReadError, match="longer"):
        measured(chunk)


class _Chunks(SyncByteStream):
    def __init__(self, *chunks: bytes) -> None:
        self._chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        yield from self._chunks


def client_of(response: Response) -> Client:
    return Client(transport=MockTransport(lambda _: response), event_hooks={"response": [bound]})


def test_the_client_refuses_before_anything_parses() -> None:
    deep = client_of(Response(200, stream=_Chunks(b'{"a":', nested(100_000), b"}")))

    with pytest.raises(ReadError, match="deep"):
        deep.send(Request("GET", "http://model.test/"))


def test_an_encoded_answer_is_refused() -> None:
    packed = client_of(Response(200, headers={"content-encoding": "gzip"}, stream=_Chunks(b"...")))

    with pytest.raises(ReadError, match="encoded as 'gzip'"):
        packed.send(Request("GET", "http://model.test/"))
