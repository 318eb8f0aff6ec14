"""What stands in front of every route: the token, a guard against foreign web pages, and a limit on the body."""

from __future__ import annotations

import hmac
import ipaddress
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from app.api.errors import Problem, make_problem, respond

if TYPE_CHECKING:
    from pydantic import SecretStr
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES: Final = 65_536
OPEN_PREFIX: Final = "/v1/health/"
TOO_LARGE_STATUS: Final = 413
_LENGTH: Final = re.compile(r"[0-9]{1,12}", re.ASCII)


class Gate:
    """ASGI middleware. The token is read from the settings that the running application was opened with."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        token: SecretStr | None = scope["app"].state.serving.application.settings.api_token
        problem = _refusal(Headers(scope=scope), path=scope["path"], token=token)
        if problem is None:
            await self._app(scope, _limited(receive), send)
            return
        challenge = {"WWW-Authenticate": "Bearer"} if problem.code == "unauthorized" else None
        await respond(problem, headers=challenge)(scope, receive, send)


def _refusal(headers: Headers, *, path: str, token: SecretStr | None) -> Problem | None:
    declared = headers.get("content-length", "0")
    if not _LENGTH.fullmatch(declared) or int(declared) > MAX_BODY_BYTES:
        return make_problem(
            TOO_LARGE_STATUS, "too_large", f"a body may have {MAX_BODY_BYTES} bytes, got {declared:.20}"
        )
    if _is_foreign(headers):
        return make_problem(403, "forbidden", "requests of other web sites are refused")
    if token is None:
        if is_loopback(_host_name(headers)):
            return None
        return make_problem(
            403, "forbidden", "without AUTOFI_API_TOKEN the Host header must name the loopback interface"
        )
    if path.startswith(OPEN_PREFIX) or _presents(headers, token):
        return None
    return make_problem(401, "unauthorized", "send the header: Authorization: Bearer <AUTOFI_API_TOKEN>")


def _presents(headers: Headers, token: SecretStr) -> bool:
    scheme, _, given = headers.get("authorization", "").partition(" ")
    expected = token.get_secret_value().encode()
    return hmac.compare_digest(given.encode(), expected) and scheme.lower() == "bearer"


def _is_foreign(headers: Headers) -> bool:
    """A browser names the page that a request comes from; a page of another origin has no business here."""
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host")


def _host_name(headers: Headers) -> str:
    """A page can point its own name at 127.0.0.1; the name it was asked by gives it away."""
    try:
        return urlsplit(f"//{headers.get('host', '')}").hostname or ""
    except ValueError:
        return ""


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _limited(receive: Receive) -> Receive:
    """For bodies that come in pieces without a declared length."""
    taken = 0

    async def receive_some() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > MAX_BODY_BYTES:
            raise HTTPException(TOO_LARGE_STATUS, f"a body may have {MAX_BODY_BYTES} bytes")
        return message

    return receive_some
