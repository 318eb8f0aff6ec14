"""The network block itself: nothing leaves, loopback works, and nobody can swallow it."""

from __future__ import annotations

import os
import socket

import httpx
import pytest

from tests.network import NetworkBlocked, is_loopback
from tests.services import REQUIRED, require_service

DOCUMENTATION_HOST = "192.0.2.1"  # TEST-NET-1, RFC 5737: never routed


def test_connection_to_another_machine_is_refused() -> None:
    with socket.socket() as outgoing, pytest.raises(NetworkBlocked, match=DOCUMENTATION_HOST):
        outgoing.connect((DOCUMENTATION_HOST, 80))


def test_datagram_to_another_machine_is_refused() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as outgoing, pytest.raises(NetworkBlocked):
        outgoing.sendto(b"x", (DOCUMENTATION_HOST, 53))


def test_name_lookup_is_refused() -> None:
    with pytest.raises(NetworkBlocked, match=r"example\.com"):
        socket.getaddrinfo("example.com", 443)


def test_http_client_cannot_hide_the_refusal() -> None:
    with pytest.raises(NetworkBlocked):
        httpx.get("http://example.com/", trust_env=False)


def test_loopback_connection_works() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()

        with socket.create_connection(address, timeout=5) as client:
            peer = client.getpeername()

    assert peer == address


@pytest.mark.parametrize(
    ("host", "expected"),
    [("localhost", True), ("127.0.0.53", True), ("::1", True), ("10.0.0.1", False), ("localhost.evil.example", False)],
)
def test_only_loopback_counts_as_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_no_foreign_setting_reaches_a_test() -> None:
    leftovers = [name for name in os.environ if name.startswith(("OPENAI_", "LANGSMITH_API"))]

    assert leftovers == []
    assert os.environ["LANGGRAPH_STRICT_MSGPACK"] == "true"


def test_absent_service_skips_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(REQUIRED, raising=False)

    with pytest.raises(pytest.skip.Exception, match="anvil is absent"):
        require_service("anvil", available=False)


def test_absent_service_fails_where_services_are_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REQUIRED, "1")

    with pytest.raises(pytest.fail.Exception, match="anvil is absent"):
        require_service("anvil", available=False)
