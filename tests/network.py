"""Blocks every connection and name lookup that would leave this machine, for the whole process.

An audit hook sees each socket call of the interpreter, whichever library makes it, and cannot be removed again.
"""

from __future__ import annotations

import ipaddress
import sys

LOOPBACK_NAMES = {"localhost", "localhost.localdomain", "ip6-localhost", "", "0.0.0.0", "::"}  # the last three bind
BY_ADDRESS = {"socket.connect", "socket.sendto", "socket.sendmsg"}
BY_NAME = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}


class NetworkBlocked(BaseException):
    """Not an Exception, so that no retry and no broad except in a library can hide it."""


class Gate:
    """Closed unless a test marked `live` runs."""

    is_open = False
    is_installed = False


def block_network() -> None:
    """Close the gate; calling it again changes nothing."""
    if not Gate.is_installed:
        sys.addaudithook(_refuse_leaving)
        Gate.is_installed = True


def _refuse_leaving(event: str, arguments: tuple[object, ...]) -> None:
    if Gate.is_open or not event.startswith("socket."):
        return
    host = _host_of(event, arguments)
    if host is not None and not is_loopback(host):
        raise NetworkBlocked(f"{event} to {host!r} leaves this machine; tests reach loopback only")


def _host_of(event: str, arguments: tuple[object, ...]) -> str | None:
    if event in BY_NAME:
        return _text(arguments[0])
    if event in BY_ADDRESS and isinstance(arguments[1], tuple):  # a Unix socket's address is a path
        return _text(arguments[1][0])
    return None


def _text(host: object) -> str | None:
    return host.decode() if isinstance(host, bytes) else host if isinstance(host, str) else None


def is_loopback(host: str) -> bool:
    if host.lower() in LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False
