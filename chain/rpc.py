"""Plain JSON-RPC over HTTP: bounded retries for reads, none for anything else, and no credentials in messages.

Library errors and untyped JSON stop here and in chain.client; nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, cast
from urllib.parse import urlsplit

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from domain.errors import ChainUnavailable

if TYPE_CHECKING:
    from web3 import HTTPProvider
    from web3.types import RPCEndpoint

READ_ATTEMPTS: Final = 3
MAX_BACKOFF_SECONDS: Final = 2.0
MAX_ERROR_CHARACTERS: Final = 200
SERVER_ERROR_STATUS: Final = 500
TOO_MANY_REQUESTS_STATUS: Final = 429


class RpcError(NamedTuple):
    """The node's own answer that the request failed; `data` is the revert data where there is any."""

    code: int
    message: str
    data: str | None


class RpcAnswer(NamedTuple):
    result: object
    error: RpcError | None


class _NodeSilentError(ChainUnavailable):
    """No usable answer this time: connection, timeout, overload or garbage."""


class JsonRpc:
    """One node. `name` is its address without user, password, path or query, which may hold keys."""

    def __init__(self, url: str, *, timeout_seconds: float, sleep: Callable[[float], None]) -> None:
        self._url = url
        self._sleep = sleep
        self._timeout_seconds = timeout_seconds
        self._lazy_provider: HTTPProvider | None = None
        self.name = _without_credentials(url)

    def read(self, method: str, params: Sequence[object]) -> RpcAnswer:
        """A request that changes nothing, tried up to READ_ATTEMPTS times. Raises ChainUnavailable."""
        retrying = Retrying(
            stop=stop_after_attempt(READ_ATTEMPTS),
            wait=wait_random_exponential(multiplier=0.1, max=MAX_BACKOFF_SECONDS),
            retry=retry_if_exception_type(_NodeSilentError),
            sleep=self._sleep,
            reraise=True,
        )
        return retrying(self.once, method, params)

    def once(self, method: str, params: Sequence[object]) -> RpcAnswer:
        """A request that leaves at most once. Raises ChainUnavailable when nobody knows what became of it."""
        try:
            response = self._provider().make_request(cast("RPCEndpoint", method), list(params))
        except OSError as error:  # every exception of requests is one; its text holds the whole address
            raise self._unanswered(method, error) from None
        except ValueError:
            raise _NodeSilentError(f"node {self.name} answered {method} with something that is not JSON-RPC") from None
        if not isinstance(response, dict) or not {"result", "error"} & response.keys():
            raise _NodeSilentError(f"node {self.name} answered {method} with neither a result nor an error")
        raw_error = response.get("error")
        return RpcAnswer(result=response.get("result"), error=None if raw_error is None else _parse_error(raw_error))

    def _unanswered(self, method: str, error: OSError) -> ChainUnavailable:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status is None:
            return _NodeSilentError(f"node {self.name} did not answer {method}: {type(error).__name__}")
        is_transient = status >= SERVER_ERROR_STATUS or status == TOO_MANY_REQUESTS_STATUS
        kind = _NodeSilentError if is_transient else ChainUnavailable
        return kind(f"node {self.name} answered {method} with HTTP status {status}")

    def _provider(self) -> HTTPProvider:
        if self._lazy_provider is None:
            from web3 import HTTPProvider  # costs a second, and the CLI must start fast

            self._lazy_provider = HTTPProvider(
                self._url, request_kwargs={"timeout": self._timeout_seconds}, exception_retry_configuration=None
            )
        return self._lazy_provider


def _without_credentials(url: str) -> str:
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}"


def _parse_error(raw: object) -> RpcError:
    if not isinstance(raw, dict):
        return RpcError(code=0, message=printable(str(raw)), data=None)
    data = raw.get("data")
    code = raw.get("code")
    return RpcError(
        code=code if isinstance(code, int) else 0,
        message=printable(str(raw.get("message", ""))),
        data=data if isinstance(data, str) else None,
    )


def printable(text: str) -> str:
    """Text from outside, shortened and without control characters, fit for a message."""
    return "".join(character if character.isprintable() else "?" for character in text[:MAX_ERROR_CHARACTERS])
