"""The API as one application, and `autofi serve`, which runs it on a port that is known to be free."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext, suppress
from typing import Final

import uvicorn
from fastapi import FastAPI

from app.api import approvals, audit, chat, health, runs, trading
from app.api.errors import install_problems
from app.api.gate import Gate, is_loopback
from app.api.serving import Serving
from app.console import progress
from app.settings import Settings
from app.version import code_version
from app.wiring import Application, open_application
from domain.errors import ConfigurationInvalid

GRACE_SECONDS: Final = 5
"""How long open streams may go on after the server was told to stop."""

ApplicationFactory = Callable[[], AbstractContextManager[Application]]


def create_app(application_factory: ApplicationFactory) -> FastAPI:
    """The routes over one application, which is open from start-up to shutdown."""

    @asynccontextmanager
    async def lifespan(api: FastAPI) -> AsyncIterator[None]:
        with application_factory() as application:
            serving = Serving.of(application)
            api.state.serving = serving
            try:
                yield
            finally:
                serving.close()

    # The interactive pages load scripts from elsewhere; the schema itself is served.
    api = FastAPI(
        title="AutoFi-Nexus", version=code_version(), lifespan=lifespan,
        docs_url=None, redoc_url=None, openapi_url="/v1/openapi.json",
    )  # fmt: skip
    install_problems(api)
    api.add_middleware(Gate)
    for subject in (runs, approvals, audit, trading, chat, health):
        api.include_router(subject.router)
    return api


def serve(settings: Settings, *, host: str, port: int) -> None:
    """Until interrupted. Raises ConfigurationInvalid before anything is opened or started."""
    _require_token(settings, host)
    with _claim(host, port) as listener, open_application(settings, report=progress) as application:
        progress(f"API on http://{f'[{host}]' if ':' in host else host}:{port}/v1, Ctrl-C ends it")
        config = uvicorn.Config(
            create_app(lambda: nullcontext(application)),
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        with suppress(KeyboardInterrupt):  # uvicorn has shut down in order, then raises it again
            uvicorn.Server(config).run(sockets=[listener])


def _require_token(settings: Settings, host: str) -> None:
    if settings.api_token is None and not is_loopback(host):
        raise ConfigurationInvalid(
            f"host {host} is not the loopback interface, so others can reach it: set AUTOFI_API_TOKEN, "
            "or listen on 127.0.0.1"
        )


def _claim(host: str, port: int) -> socket.socket:
    """Held from here on, so that nobody takes the port between the check and the start."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise ConfigurationInvalid(
            f"port {port} on {host} cannot be used: {error.strerror}; stop what holds it, or choose another with --port"
        ) from None
