"""Every error leaves as an RFC 9457 problem with `code`, `errors`, `hint` and `request_id`."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Scope

from hpsearch.errors import DiskFull, HpsearchError, Problem
from hpsearch.sentences import describe
from hpsearch.wire import ProblemDetails, ProblemItem

MEDIA_TYPE = "application/problem+json"
MAX_PROBLEMS = 100
CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    413: "too_large",
    415: "unsupported_media_type",
    416: "range_not_satisfiable",
    422: "invalid_input",
    429: "too_many_requests",
    503: "unavailable",
}


class TooManyRequests(HpsearchError):
    code = "too_many_requests"
    status = 429


class BadRequest(HpsearchError):
    code = "bad_request"
    status = 400


class UnsupportedMediaType(HpsearchError):
    code = "unsupported_media_type"
    status = 415


def problem_response(
    error: HpsearchError, scope: Scope, headers: Mapping[str, str] | None = None
) -> Response:
    """The problem that tells of `error`, with the request's id."""
    items = tuple(ProblemItem(pointer=p.pointer, detail=p.detail) for p in error.problems[:MAX_PROBLEMS])
    details = ProblemDetails(
        title=HTTPStatus(error.status).phrase,
        status=error.status,
        detail=error.message,
        code=error.code,
        errors=items,
        hint=error.hint,
        request_id=scope.get("state", {}).get("request_id", ""),
    )
    extra = {"WWW-Authenticate": "Bearer"} if error.status == HTTPStatus.UNAUTHORIZED else {}
    if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
        extra["Retry-After"] = "1"
    return Response(
        # A lone surrogate in a user's text must not break the answer that speaks of it.
        details.model_dump_json().encode("utf-8", "replace"),
        status_code=error.status,
        media_type=MEDIA_TYPE,
        headers={**extra, **(headers or {})},
    )


def install(app: FastAPI) -> None:
    """Turn the house's and the framework's exceptions into problems."""
    app.add_exception_handler(HpsearchError, _house)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _framework)
    app.add_exception_handler(ClientDisconnect, _cut_off)


def _house(request: Request, error: Exception) -> Response:
    assert isinstance(error, HpsearchError)
    if isinstance(error, DiskFull):
        request.app.state.resources.disk.give_way()
    return problem_response(error, request.scope)


def _cut_off(request: Request, error: Exception) -> Response:
    # Nobody hears the answer; log and metrics must not show an error of the server's.
    return problem_response(BadRequest("the request was cut off", hint="send it again"), request.scope)


def _framework(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path
    detail = str(error.detail)
    if error.status_code == HTTPStatus.NOT_FOUND:
        detail = f"there is nothing at {path}"
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"{path} does not take {request.method}"
    shown = HpsearchError(detail)
    shown.status = error.status_code
    shown.code = CODES.get(error.status_code, "error")
    return problem_response(shown, request.scope, error.headers)


def _validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    model = _body_model(request)
    problems = [problem for item in error.errors()[:MAX_PROBLEMS] for problem in _problems(item, model)]
    shown = HpsearchError(problems[0].detail if problems else "the request is not valid", problems=problems)
    shown.status = 422
    shown.code = "invalid_input"
    return problem_response(shown, request.scope)


def _problems(item: Mapping[str, Any], model: Any) -> list[Problem]:
    """pydantic's item about a body as pointers into it; about a parameter, as `/query/name` and its like."""
    place, *location = item["loc"]
    if item["type"] == "json_invalid":
        return [Problem("", f"the body is not valid JSON: {item['ctx']['error']}")]
    if place == "body":
        if not location and item["type"] == "missing":
            return [Problem("", "the body is missing; send JSON with Content-Type: application/json")]
        if not location and isinstance(item.get("input"), bytes):
            return [Problem("", "the body was not read as JSON; send it with Content-Type: application/json")]
        return list(describe([{**item, "loc": tuple(location)}], model))
    return [
        Problem(f"/{place}{problem.pointer}", problem.detail)
        for problem in describe([{**item, "loc": tuple(location)}], None)
    ]


def _body_model(request: Request) -> Any:
    """The record that the route's body is, where it has one."""
    field = getattr(request.scope.get("route"), "body_field", None)
    return getattr(getattr(field, "field_info", None), "annotation", None)
