"""Answers that are errors, as the exceptions of `hpsearch.errors`."""

import ssl
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

import httpx2

from hpsearch.errors import (
    Forbidden,
    HpsearchError,
    InvalidInput,
    NotFound,
    Problem,
    ServerUnreachable,
    TooLarge,
    Unauthorized,
    Unavailable,
)

MOST_RETRY_AFTER_SECONDS = 60.0  # a lease must not end of politeness

BY_STATUS: Mapping[int, type[HpsearchError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    408: Unavailable,  # the body came too slowly, or stopped
    413: TooLarge,
    422: InvalidInput,
    502: ServerUnreachable,
    503: Unavailable,
    504: ServerUnreachable,
}


def raise_for_problem(response: httpx2.Response) -> None:
    """Raise what a read answer with an error status says; return for any other answer."""
    if response.is_success:
        return
    raise error_of(response)


def error_of(response: httpx2.Response) -> HpsearchError:
    """By the problem's `code`; where there is none, as from a proxy between, by the status."""
    problem = _problem(response)
    # A server in this process, as `hpsearch run` has one, adds errors of its own to the tree.
    by_code = {
        kind.code: kind for kind in _tree(HpsearchError) if kind.__module__ == HpsearchError.__module__
    }
    code = str(problem.get("code", ""))
    kind = by_code.get(code) or BY_STATUS.get(response.status_code, HpsearchError)
    error = kind(
        str(problem.get("detail") or _plain(response)),
        hint=problem.get("hint"),
        problems=[
            Problem(str(item.get("pointer", "")), str(item.get("detail", "")))
            for item in problem.get("errors", ())
            if isinstance(item, dict)
        ],
    )
    error.status = response.status_code
    error.code = code or kind.code
    error.retry_after_seconds = _retry_after(response)
    return error


def _retry_after(response: httpx2.Response) -> float:
    """Seconds, of the header's two forms the one that this API sends (RFC 9110, 10.2.3); 0 without it."""
    asked = response.headers.get("Retry-After", "")
    return min(float(asked), MOST_RETRY_AFTER_SECONDS) if asked.isascii() and asked.isdecimal() else 0.0


class PlainHttp(ServerUnreachable):
    """Asked by https, the server answered in plain HTTP."""


def no_answer(url: str, failure: httpx2.RequestError) -> ServerUnreachable:
    """The sentence for a server that could not be reached, or was lost half-way."""
    if url.startswith("https://") and _is_plain(failure):
        plain = url.replace("https://", "http://", 1)
        return PlainHttp(f"the server at {url} speaks plain HTTP, not https", hint=f"name it {plain}")
    if isinstance(failure, httpx2.DecodingError):
        return ServerUnreachable(
            f"the answer of {url} can't be read: {_reason(failure)}",
            hint="look for a proxy between that breaks answers",
        )
    return ServerUnreachable(
        f"no answer from {url}: {_reason(failure)}",
        hint="check that the server runs and the address is right; `hpsearch serve` starts one",
    )


def not_hpsearch(url: str, surprise: str) -> HpsearchError:
    """The sentence for an answer that this API does not give."""
    return HpsearchError(
        f"{url} did not answer as an hpsearch server does: {surprise}",
        hint="check the address; client and server should have the same version",
    )


def never_arrived(failure: BaseException | None) -> bool:
    """Whether the request can't have reached the server, so that any call may be repeated."""
    return isinstance(failure, httpx2.ConnectError | httpx2.ConnectTimeout)


def _reason(failure: httpx2.RequestError) -> str:
    cause: BaseException | None = failure
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
        cause = cause.__cause__ or cause.__context__
    if isinstance(failure, httpx2.TimeoutException):
        return "timed out"
    return str(failure).lower() or type(failure).__name__


def _is_plain(failure: BaseException | None) -> bool:
    """Whether OpenSSL met something else than TLS; its newer versions have a second name for that."""
    while failure is not None:
        if isinstance(failure, ssl.SSLError):
            return failure.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE")
        failure = failure.__cause__ or failure.__context__
    return False


def _problem(response: httpx2.Response) -> dict[str, Any]:
    if "json" not in response.headers.get("content-type", ""):
        return {}
    try:
        raw = response.json()
    except ValueError:
        return {}
    return raw if isinstance(raw, dict) and "code" in raw else {}


def _plain(response: httpx2.Response) -> str:
    try:
        phrase = HTTPStatus(response.status_code).phrase
    except ValueError:
        phrase = ""
    return f"{response.url.host} answered {response.status_code} {phrase}".rstrip()


def _tree(kind: type[HpsearchError]) -> Iterator[type[HpsearchError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _tree(child)
