"""Errors as RFC 9457 problems: what a client may know, and nothing of our insides."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from domain.errors import (
    ApprovalRefused,
    AutofiError,
    ConfigurationInvalid,
    StaleOrDisputed,
    Unavailable,
    UnknownSubject,
)
from domain.units import Value

logger = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
INTERNAL_STATUS: Final = 500
INVALID_STATUS: Final = 422
NOT_FOUND_STATUS: Final = 404
NO_JSON: Final = "the body is not JSON; send a JSON object with Content-Type: application/json"
NO_ROUTE: Final = "no such route; the API is under /v1, its schema at /v1/openapi.json"
MAX_FIELD_PROBLEMS: Final = 20
STATUSES: Final[tuple[tuple[type[AutofiError], int], ...]] = (
    (UnknownSubject, 404),
    (ApprovalRefused, 409),
    (ConfigurationInvalid, 400),
    (Unavailable, 503),
    (StaleOrDisputed, 503),
)
HTTP_CODES: Final = {
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
}
_REFUSAL_CODE: Final = re.compile(r"([a-z_]{1,40}): ")


class FieldProblem(Value):
    where: str
    problem: str


class Problem(Value):
    """RFC 9457, with a code for programs and, for invalid requests, every field concerned."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: tuple[FieldProblem, ...] = ()


def install_problems(api: FastAPI) -> None:
    """Every error of every route leaves as a problem."""
    api.add_exception_handler(AutofiError, _answer_domain_error)
    api.add_exception_handler(RequestValidationError, _answer_invalid_request)
    api.add_exception_handler(HTTPException, _answer_http_error)
    api.add_exception_handler(Exception, _answer_unexpected)


def problem_of(error: Exception) -> Problem:
    """Domain errors that a client can react to keep their sentence; all others are only counted as ours."""
    status = next((status for kind, status in STATUSES if isinstance(error, kind)), INTERNAL_STATUS)
    if status == INTERNAL_STATUS:
        return make_problem(status, "internal", "something went wrong on our side; the server's log says what")
    name = next(kind.__name__ for kind, _ in STATUSES if isinstance(error, kind))
    refused = _REFUSAL_CODE.match(str(error)) if isinstance(error, ApprovalRefused) else None
    return make_problem(status, refused[1] if refused else _snake_case(name), str(error))


def make_problem(status: int, code: str, detail: str, *, errors: tuple[FieldProblem, ...] = ()) -> Problem:
    title = code.replace("_", " ")
    return Problem(
        type=f"urn:autofi:problem:{code}", title=title, status=status, detail=detail, code=code, errors=errors
    )


def respond(problem: Problem, *, headers: dict[str, str] | None = None) -> JSONResponse:
    body = problem.model_dump(mode="json")
    return JSONResponse(body, status_code=problem.status, headers=headers, media_type=MEDIA_TYPE)


async def _answer_domain_error(_: Request, error: Exception) -> JSONResponse:
    problem = problem_of(error)
    if problem.status == INTERNAL_STATUS:
        logger.error("request_failed error=%s detail=%s", type(error).__name__, error)
    return respond(problem)


async def _answer_unexpected(_: Request, error: Exception) -> JSONResponse:
    logger.error("request_failed error=%s", type(error).__name__, exc_info=error)
    return respond(problem_of(error))


async def _answer_invalid_request(_: Request, error: Exception) -> JSONResponse:
    raised = error.errors() if isinstance(error, RequestValidationError) else []
    # What was sent is not repeated: it may hold what should not be in a log.
    errors = tuple(
        FieldProblem(where=".".join(str(part) for part in each["loc"]), problem=str(each["msg"]))
        for each in raised[:MAX_FIELD_PROBLEMS]
    )
    detail = f"{len(raised)} fields are invalid" if not _is_no_json(raised) else NO_JSON
    return respond(make_problem(INVALID_STATUS, "invalid_request", detail, errors=errors))


def _is_no_json(raised: Sequence[Mapping[str, object]]) -> bool:
    """Text that does not parse, or a body that no Content-Type declares as JSON."""
    return any(
        each["type"] == "json_invalid" or (each["loc"] == ("body",) and isinstance(each.get("input"), (bytes, str)))
        for each in raised
    )


async def _answer_http_error(_: Request, error: Exception) -> JSONResponse:
    status = error.status_code if isinstance(error, HTTPException) else INTERNAL_STATUS
    detail = str(error.detail) if isinstance(error, HTTPException) else ""
    if detail == HTTPStatus(NOT_FOUND_STATUS).phrase:  # no route at all, rather than a route that found nothing
        detail = NO_ROUTE
    return respond(make_problem(status, HTTP_CODES.get(status, "refused"), detail))


def _snake_case(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
